"""Reads the log of a NATS server as any client may: for `dormice events`.

Not `libs.common.bus`: that never gives up, as a service must; who looks wants to be told.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import nats
from nats.aio.client import Client as NatsClient
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from libs.common.bus.nats_api import consumer_name, is_delivery, sequences, status_of
from libs.common.bus.topology import LOG, READERS_LOG
from libs.common.errors import Unavailable

READER = "reader"
ANSWER_SECONDS = 3.0
PULL_SECONDS = 5.0
BATCH = 500
LOOK_BACK = 20_000
"""How far back a filtered look goes: stored events, whatever their subject."""

_NANOS = 10**9


@dataclass(frozen=True, slots=True)
class Source:
    """A bus and who we are on it."""

    url: str
    user: str | None = None
    password: str | None = None

    @property
    def name(self) -> str | None:
        return self.user or urlsplit(self.url).username

    @property
    def shown(self) -> str:
        """The address without its password."""
        return self.url.rpartition("@")[2].removeprefix("nats://")

    @property
    def stream(self) -> str:
        """Other systems have a stream of their own."""
        return READERS_LOG if self.name == READER else LOG

    @property
    def inbox(self) -> str:
        """Where this user may be answered."""
        return "_INBOX" if self.name in (None, READER) else f"_INBOX_{self.name}"


def matches(pattern: str, subject: str) -> bool:
    """Say whether a NATS subject fits a pattern with `*` and `>`."""
    parts = [{"*": r"[^.]+", ">": r".+"}.get(one, re.escape(one)) for one in pattern.split(".")]
    return re.fullmatch(r"\.".join(parts), subject) is not None


class EventLog:
    """One connection. Raises Unavailable with one line whatever goes wrong."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._nats = NatsClient()

    async def open(self) -> None:
        complaints: list[str] = []

        async def complain(error: Exception) -> None:
            complaints.append(" ".join(str(error).split()))

        try:
            async with asyncio.timeout(ANSWER_SECONDS):  # The client itself tries on for minutes.
                self._nats = await nats.connect(
                    self._source.url, user=self._source.user, password=self._source.password,
                    inbox_prefix=self._source.inbox.encode(), allow_reconnect=False,
                    error_cb=complain, name="dormice events",
                )  # fmt: skip
        except (NatsError, OSError, TimeoutError) as error:
            why = " ".join([*complaints[-1:], str(error)][0].split()) or "no answer"
            raise Unavailable(f"cannot reach the bus at {self._source.shown}: {why}") from None

    async def close(self) -> None:
        if self._nats.is_connected:
            await self._nats.close()

    async def last_seq(self) -> int:
        info = await self._api(f"STREAM.INFO.{self._source.stream}", {})
        return int(info["state"]["last_seq"])

    async def read(self, from_seq: int) -> AsyncGenerator[tuple[int, str, bytes], None]:
        """Yield (sequence, subject, data) from `from_seq` on, for ever."""
        name = consumer_name(self._source.name or "events")
        stream = self._source.stream
        config = {
            "name": name, "ack_policy": "none", "deliver_policy": "by_start_sequence",
            "opt_start_seq": max(from_seq, 1), "inactive_threshold": 60 * _NANOS,
            "mem_storage": True, "num_replicas": 1,
        }  # fmt: skip
        body = {"stream_name": stream, "config": config, "action": "create"}
        await self._api(f"CONSUMER.CREATE.{stream}.{name}", body)
        try:
            async for message in self._pull(f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{name}"):
                seq, _ = sequences(message.reply)
                yield seq, message.subject, message.data
        finally:
            if self._nats.is_connected:
                await self._nats.publish(f"$JS.API.CONSUMER.DELETE.{stream}.{name}", b"")

    async def _pull(self, subject: str) -> AsyncGenerator[Msg, None]:
        inbox = self._nats.new_inbox()
        replies = await self._nats.subscribe(inbox)
        wanted = {"batch": BATCH, "expires": int(PULL_SECONDS * _NANOS)}
        while True:
            await self._nats.publish(subject, json.dumps(wanted).encode(), reply=inbox)
            left = BATCH
            while left:
                try:
                    message = await replies.next_msg(PULL_SECONDS + ANSWER_SECONDS)
                except (NatsError, TimeoutError):
                    raise Unavailable(f"the bus at {self._source.shown} went away") from None
                if is_delivery(message.reply):
                    left -= 1
                    yield message
                elif status_of(message) == "409":
                    raise Unavailable("the bus ended this look at its log")
                elif status_of(message) != "100":
                    left = 0

    async def _api(self, verb: str, body: dict[str, Any]) -> dict[str, Any]:
        try:
            message = await self._nats.request(
                f"$JS.API.{verb}", json.dumps(body).encode(), timeout=ANSWER_SECONDS
            )
        except (NatsError, TimeoutError):
            who = self._source.name or "nobody"
            raise Unavailable(
                f"the bus at {self._source.shown} has no log that user {who} may read"
            ) from None
        answer: dict[str, Any] = json.loads(message.data)
        if error := answer.get("error"):
            raise Unavailable(f"the bus says: {error.get('description')}")
        return answer
