"""A figure of DESIGN: what is measured, its limit, and what the runs gave."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

REPETITIONS = 3
NOISY_SPREAD = 0.5

Measure = Callable[[Path], Awaitable[dict[str, float]]]
"""Measures once in an empty folder; returns a value by key, those of peers among them."""


@dataclass(frozen=True)
class Figure:
    """`reach` is the limit, which `more` is better than or not (None: there is none); `peer` the
    key of what stands beside it for comparison, `peer_name` what that is; `needs` the variable
    without which it is not measured."""

    key: str
    what: str
    unit: str
    reach: float | None = None
    aim: float | None = None
    more: bool = False
    peer: str = ""
    peer_name: str = ""
    needs: str = ""


@dataclass(frozen=True)
class Bench:
    """Figures that are measured together. One whose key is in no run cannot be measured here."""

    name: str
    figures: tuple[Figure, ...]
    measure: Measure


@dataclass
class Measured:
    """The runs of one figure. `quiet`: the machine was calm enough to judge."""

    figure: Figure
    runs: list[float]
    peers: list[float] = field(default_factory=list)
    quiet: bool = True

    @property
    def value(self) -> float:
        return median(self.runs)

    @property
    def peer(self) -> float | None:
        return median(self.peers) if self.peers else None

    @property
    def scatters(self) -> bool:
        return max(self.runs) - min(self.runs) > NOISY_SPREAD * abs(self.value)

    @property
    def reached(self) -> bool:
        reach = self.figure.reach
        if reach is None:
            return True
        return self.value >= reach if self.figure.more else self.value <= reach

    @property
    def verdict(self) -> str:
        """A limit that is kept is kept on a noisy machine, too; a missed one may be its fault."""
        if self.figure.reach is None:
            return "for comparison"
        words = ["reached" if self.reached else "MISSED"]
        if not self.quiet:
            words.append("machine too noisy to judge")
        elif self.scatters:
            words.append("scatters")
        return ", ".join(words)

    def as_dict(self) -> dict[str, object]:
        whole = {**vars(self.figure), "runs": self.runs, "median": self.value}
        return whole | {"peer_median": self.peer, "reached": self.reached, "quiet": self.quiet,
                        "scatters": self.scatters, "verdict": self.verdict}  # fmt: skip
