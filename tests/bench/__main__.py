"""`make bench`: measure, print a table of ratios to a limit or a peer; JSON and a page beside it.

    python -m tests.bench                all of it
    python -m tests.bench pull fleet     some

Exit code 1 if a limit was missed while the machine was calm.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from libs.common.clock import monotonic_seconds
from libs.common.logging import configure
from tests.bench.benches import BENCHES
from tests.bench.figure import REPETITIONS, Bench, Measured
from tests.bench.noise import Noise
from tests.bench.report import print_table, write_json, write_page

WIDTH = 160
JSON, PAGE = Path("bench.json"), Path("bench.html")


async def main(names: list[str]) -> int:
    configure(level="critical")
    console, noise, found = Console(), Noise(), list[Measured]()
    console.width = max(console.width, WIDTH)
    unknown = set(names) - {bench.name for bench in BENCHES}
    if unknown:
        console.print(f"no such bench: {', '.join(sorted(unknown))}; there is "
                      f"{', '.join(bench.name for bench in BENCHES)}")  # fmt: skip
        return 2
    noise.probe()
    for bench in BENCHES:
        if not names or bench.name in names:
            found += await _measure(bench, noise, console)
            _write(found, noise)
    print_table(console, found)
    console.print(f"written: {JSON}, {PAGE}")
    return 1 if any(one.quiet and not one.reached for one in found) else 0


async def _measure(bench: Bench, noise: Noise, console: Console) -> list[Measured]:
    started, runs, probes = monotonic_seconds(), [], [noise.probe()]
    for _ in range(REPETITIONS):
        runs.append(await _in_folder(bench))
        probes.append(noise.probe())
    calm = noise.is_calm(*probes)
    took = monotonic_seconds() - started
    console.print(f"{bench.name}: {took:.0f} s{'' if calm else ', the machine is noisy'}")
    measured = [figure for figure in bench.figures if figure.key in runs[0]]
    for figure in bench.figures:
        if figure.key not in runs[0]:
            console.print(f"not measured without {figure.needs}: {figure.what}")
    return [
        Measured(
            figure,
            [run[figure.key] for run in runs],
            [run[figure.peer] for run in runs if figure.peer in run],
            calm,
        )
        for figure in measured
    ]


async def _in_folder(bench: Bench) -> dict[str, float]:
    folder = Path(tempfile.mkdtemp(prefix="dormice-bench-"))
    try:
        return await bench.measure(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _write(found: list[Measured], noise: Noise) -> None:
    """After every bench: who stops it keeps what is there."""
    machine: dict[str, object] = {
        "cores": os.cpu_count(),
        "fixed work, fastest ms": round(noise.fastest * 1000),
        "fixed work, slowest ms": round(max(noise.seconds) * 1000),
    }
    write_json(JSON, found, machine)
    write_page(PAGE, found, machine)


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))
