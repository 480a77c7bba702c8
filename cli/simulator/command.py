"""`dormice simulate`: live through many seeded worlds, and say which rule broke where."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from itertools import count

from rich.console import Console

from cli.simulator.many import plan_of, play_many
from cli.simulator.play import Plan, Result
from cli.simulator.shrink import shrink
from libs.common.clock import monotonic_seconds
from libs.common.logging import configure


def simulate(
    first_seed: int, seeds: int | None, plan: Plan, lasting: timedelta | None, workers: int
) -> bool:
    """Play `seeds` worlds (None: for as long as `lasting`), and print what happened.

    `plan.hosts` ANY_SIZE: worlds of all sizes. Return True if every rule held in all of them.
    """
    configure(level="critical")
    console = Console()
    results: list[Result] = []
    started = monotonic_seconds()
    for result in play_many(_seeds(first_seed, seeds, lasting), plan, workers):
        results.append(result)
        if result.failure:
            _explain(console, result, plan_of(result.seed, plan))
            break
    _sum_up(console, results, monotonic_seconds() - started)
    return not results[-1].failure


def _seeds(first: int, number: int | None, lasting: timedelta | None) -> Iterator[int]:
    """Yield seeds: so many, or until the time is over."""
    started = monotonic_seconds()
    for seed in count(first):
        over = lasting is not None and monotonic_seconds() - started >= lasting.total_seconds()
        if over or (number is not None and seed >= first + number):
            return
        yield seed


def _explain(console: Console, failed: Result, plan: Plan) -> None:
    console.print(f"[bold red]broken[/] {failed.failure}", highlight=False)
    shorter, result = shrink(failed, plan)
    console.print(f"the shortest that fails: {shorter.limit} troubles", highlight=False)
    for trouble in result.troubles:
        console.print(f"  {trouble}", highlight=False)
    console.print(f"  then: {result.failure}", highlight=False)
    console.print(
        f"again: dormice simulate --seed {failed.seed} --days {plan.days:g} --hosts {plan.hosts} "
        f"--troubles {plan.troubles_per_day:g} --limit {shorter.limit}",
        highlight=False, soft_wrap=True,
    )  # fmt: skip


def _sum_up(console: Console, results: list[Result], seconds: float) -> None:
    days = sum(result.host_days for result in results)
    counts: Counter[str] = Counter()
    wanted: Counter[str] = Counter()
    for result in results:
        counts.update(result.counts)
        wanted.update(result.wanted)
    console.print(
        f"{len(results)} worlds, {days:,.0f} host-days ({days / 365.25:.1f} host-years) in "
        f"{seconds:.0f} s: {days / seconds:,.0f} a second; judged by the oracle "
        f"{sum(result.judged for result in results):,} times", highlight=False, soft_wrap=True,
    )  # fmt: skip
    console.print(f"  {counts.pop('runs', 0):7,} backups run", highlight=False)
    _print_counts(console, "the oracle wanted to see:", wanted)
    _print_counts(console, "survived:", counts)


def _print_counts(console: Console, title: str, counts: Counter[str]) -> None:
    console.print(title, highlight=False)
    for what, number in counts.most_common():
        console.print(f"  {number:7,} {what}", highlight=False)
