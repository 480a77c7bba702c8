"""Looking at the clock: to the next fire, in slices, so that a jump of it is soon noticed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from datetime import datetime, timedelta

from libs.common.clock import Clock, monotonic_seconds


class Timekeeper:
    """Calls `look`, then sleeps for what `next_look(now)` says or until `look_again`.

    `on_jump(by)` is called if meanwhile the clock went on by more than `longest_jump` beyond the
    time that passed (the machine slept, or it was set), or was set back by more than that.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        longest_jump: timedelta,
        look: Callable[[], None],
        next_look: Callable[[datetime], timedelta],
        on_jump: Callable[[timedelta], None],
    ) -> None:
        self._clock = clock
        self._longest_jump = longest_jump
        self._look = look
        self._next_look = next_look
        self._on_jump = on_jump
        self._again = asyncio.Event()

    def look_again(self) -> None:
        """Something has changed: do not wait for the end of the slice."""
        self._again.set()

    async def run(self) -> None:
        while True:
            self._look()
            await self._one_slice()

    async def _one_slice(self) -> None:
        before, started = self._clock.now(), monotonic_seconds()
        slice_ = self._next_look(before)
        self._again.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(slice_.total_seconds()):
                await self._again.wait()
        passed = timedelta(seconds=monotonic_seconds() - started)
        jump = self._clock.now() - before - passed
        if abs(jump) > self._longest_jump:
            self._on_jump(jump)
