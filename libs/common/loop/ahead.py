"""Reads the log ahead: the next read is under way while what came before it is handled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta

from libs.common.aio import cancel
from libs.common.bus.base import LogMessage, Reader

READ_WAIT = timedelta(seconds=30)


class ReadAhead:
    """Calls `told` whenever a read has ended, with messages or with what `take` then raises."""

    def __init__(self, reader: Reader, told: Callable[[], None]) -> None:
        self._reader, self._told = reader, told
        self._begin()

    def _begin(self) -> None:
        self._reading: asyncio.Future[Sequence[LogMessage]]
        self._reading = asyncio.ensure_future(self._reader.read(READ_WAIT))
        self._reading.add_done_callback(lambda _: self._told())

    async def take(self, *, wait: bool) -> Sequence[LogMessage]:
        """Return what has been read, nothing yet if not `wait`. Raises: BusAway, ReaderLost."""
        if not wait and not self._reading.done():
            return ()
        messages = await self._reading
        self._begin()
        return messages

    async def tail(self) -> int:
        """Return the log's last sequence. Raises: BusAway, ReaderLost."""
        return await self._reader.tail()

    async def close(self) -> None:
        await cancel(self._reading)
