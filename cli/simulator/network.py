"""The weather between agents and gateways: how long a frame takes, whether it comes, how often."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from random import Random


@dataclass(eq=False)
class Network:
    """Each link keeps its own order; those of different hosts overtake each other."""

    random: Random
    slowest: float = 0.2  # seconds
    losses: float = 0.0  # the chance that a link breaks under what is sent
    repeats: float = 0.0  # the chance that reports are sent twice

    def get_worse(self, random: Random) -> None:
        self.slowest = random.choice([2.0, 30.0])
        self.losses, self.repeats = random.choice([0.02, 0.2]), 0.2

    def get_better(self) -> None:
        self.slowest, self.losses, self.repeats = 0.2, 0.0, 0.0

    def latency(self) -> timedelta:
        """Return how long something is on its way."""
        return timedelta(seconds=self.random.uniform(0.005, self.slowest))

    def loses(self) -> bool:
        return self.losses > 0 and self.random.random() < self.losses

    def repeats_it(self) -> bool:
        return self.repeats > 0 and self.random.random() < self.repeats
