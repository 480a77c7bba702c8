"""The command `dormice simulate`. The simulator is imported late."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Annotated

import typer

from cli.main import app


def _duration(text: str) -> timedelta:
    from libs.common.durations import parse_duration

    try:
        return parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


@app.command()
def simulate(  # noqa: PLR0913  Each is an option.
    seed: Annotated[int, typer.Option("--seed", min=0, help="The first seed.")] = 0,
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="How many worlds.")] = 1,
    lasting: Annotated[
        timedelta | None,
        typer.Option(
            "--for",
            parser=_duration,
            metavar="TIME",
            help="World after world for so long, as 30m, whatever --seeds says.",
        ),
    ] = None,
    hosts: Annotated[
        int | None,
        typer.Option("--hosts", min=1, max=200, help="Hosts in each: 5; with --for 5 to 200."),
    ] = None,
    days: Annotated[float, typer.Option("--days", min=0.1, help="Days that each lives.")] = 14,
    troubles: Annotated[
        float, typer.Option("--troubles", min=0, help="Faults and interventions a day.")
    ] = 12,
    limit: Annotated[
        int | None, typer.Option("--limit", min=0, help="Only the first so many of them.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="Worlds at once: one a core.")
    ] = None,
) -> None:
    """Live through weeks of a simulated fleet; say which rule broke.

    The services are the real ones, all but the ui; agents, clock and bus are simulated, and one
    seed decides everything. Services die between any two steps, the bus goes, clocks are set, the
    log is lost, operators change their minds. Where a rule breaks, the fewest troubles that break
    it are found. Exit code 1 then.

    \b
    Examples:
      dormice simulate --seeds 20
      dormice simulate --seed 109 --days 7
      dormice simulate --seed 5000 --for 8h
    """
    from cli.simulator.command import simulate as live
    from cli.simulator.many import ANY_SIZE
    from cli.simulator.play import NO_LIMIT, Plan

    hosts = hosts or (ANY_SIZE if lasting else 5)
    plan = Plan(hosts, days, troubles, NO_LIMIT if limit is None else limit)
    workers = workers or os.cpu_count() or 1
    if not live(seed, None if lasting else seeds, plan, lasting, workers):
        raise typer.Exit(1)
