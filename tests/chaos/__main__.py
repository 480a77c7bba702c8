"""`make chaos SEED=7 MINUTES=4`: real processes, real faults, and what came of them.

Exit code 0: nothing disagrees. One seed decides the plan; the moments are those of the machine.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path

from libs.common.clock import monotonic_seconds
from libs.common.logging import configure
from tests.chaos import run
from tests.chaos.deployment import Missing, check_tools
from tests.chaos.figures import AGENTS, CALM_SECONDS, MINUTES, TROUBLE_SHARE
from tests.chaos.oracle import by_kind
from tests.chaos.plan import Kind, Plan, make_plan

STARTED = monotonic_seconds()


def say(text: str) -> None:
    print(f"[{monotonic_seconds() - STARTED:6.1f}] {text}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=MINUTES, help="in all")
    parser.add_argument("--agents", type=int, default=AGENTS)
    parser.add_argument("--keep", action="store_true", help="keep the state and the logs")
    given = parser.parse_args()
    try:
        check_tools()
    except Missing as missing:
        print(f"make chaos: {missing}", file=sys.stderr)
        return 2
    configure(level="error")
    minutes = given.minutes * 60
    plan = make_plan(given.seed, max(minutes * TROUBLE_SHARE, minutes - CALM_SECONDS - 30))
    options = run.Options(plan, given.agents, given.keep)
    folder = Path(tempfile.mkdtemp(prefix="dormice-chaos-"))
    try:
        wrong = asyncio.run(chaos(options, folder))
    finally:
        if not given.keep:
            shutil.rmtree(folder)
    say(f"state and logs are in {folder}" if given.keep else "")
    return _conclude(plan, given.minutes, wrong)


async def chaos(options: run.Options, folder: Path) -> list[str]:
    """Return what disagrees."""
    plan = options.plan
    print(f"seed {plan.seed}: {len(plan.faults)} faults in {plan.seconds:.0f} s; the clock of "
          f"{plan.clock} jumps, small disks: {', '.join(plan.disks)}")  # fmt: skip
    print(*plan.faults, sep="\n")
    async with run.world_of(options, folder, say) as world:
        await run.trouble(world)
        say("the faults are over")
        wrong = await run.calm_down(world)
        say("the oracle disagrees" if wrong else "the oracle agrees")
        log = await run.final_log(world)
        wrong += run.verdict(world, log)
        _print_counts(world, run.figures(world, log))
    return wrong


def _print_counts(world: run.World, figures: Counter[str]) -> None:
    print("\nfaults injected")
    for kind in Kind:
        done = {
            target: n for (what, target), n in sorted(world.faults.done.items()) if what is kind
        }
        print(f"  {sum(done.values()):4}  {kind:18} {done}")
    print("\nwhat happened")
    for what, count in sorted(figures.items()):
        print(f"  {count:7}  {what}")


def _conclude(plan: Plan, minutes: float, wrong: list[str]) -> int:
    if not wrong:
        print(f"\nseed {plan.seed}: nothing disagrees")
        return 0
    print(f"\nseed {plan.seed}: {len(wrong)} disagreements; again: "
          f"make chaos SEED={plan.seed} MINUTES={minutes:g}")  # fmt: skip
    print(*(f"  - {what}" for what in by_kind(wrong)), sep="\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
