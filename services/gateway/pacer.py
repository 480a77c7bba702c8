"""Spaces hellos evenly, so that a storm of them does not starve what else the bus carries."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from libs.common.clock import monotonic_seconds

SLACK_SECONDS = 0.05


class Pacer:
    """Lets `per_second` callers begin, with a burst of what 50 ms hold, and `at_once` be under way.

    The second bound is what a busy machine needs: whoever waits here waits for nothing that could
    time out.
    """

    def __init__(self, per_second: int, at_once: int) -> None:
        self._gap = 1 / per_second
        self._next = 0.0
        self._room = asyncio.Semaphore(at_once)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Hold the caller's turn, first come first served."""
        async with self._room:
            now = monotonic_seconds()
            at = max(self._next, now - SLACK_SECONDS)
            self._next = at + self._gap
            if at > now:
                await asyncio.sleep(at - now)
            yield
