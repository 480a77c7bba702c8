"""The few calls of the JetStream API that we need, in its own JSON (nats-py drops fields it doesn't
know), and loading a bucket.
"""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import timedelta
from typing import Any, Protocol

from libs.common.bus.base import BATCH, BusAway, LogInfo, LogMissing, PublishRefused
from libs.common.bus.nats_client import Message
from libs.common.bus.nats_link import ANSWER_TIMEOUT, Link
from libs.common.bus.nats_replies import Replies
from libs.common.ids import new_id

CONSUMER_LIFE = timedelta(seconds=60)
"""A consumer that nobody pulls from is removed after this time."""

MESSAGE_ID = "Nats-Msg-Id"
"""The header that carries an event's id."""

_STREAM_NOT_FOUND = 10059
_LOAD_TRIES = 3


class _WithHeaders(Protocol):
    @property
    def headers(self) -> dict[str, str] | None: ...


def status_of(message: _WithHeaders) -> str:
    """Return the status line of a message from the server itself, or ''."""
    return (message.headers or {}).get("Status", "")


async def api(link: Link, verb: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the answer of `$JS.API.<verb>`, its `error` included.

    Raises:
        BusAway: no connection, no answer, or no JetStream (yet).
        PublishRefused: this user may not ask that.
    """
    data = json.dumps(body).encode() if body is not None else b""
    message = await link.request(f"$JS.API.{verb}", data)
    if status_of(message) == "503":
        raise BusAway("JetStream does not answer on this bus.")
    answer: dict[str, Any] = json.loads(message.data)
    return answer


def checked(answer: dict[str, Any]) -> dict[str, Any]:
    """Return `answer` if it is none of an error.

    Raises:
        LogMissing, BusAway
    """
    if error := answer.get("error"):
        if error.get("err_code") == _STREAM_NOT_FOUND:
            raise LogMissing
        raise BusAway(str(error.get("description")), err_code=error.get("err_code"))
    return answer


async def stream_state(link: Link, stream: str) -> LogInfo:
    """Raises LogMissing, BusAway."""
    answer = checked(await api(link, f"STREAM.INFO.{stream}"))
    state = answer["state"]
    last = int(state["last_seq"])
    first = int(state["first_seq"]) if state["messages"] else last + 1
    return LogInfo(created_at=str(answer["created"]), first_seq=first, last_seq=last)


def sequences(reply: str) -> tuple[int, int]:
    """Return (stream sequence, consumer sequence) from the reply subject of a delivered message.

    It is $JS.ACK[.<domain>.<account>].<stream>.<consumer>.<tries>.<stream>.<consumer>.<time>.<left>
    and may end in one token more in the long form.
    """
    tokens = reply.split(".")
    at = 5 if len(tokens) == 9 else 7
    return int(tokens[at]), int(tokens[at + 1])


def is_delivery(reply: str) -> bool:
    """Say whether a message with this reply subject comes from a consumer."""
    return reply.startswith("$JS.ACK.")


def consumer_name(user: str) -> str:
    """Return a name that nobody can guess: knowing it is what allows to pull or to delete.

    NATS has no wildcard for a part of a name, so rights cannot say "those that begin so".
    """
    return f"{user}-{new_id()}"


async def create_consumer(
    link: Link, stream: str, name: str, start: dict[str, Any]
) -> dict[str, Any]:
    """Create an ephemeral consumer without acknowledgements; return its info.

    Raises:
        LogMissing, BusAway
    """
    config = {
        "name": name,
        "ack_policy": "none",
        "replay_policy": "instant",
        "mem_storage": True,
        "num_replicas": 1,
        "inactive_threshold": int(CONSUMER_LIFE.total_seconds() * 10**9),
        **start,
    }
    body = {"stream_name": stream, "config": config, "action": "create"}
    return checked(await api(link, f"CONSUMER.CREATE.{stream}.{name}", body))


async def delete_consumer(link: Link, stream: str, name: str) -> None:
    """Tell the server that it may go; if that cannot be said, it goes by itself in a minute."""
    with suppress(BusAway, PublishRefused):
        await link.send(f"$JS.API.CONSUMER.DELETE.{stream}.{name}", b"")


class _Short(Exception):
    """The load missed something; try again."""


async def load_bucket(link: Link, bucket: str) -> dict[str, bytes]:
    """Return every key and value. The end is what the server says it is, and the counts must fit.

    Raises:
        LogMissing, BusAway
    """
    for _ in range(_LOAD_TRIES):
        try:
            return await _load_once(link, f"KV_{bucket}")
        except _Short:
            continue
    raise BusAway(f"The bucket {bucket} could not be loaded completely.")


async def _load_once(link: Link, stream: str) -> dict[str, bytes]:
    """Walk the last message of each key; what is written meanwhile comes behind, in order."""
    name = consumer_name(link.settings.label)
    keys = f"$KV.{stream.removeprefix('KV_')}.>"
    found = _Found(keys.removesuffix(">"))
    pulls: list[Replies] = []

    def take(message: Message) -> None:
        delivered = is_delivery(message.reply)
        if delivered:
            found.take(message)
        if not delivered or found.count % BATCH == 0:
            pulls[-1].take(message)

    def went_down() -> None:
        if pulls:
            pulls[-1].fail(BusAway())

    inbox = f"{link.inbox}.{name}"
    link.watch(went_down)
    registration = await link.subscribe(inbox, take)
    try:
        info = await create_consumer(
            link, stream, name, {"deliver_policy": "last_per_subject", "filter_subject": keys}
        )
        while True:
            pulls.append(Replies(1, ()))
            body = {"batch": BATCH, "no_wait": True}
            subject = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{name}"
            await link.send(subject, json.dumps(body).encode(), inbox)
            end = (await pulls[-1].wait(ANSWER_TIMEOUT))[0]
            if status_of(end) in ("404", "408"):
                break
            if status_of(end):
                raise _Short
    finally:
        link.unwatch(went_down)
        await link.unsubscribe(registration)
        await delete_consumer(link, stream, name)
    return found.all(at_least=int(info["num_pending"]))


class _Found:
    """What a walk has found so far: only keys and values, for they can be a hundred thousand."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self.count = 0
        self._is_whole = True
        self._values: dict[str, bytes | None] = {}

    def take(self, message: Message) -> None:
        self.count += 1
        self._is_whole &= sequences(message.reply)[1] == self.count
        gone = message.header("KV-Operation") or message.header("Nats-Marker-Reason")
        key = message.subject.removeprefix(self._prefix)
        self._values[key] = None if gone else message.data

    def all(self, *, at_least: int) -> dict[str, bytes]:
        """Return the mapping. Raises: _Short: a message is missing."""
        if not self._is_whole or len(self._values) < at_least:
            raise _Short
        return {key: value for key, value in self._values.items() if value is not None}
