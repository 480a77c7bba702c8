"""`make bench`: measure, print a table of ratios to a limit, leave bench.json beside it.

Every figure is the median of three runs with its spread, whatever else this machine does. A spread
above half of the median is marked: the machine was too noisy to judge.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import TypeVar

from rich.console import Console
from rich.table import Table

from libs.common.logging import configure
from tests.bench import loop, system

REPETITIONS = 3
NOISY = 0.5
OUTPUT = Path("bench.json")
T = TypeVar("T")


@dataclass(frozen=True)
class Figure:
    """What was measured, in `unit`; `reach` is the limit, which `more` is better than or not."""

    what: str
    unit: str
    runs: list[float]
    reach: float
    aim: float
    more: bool = False

    @property
    def value(self) -> float:
        return median(self.runs)

    @property
    def noisy(self) -> bool:
        return max(self.runs) - min(self.runs) > NOISY * abs(self.value)

    @property
    def reached(self) -> bool:
        return self.value >= self.reach if self.more else self.value <= self.reach


async def main() -> int:
    configure(level="warning")
    console = Console()
    shares, rates = await _loop_shares()
    console.print("the loop's raw limits, events per second:", rates)
    figures = [
        Figure("machine loop ÷ serial sum of its raw limits", "", shares, 0.6, 0.9, more=True),
        await _measure("`dormice up` ready", "s", system.ready_seconds, 3, 1.5),
        await _measure("embedded system idle, 10 hosts", "MB", system.idle_megabytes, 250, 150),
        await _measure("settle end → run frame at the agent, p99", "ms", _settle_p99, 100, 25),
    ]
    console.print(_table(figures))
    _write(figures)
    console.print(f"written: {OUTPUT}")
    return 0 if all(figure.reached for figure in figures) else 1


def _write(figures: list[Figure]) -> None:
    OUTPUT.write_text(json.dumps([vars(figure) for figure in figures], indent=1) + "\n")


async def _loop_shares() -> tuple[list[float], dict[str, int]]:
    runs = [await _in_folder(loop.measure) for _ in range(REPETITIONS)]
    middle = {name: round(median(run[name] for run in runs)) for name in runs[0]}
    middle.pop("share")
    return [run["share"] for run in runs], middle


async def _settle_p99(folder: Path) -> float:
    measured = await system.settle_to_run_milliseconds(folder)
    return quantiles(measured, n=100, method="inclusive")[98]  # never beyond what was seen


async def _measure(
    what: str, unit: str, run: Callable[[Path], Awaitable[float]], reach: float, aim: float
) -> Figure:
    return Figure(what, unit, [await _in_folder(run) for _ in range(REPETITIONS)], reach, aim)


async def _in_folder(run: Callable[[Path], Awaitable[T]]) -> T:
    folder = Path(tempfile.mkdtemp(prefix="dormice-bench-"))
    try:
        return await run(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _table(figures: list[Figure]) -> Table:
    table = Table(title="Dormice, median of 3", title_justify="left")
    for name in ("what", "median", "spread", "reach", "÷ reach", "aim", ""):
        table.add_column(name, justify="left" if name in ("what", "") else "right")
    for figure in figures:
        table.add_row(
            figure.what,
            f"{figure.value:.2f} {figure.unit}",
            f"{min(figure.runs):.2f}-{max(figure.runs):.2f}",
            f"{figure.reach:g}",
            f"{figure.value / figure.reach:.2f}",
            f"{figure.aim:g}",
            ("reached" if figure.reached else "MISSED") + (", noisy" if figure.noisy else ""),
        )
    return table


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
