"""The bus in memory, for tests: every `MemoryBus` is one connection to a shared `MemoryLog`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from libs.common.bus.base import (
    BusAway,
    CallHandler,
    LiveHandler,
    LogInfo,
    LogMessage,
    NoResponder,
    Outgoing,
    ReaderLost,
)
from libs.common.bus.memory_log import MemoryLog

__all__ = ["MemoryBus", "MemoryLog", "MemoryReader"]


class MemoryReader:
    """A `Reader` on a `MemoryLog`: lost when its connection is cut."""

    def __init__(self, log: MemoryLog, from_seq: int) -> None:
        self._log = log
        self._next = max(from_seq, 1)
        self._changed = asyncio.Event()
        self._lost = False
        self._started = False
        log.wake_on_append(self._changed.set)

    def lose(self) -> None:
        self._lost = True
        self._changed.set()

    async def read(self, timeout: timedelta) -> Sequence[LogMessage]:
        try:
            async with asyncio.timeout(timeout.total_seconds()):
                while not (batch := self._take()):
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return self._take()
        await asyncio.sleep(0)  # Reading never starves the other tasks, as over a socket.
        return batch

    def _take(self) -> list[LogMessage]:
        self._check()
        batch = self._log.read(self._next)
        if batch:
            if batch[0].seq > self._next and self._started:
                self.lose()  # Expired unread. A consumer would go on; the loop must hear of it.
                self._check()
            self._started = True
            self._next = batch[-1].seq + 1
        return batch

    def _check(self) -> None:
        if self._lost:
            raise ReaderLost

    async def tail(self) -> int:
        await asyncio.sleep(0)
        self._check()
        return self._log.info().last_seq

    async def close(self) -> None:
        self.lose()
        self._log.sleep_on_append(self._changed.set)


class MemoryBus:
    """One connection to a `MemoryLog`. `user` only names it; rights are the real server's."""

    def __init__(self, log: MemoryLog, user: str = "test") -> None:
        self.log = log
        self.user = user
        self.durable: bool | None = True
        self.generation = 0
        self._attached = False
        self._up = asyncio.Event()
        self._readers: list[MemoryReader] = []
        self._listening: list[tuple[str, LiveHandler]] = []
        self._serving: list[tuple[str, CallHandler]] = []

    @property
    def connected(self) -> bool:
        return self._up.is_set()

    async def connect(self) -> None:
        if not self._attached:
            self._attached = True
            self.log.attach(self._on_change)
            self._on_change()
        await self._up.wait()

    async def prepare(self) -> None:
        """The log of a memory bus is always there."""

    async def wait_connected(self) -> None:
        await self._up.wait()

    async def close(self) -> None:
        self.log.detach(self._on_change)
        self._drop()
        for pattern, handler in self._listening:
            self.log.unlisten(pattern, handler)
        for pattern, server in self._serving:
            self.log.unserve(pattern, server)
        self._listening.clear()
        self._serving.clear()

    def _on_change(self) -> None:
        self._drop()
        if self.log.available:
            self.generation += 1
            self._up.set()

    def _drop(self) -> None:
        self._up.clear()
        for reader in self._readers:
            reader.lose()
        self._readers.clear()

    async def _round_trip(self) -> None:
        await asyncio.sleep(0)
        if not self.connected:
            raise BusAway

    async def log_info(self) -> LogInfo:
        await self._round_trip()
        return self.log.info()

    async def event_id_at(self, seq: int) -> str | None:
        await self._round_trip()
        return self.log.event_id_at(seq)

    async def open_reader(self, from_seq: int) -> MemoryReader:
        await self._round_trip()
        reader = MemoryReader(self.log, from_seq)
        self._readers.append(reader)
        return reader

    async def publish(self, messages: Sequence[Outgoing]) -> int:
        await self._round_trip()
        return self.log.store(messages)

    async def load_bucket(self, bucket: str) -> dict[str, bytes]:
        await self._round_trip()
        return self.log.load(bucket)

    def send_live(self, subject: str, data: bytes) -> None:
        if self.connected:
            self.log.send_live(subject, data)

    async def listen(self, subject: str, handler: LiveHandler) -> None:
        self._listening.append((subject, handler))
        self.log.listen(subject, handler)

    async def serve(self, subject: str, handler: CallHandler) -> None:
        self._serving.append((subject, handler))
        self.log.serve(subject, handler)

    async def call(self, subject: str, data: bytes, timeout: timedelta) -> bytes:
        await self._round_trip()
        handler = self.log.find_handler(subject)
        if handler is None:
            raise NoResponder(f"Nobody serves {subject} right now.")
        try:
            async with asyncio.timeout(timeout.total_seconds()):
                return await handler(subject, data)
        except TimeoutError:
            raise BusAway(f"No answer from {subject} in time.") from None
