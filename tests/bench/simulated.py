"""How many days of hosts' lives the simulator lives through in a second of one core, in a world of
50 hosts that goes on for a week: the enrolment of all of them is as much work as a day or two."""

from __future__ import annotations

import time
from pathlib import Path

from cli.simulator.play import Plan, play

SEED = 7
PLAN = Plan(hosts=50, days=7)


async def measure(folder: Path) -> dict[str, float]:
    started = time.process_time()
    result = play(SEED, PLAN)
    assert result.failure is None, result.failure
    return {"rate": result.host_days / (time.process_time() - started)}
