"""Walks the log of a NATS server with a pull loop of its own.

The consumer is ephemeral and acknowledges nothing: at most once, by itself. What makes it exact is
that its sequence must be contiguous, and that every doubt (a broken connection, a status that is
not plain idleness, silence where heartbeats are due) ends the reader with `ReaderLost`.

Messages carry their stored subject, not the one that they were delivered on: which pull a message
answers cannot be told, only which one a status answers. Pulls are served in their order, so
messages are counted against the oldest.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from libs.common.bus.base import BATCH, BusAway, LogMessage, ReaderLost
from libs.common.bus.nats_api import (
    MESSAGE_ID,
    consumer_name,
    create_consumer,
    delete_consumer,
    is_delivery,
    sequences,
    stream_state,
)
from libs.common.bus.nats_client import Message
from libs.common.bus.nats_link import Link, Registration
from libs.common.bus.topology import LOG

PULL_EXPIRES = timedelta(seconds=30)
HEARTBEAT = timedelta(seconds=5)
SILENCE = timedelta(seconds=12)
"""No message and no heartbeat for this long, while waiting: the consumer is gone."""

AHEAD = 2 * BATCH
"""What may be asked for and not yet read: the server streams while a batch is worked on."""

_IDLE = ("404", "408")
_HEARTBEAT_STATUS = "100"
_NANOS = 10**9


def _nanos(span: timedelta) -> int:
    return int(span.total_seconds() * _NANOS)


@dataclass(slots=True)
class _Pull:
    """A request for messages that the server has not used up."""

    reply: str
    left: int


class NatsReader:
    """A `Reader` on one consumer. Made by `open_reader`."""

    def __init__(self, link: Link, from_seq: int) -> None:
        self._link = link
        self._name = consumer_name(link.settings.label)
        self._inbox = f"{link.inbox}.{self._name}"
        self._next_subject = f"$JS.API.CONSUMER.MSG.NEXT.{LOG}.{self._name}"
        self._buffer: deque[LogMessage] = deque()
        self._pulls: deque[_Pull] = deque()
        self._asked = 0
        self._consumer_seq = 0
        self._last_seq = from_seq - 1
        self._lost = ""
        self._heard_at = 0.0
        self._wakeup: asyncio.Future[None] | None = None
        self._registration: Registration | None = None

    @property
    def consumer(self) -> str:
        """The name of the consumer on the server."""
        return self._name

    async def open(self) -> None:
        """Subscribe, create the consumer, ask for the first messages."""
        self._link.watch(self._on_down)
        try:
            self._registration = await self._link.subscribe(f"{self._inbox}.*", self._on_message)
            await create_consumer(
                self._link,
                LOG,
                self._name,
                {"deliver_policy": "by_start_sequence", "opt_start_seq": self._last_seq + 1},
            )
            await self._ask()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        self._lose("closed")
        self._link.unwatch(self._on_down)
        if self._registration is not None:
            await self._link.unsubscribe(self._registration)
            self._registration = None
            await delete_consumer(self._link, LOG, self._name)

    # --- reading ---------------------------------------------------------------------------------

    async def read(self, timeout: timedelta) -> Sequence[LogMessage]:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout.total_seconds()
        self._heard_at = loop.time()  # What matters is silence while someone waits.
        while not self._buffer:
            await self._ask()
            self._check()
            now = loop.time()
            if now - self._heard_at > SILENCE.total_seconds():
                self._lose("heartbeats were missed")
                self._check()
            if now >= deadline:
                return []
            await self._wait(min(deadline - now, SILENCE.total_seconds()))
        self._check()
        batch = [self._buffer.popleft() for _ in range(min(BATCH, len(self._buffer)))]
        await self._ask()
        return batch

    def _check(self) -> None:
        if self._lost:
            raise ReaderLost(f"The reader was lost: {self._lost}.")

    async def _wait(self, seconds: float) -> None:
        """Sleep until a message, a status or the loss of the reader, or until time is up."""
        if self._buffer or self._lost:
            return
        self._wakeup = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(seconds):
                await self._wakeup
        except TimeoutError:
            pass
        finally:
            self._wakeup = None

    async def _ask(self) -> None:
        """Send pulls until enough is on its way."""
        while not self._lost and sum(p.left for p in self._pulls) + len(self._buffer) < AHEAD:
            self._asked += 1
            pull = _Pull(f"{self._inbox}.{self._asked}", BATCH)
            self._pulls.append(pull)
            body: dict[str, object] = {
                "batch": BATCH,
                "expires": _nanos(PULL_EXPIRES),
                "idle_heartbeat": _nanos(HEARTBEAT),
            }
            await self._send_next(body, pull.reply)

    async def _send_next(self, body: dict[str, object], reply: str) -> None:
        try:
            await self._link.send(self._next_subject, json.dumps(body).encode(), reply)
        except BusAway:
            self._lose("the connection broke")
            self._check()

    # --- what arrives ----------------------------------------------------------------------------

    def _on_message(self, message: Message) -> None:
        if self._wakeup is not None and not self._wakeup.done():
            self._wakeup.set_result(None)
        if self._lost:
            return
        if not is_delivery(message.reply):
            self._on_status(message, message.headers.get("Status", ""))
            return
        stream_seq, consumer_seq = sequences(message.reply)
        if consumer_seq != self._consumer_seq + 1:
            self._lose(f"message {self._consumer_seq + 1} is missing, {consumer_seq} came")
            return
        if self._consumer_seq and stream_seq != self._last_seq + 1:
            # Only the head of the log is ever dropped: it expired before it was read.
            self._lose(f"event {self._last_seq + 1} has expired unread")
            return
        self._consumer_seq = consumer_seq
        self._last_seq = stream_seq
        event_id = message.header(MESSAGE_ID) or ""
        self._buffer.append(LogMessage(stream_seq, message.subject, message.data, event_id))
        self._count_off()

    def _count_off(self) -> None:
        if self._pulls:
            self._pulls[0].left -= 1
            if self._pulls[0].left <= 0:
                self._pulls.popleft()

    def _on_status(self, message: Message, status: str) -> None:
        self._heard_at = asyncio.get_running_loop().time()
        if status == _HEARTBEAT_STATUS:
            return
        if status not in _IDLE:
            description = message.headers.get("Description", "")
            self._lose(f"status {status} {description}".rstrip())
        elif any(pull.reply == message.subject for pull in self._pulls):
            while self._pulls.popleft().reply != message.subject:
                pass  # Served in order: those before it are used up as well.

    def _on_down(self) -> None:
        self._lose("the connection broke")

    def _lose(self, why: str) -> None:
        if not self._lost:
            self._lost = why
            self._buffer.clear()
            if self._wakeup is not None and not self._wakeup.done():
                self._wakeup.set_result(None)

    async def tail(self) -> int:
        """Ask the log itself.

        Cheaper looking ways are wrong: a pull with `no_wait` is answered "no messages" from a count
        that the server brings up to date only after it has acknowledged the publisher.
        """
        self._check()
        last_seq = (await stream_state(self._link, LOG)).last_seq
        self._check()
        return last_seq
