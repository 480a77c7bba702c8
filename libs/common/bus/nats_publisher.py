"""Stores messages in order, each unit acknowledged before the next is sent.

A unit is an atomic batch (one fsync, all or nothing), or a single event: where the server cannot do
batches, and where a batch was refused because one of its ids is stored already. What arrives in a
batch is not stored in an account that imports it, so exported events go singly, each with its own
acknowledgement, but many at once: of different hosts, so that of one host nothing can overtake.
Values of a bucket go the same way as events, before them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from libs.common.bus.base import BATCH, BusAway, LogMissing, Outgoing, PublishRefused, is_exported
from libs.common.bus.nats_api import MESSAGE_ID, api, checked, status_of
from libs.common.bus.nats_client import Message
from libs.common.bus.nats_link import ANSWER_TIMEOUT, Link
from libs.common.bus.nats_replies import Replies
from libs.common.bus.topology import LOG, is_stored
from libs.common.ids import new_id

_BATCH_HEADERS = ("Nats-Batch-Id", "Nats-Batch-Sequence", "Nats-Batch-Commit")
_BATCH_HAS_DUPLICATE = 10201
_TOO_LARGE = 10054
SINGLES_AT_ONCE = 100
_HEADROOM = 1024
"""What the headers of a message may take of the server's largest payload."""


@dataclass(frozen=True, slots=True)
class _Message:
    """A message as it goes over the wire."""

    subject: str
    data: bytes
    headers: dict[str, str]


class _HasDuplicate(Exception):
    """The batch was refused as a whole, because an id in it is stored already."""


class Publisher:
    """The publishing side of one connection; calls of `publish` do not wait for each other."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._batches: dict[str, bool] = {}
        self._asked_at = -1

    async def publish(self, messages: Sequence[Outgoing]) -> int:
        self._check_size(messages)
        await self._put_values([m for m in messages if m.bucket is not None])
        events = [m for m in messages if m.bucket is None]
        last = 0
        for unit in _units(events, atomic=await self._can_batch(LOG, len(events))):
            last = max(last, await self._store(unit))
        return last

    def _check_size(self, messages: Sequence[Outgoing]) -> None:
        """Refuse before anything is sent what the server would end the connection for."""
        limit = self._link.max_payload - _HEADROOM
        for message in messages:
            if len(message.data or b"") > limit:
                raise PublishRefused(f"{message.subject}: more than {limit} bytes.")

    async def _can_batch(self, stream: str, count: int) -> bool:
        """Say whether `count` messages can go as atomic batches; asked once per connection."""
        if count < 2:
            return False
        if self._asked_at != self._link.generation:
            self._asked_at = self._link.generation
            self._batches.clear()
        if stream not in self._batches:
            try:
                info = checked(await api(self._link, f"STREAM.INFO.{stream}"))
            except LogMissing:
                raise BusAway(f"There is no stream {stream} on this bus.") from None
            self._batches[stream] = bool(info["config"].get("allow_atomic"))
        return self._batches[stream]

    # --- buckets ---------------------------------------------------------------------------------

    async def _put_values(self, values: Sequence[Outgoing]) -> None:
        """Store the last value of each key, bucket by bucket."""
        newest = {(value.bucket, value.subject): value for value in values}
        for bucket in dict.fromkeys(value.bucket for value in values):
            own = [value for (name, _), value in newest.items() if name == bucket]
            atomic = await self._can_batch(f"KV_{bucket}", len(own))
            for start in range(0, len(own), BATCH):
                messages = [_as_message(value) for value in own[start : start + BATCH]]
                await (self._send_batch(messages) if atomic else self._send_each(messages))

    async def _send_each(self, messages: Sequence[_Message]) -> int:
        """All at once, each with an acknowledgement of its own: they don't depend on each other."""
        replies = Replies(len(messages), [message.subject for message in messages])
        tokens = []
        try:
            for message in messages:
                tokens.append(self._link.expect(replies))
                await self._link.send(message.subject, message.data, tokens[-1], message.headers)
            return max(_acknowledged(reply) for reply in await replies.wait(ANSWER_TIMEOUT))
        finally:
            self._link.forget(tokens)

    # --- events ----------------------------------------------------------------------------------

    async def _store(self, unit: Sequence[Outgoing]) -> int:
        """Return the log's sequence of the last event in `unit`."""
        for event in unit:
            if not is_stored(event.subject):
                raise PublishRefused(f"{event.subject} is not a subject of the log.")
        messages = [_as_message(event) for event in unit]
        if is_exported(unit[0].subject):
            return await self._send_each(messages)
        if len(unit) > 1:
            with suppress(_HasDuplicate):
                return await self._send_batch(messages)
        return max([await self._send_and_wait([message]) for message in messages])

    async def _send_batch(self, messages: Sequence[_Message]) -> int:
        """Send all with the headers of one atomic batch (ADR-50): stored together, or none."""
        if len(messages) == 1:
            return await self._send_and_wait(messages)
        batch = new_id()
        for position, message in enumerate(messages, start=1):
            message.headers["Nats-Batch-Id"] = batch
            message.headers["Nats-Batch-Sequence"] = str(position)
        messages[-1].headers["Nats-Batch-Commit"] = "1"
        try:
            return await self._send_and_wait(messages)
        finally:
            for message in messages:
                for name in _BATCH_HEADERS:
                    message.headers.pop(name, None)

    async def _send_and_wait(self, messages: Sequence[_Message]) -> int:
        """Ask for a reply to the last only: the server answers for the whole batch."""
        replies = Replies(1, {message.subject for message in messages})
        token = self._link.expect(replies)
        try:
            for at, message in enumerate(messages, start=1):
                reply = token if at == len(messages) else ""
                await self._link.send(message.subject, message.data, reply, message.headers)
            return _acknowledged((await replies.wait(ANSWER_TIMEOUT))[0])
        finally:
            self._link.forget((token,))


def _as_message(message: Outgoing) -> _Message:
    """Return what goes over the wire. A value has no id: the same may well be put again."""
    if message.bucket is None:
        return _Message(message.subject, message.data or b"", {MESSAGE_ID: message.event_id})
    headers = {"KV-Operation": "DEL"} if message.data is None else {}
    return _Message(f"$KV.{message.bucket}.{message.subject}", message.data or b"", headers)


def _units(events: Sequence[Outgoing], *, atomic: bool) -> Iterator[Sequence[Outgoing]]:
    """Cut `events` into what is sent at once, in order."""
    for exported, run in groupby(events, key=lambda event: is_exported(event.subject)):
        together = list(run)
        if exported:
            yield from _of_different_hosts(together)
            continue
        size = BATCH if atomic else 1
        for start in range(0, len(together), size):
            yield together[start : start + size]


def _of_different_hosts(events: Iterable[Outgoing]) -> Iterator[Sequence[Outgoing]]:
    """Cut exported events, `dormice.<family>.<host>.…`, where a host comes again."""
    unit: dict[str, Outgoing] = {}
    for event in events:
        host = event.subject.split(".", 3)[2]
        if host in unit or len(unit) == SINGLES_AT_ONCE:
            yield list(unit.values())
            unit = {}
        unit[host] = event
    yield list(unit.values())


def _acknowledged(reply: Message) -> int:
    """Return the sequence that an acknowledgement names; a duplicate's is the one it has.

    Raises:
        BusAway: nobody stores this now, or not for a lasting reason (no space, no leader).
        PublishRefused, _HasDuplicate
    """
    if status_of(reply):
        raise BusAway("Nothing on this bus stores that now.")
    answer: dict[str, Any] = json.loads(reply.data)
    if error := answer.get("error"):
        code = error.get("err_code")
        if code == _BATCH_HAS_DUPLICATE:
            raise _HasDuplicate
        if code == _TOO_LARGE:
            raise PublishRefused(str(error.get("description")))
        raise BusAway(str(error.get("description")), err_code=code)
    return int(answer["seq"])
