"""The command `dormice bench`. What it does is imported late."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.main import app
from cli.options import Json, Token, Url

bench_app = typer.Typer(help="Measure how much a control plane carries.", no_args_is_help=True)
app.add_typer(bench_app, name="bench")


@bench_app.command()
def fleet(  # noqa: PLR0913  As many options.
    hosts: Annotated[int, typer.Option("--hosts", min=1, max=50_000, help="How many.")] = 1000,
    minutes: Annotated[
        float, typer.Option("--minutes", min=0.1, help="How long they only send heartbeats.")
    ] = 1.0,
    backups: Annotated[
        int, typer.Option("--backups", min=0, help="How many of them back up when told.")
    ] = 50,
    url: Url = None,
    token: Token = None,
    gateway: Annotated[
        str | None, typer.Option("--gateway", help="Address of the gateway, with --url.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option("--data", help="State directory of the server, to keep it.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Load a control plane with agents on real connections.

    They enrol, connect all at once, send heartbeats, all drop and return, report runs, and back up
    when told. Half of them are laptops. Exit code 1 if a limit is broken. Without --url a server is
    started for it, and ended. With --url the hosts stay enrolled: never do that to a real fleet.

    \b
    Examples:
      dormice bench fleet --hosts 10000
    """
    from cli.bench.fleet import Plan, run

    plan = Plan(hosts, minutes * 60, min(backups, hosts), url, token, gateway, data)
    if not run(plan, as_json=as_json):
        raise typer.Exit(1)
