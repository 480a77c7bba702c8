"""How calm the machine is: the same fixed work, timed before and after everything measured.

Of two cores that are ours alone it takes the same time every time. If it once takes half as long
again as at its fastest, others were at work, and a missed limit says nothing.
"""

from __future__ import annotations

from libs.common.clock import monotonic_seconds

ROUNDS = 2_000_000
PROBES = 5
CALM_RATIO = 1.5


class Noise:
    """Takes the time of the fixed work; `fastest` is the calm machine."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def probe(self) -> float:
        """Return the slowest of a few runs of it."""
        found = [fixed_work() for _ in range(PROBES)]
        self.seconds += found
        return max(found)

    @property
    def fastest(self) -> float:
        return min(self.seconds)

    def is_calm(self, *probes: float) -> bool:
        return max(probes) <= CALM_RATIO * self.fastest


def fixed_work() -> float:
    """Return the seconds that it took."""
    started = monotonic_seconds()
    total = 0
    for number in range(ROUNDS):
        total += number
    return monotonic_seconds() - started
