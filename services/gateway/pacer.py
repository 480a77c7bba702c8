"""Spaces hellos evenly, so that a storm of them does not starve what else the bus carries."""

from __future__ import annotations

import asyncio

from libs.common.clock import monotonic_seconds

SLACK_SECONDS = 0.05


class Pacer:
    """Lets `per_second` callers through, with a burst of what 50 ms hold."""

    def __init__(self, per_second: int) -> None:
        self._gap = 1 / per_second
        self._next = 0.0

    async def turn(self) -> None:
        """Return when it is the caller's turn, first come first served."""
        now = monotonic_seconds()
        at = max(self._next, now - SLACK_SECONDS)
        self._next = at + self._gap
        if at > now:
            await asyncio.sleep(at - now)
