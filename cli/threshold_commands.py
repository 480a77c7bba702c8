"""Thresholds: after how much silence, or how long without a backup, someone is told."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.main import app
from cli.options import Ask, asking, listing

threshold_app = typer.Typer(help="Say after how long someone is told.", no_args_is_help=True)
app.add_typer(threshold_app, name="threshold")

HostOption = Annotated[str | None, typer.Option("--host", help="Of this host.")]
TagOption = Annotated[str | None, typer.Option("--tag", help="Of hosts with this tag.")]
ModeOption = Annotated[
    str | None, typer.Option("--mode", help="Of all always-on, or all intermittent hosts.")
]


@threshold_app.command("list")
@listing
def list_thresholds(ask: Ask) -> None:
    """List the thresholds of the fleet, of modes and of tags."""
    from cli.thresholds import fetch_thresholds

    ask.out.show_list(lambda: fetch_thresholds(ask.client))


@threshold_app.command("set")
@asking
def set_thresholds(  # noqa: PLR0913  # Typer: one parameter for each option.
    ask: Ask,
    host: HostOption = None,
    tag: TagOption = None,
    mode: ModeOption = None,
    offline: Annotated[
        str | None, typer.Option("--offline", metavar="TIME", help="Silence: 30m, 2h.")
    ] = None,
    stale: Annotated[
        str | None, typer.Option("--stale", metavar="TIME", help="Without a backup: 3d, 14d.")
    ] = None,
    missed: Annotated[
        str | None, typer.Option("--missed", metavar="TIME", help="Online, and nothing ran: 1h.")
    ] = None,
) -> None:
    """Say after how long someone is told: of a host, a tag, a mode.

    A host's own threshold comes before those of its tags, of which the strictest holds; then its
    mode's; then the fleet's. What is not said stays as it is; `default` takes a threshold away.

    \b
    Examples:
      dormice threshold set --tag paris --offline 5m --stale 3d
      dormice threshold set --mode intermittent --stale 14d
      dormice threshold set --host web-3 --offline default
      dormice threshold set --tag prod --missed 1h
    """
    from cli.thresholds import Wanted, change_thresholds

    limits = {"offline": offline, "stale": stale, "missed": missed}
    change_thresholds(ask, Wanted(host, tag, mode), limits)


@threshold_app.command("clear")
@asking
def clear_thresholds(
    ask: Ask, host: HostOption = None, tag: TagOption = None, mode: ModeOption = None
) -> None:
    """Take all thresholds of a host, a tag or a mode away.

    What holds otherwise holds again.
    """
    from cli.thresholds import Wanted, drop_thresholds

    drop_thresholds(ask, Wanted(host, tag, mode))
