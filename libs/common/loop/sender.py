"""Sends the outbox, strictly first-in first-out, and tells who waits when a row is on the bus."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from itertools import islice

import structlog

from libs.common.bus.base import BATCH, Bus, BusAway, PublishRefused
from libs.common.loop.tx import OutboxRow

log = structlog.get_logger()

REFUSED_RETRY_SECONDS = 5.0


class Sender:
    """The next send starts only when all before it are acknowledged; an error ends `run`, and the
    loop starts it again at the oldest row after it has read the log."""

    def __init__(self, bus: Bus, acknowledged: Callable[[], None]) -> None:
        self._bus = bus
        self._told = acknowledged
        self._rows: deque[OutboxRow] = deque()
        self._filled = asyncio.Event()
        self._waiters: deque[tuple[int, asyncio.Future[int]]] = deque()
        self.acknowledged_row = 0
        self.refused = ""
        self.unanswered = 0
        """How often in a row the bus, though connected, did not store what it was sent."""
        self._last_seq = 0

    @property
    def waiting(self) -> int:
        """How many rows are not yet acknowledged."""
        return len(self._rows)

    @property
    def reasons_not_ready(self) -> list[str]:
        """Why what was decided cannot reach the bus, though it is there."""
        refused = [f"bus refuses: {self.refused}"] if self.refused else []
        return refused + (["the bus stores nothing"] if self.unanswered else [])

    def refill(self, rows: Iterable[OutboxRow]) -> None:
        """Start again with exactly these rows."""
        self._rows = deque(rows)
        self._wake()

    def add(self, rows: Iterable[OutboxRow]) -> None:
        self._rows.extend(rows)
        self._wake()

    def _wake(self) -> None:
        if self._rows:
            self._filled.set()

    def when_stored(self, row_id: int) -> asyncio.Future[int]:
        """Return a future of a log sequence at or after the row's event, once it is stored."""
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiters.append((row_id, future))
        return future

    def stored(self, row_id: int, seq: int) -> None:
        """Every row up to `row_id` is on the bus, the last event at or before `seq` (0: no event
        was among them)."""
        self._last_seq = seq or self._last_seq
        self.acknowledged_row = max(self.acknowledged_row, row_id)
        while self._rows and self._rows[0].row_id <= row_id:
            self._rows.popleft()
        while self._waiters and self._waiters[0][0] <= row_id:
            _, future = self._waiters.popleft()
            if not future.done():
                future.set_result(self._last_seq)

    async def run(self) -> None:
        """Send for ever. Raises: BusAway."""
        while True:
            if not self._rows:
                self._filled.clear()
                await self._filled.wait()
            batch = list(islice(self._rows, BATCH))
            try:
                seq = await self._bus.publish([row.message for row in batch])
            except PublishRefused as error:
                await self._wait_refused(error)
                continue
            except BusAway:
                self.unanswered += self._bus.connected
                raise
            self.refused, self.unanswered = "", 0
            self.stored(batch[-1].row_id, seq)
            self._told()

    async def _wait_refused(self, error: PublishRefused) -> None:
        """The order must hold, so nothing overtakes a refused row: say so until it is mended."""
        self.refused = error.message
        log.error("publish_refused", error=error.message, waiting=len(self._rows))
        await asyncio.sleep(REFUSED_RETRY_SECONDS)
