"""How many days of hosts' lives the simulator lives through in a second, in a world of 50 hosts."""

from __future__ import annotations

from pathlib import Path

from cli.simulator.play import Plan, play
from libs.common.clock import monotonic_seconds

SEED = 7
PLAN = Plan(hosts=50, days=2)


async def measure(folder: Path) -> dict[str, float]:
    started = monotonic_seconds()
    result = play(SEED, PLAN)
    assert result.failure is None, result.failure
    return {"rate": result.host_days / (monotonic_seconds() - started)}
