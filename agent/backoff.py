"""How long to wait before the next dial. Pure but for the random number it is given."""

from __future__ import annotations

from datetime import timedelta
from random import Random

HEALTHY = 10  # A session that lasted this many base waits was no flapping.


class Backoff:
    """Full jitter: between nothing and base x 2^n, at most the cap."""

    def __init__(self, base: timedelta, cap: timedelta, random: Random) -> None:
        self._base = base
        self._cap = cap
        self._random = random
        self._failures = 0

    def next_wait(self) -> timedelta:
        doubled: timedelta = self._base * 2 ** min(self._failures, 30)
        ceiling = min(doubled, self._cap)
        self._failures += 1
        return ceiling * self._random.random()

    def session_lasted(self, duration: timedelta) -> None:
        """A session that held is a fresh start; one that broke at once is another failure."""
        if duration >= self._base * HEALTHY:
            self._failures = 0

    def reset(self) -> None:
        self._failures = 0
