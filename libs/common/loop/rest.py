"""A short rest between small steps, so that the next one finds more to do.

A step has a price of its own: a hop, a transaction, a commit. When events come one by one but
without a pause, as in a storm of reconnects, eight services would spend most of a core on that
price. So after a small step a service for which nobody waits (`Machine.unhurried`) rests twice as
long as the step took: a few milliseconds on an idle machine, more on a busy one. The first step
after a silence never waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from libs.common.clock import monotonic_seconds

SMALL_STEP = 100
TIMES = 2.0
LONGEST_REST_SECONDS = 0.05


class Rest:
    """Until when the next step should wait."""

    def __init__(self) -> None:
        self._until = 0.0

    @contextmanager
    def earned_by(self, size: int) -> Iterator[None]:
        """Around a step of `size` messages and inputs."""
        started = monotonic_seconds()
        yield
        if size < SMALL_STEP:
            ended = monotonic_seconds()
            self._until = ended + min(TIMES * (ended - started), LONGEST_REST_SECONDS)

    @property
    def seconds_left(self) -> float:
        return max(0.0, self._until - monotonic_seconds())

    async def take(self) -> None:
        """Wait out what is left of the rest."""
        if left := self.seconds_left:
            await asyncio.sleep(left)
