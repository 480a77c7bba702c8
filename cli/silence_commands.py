"""Silences: of which alerts nobody is told for a while."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.main import app
from cli.options import Ask, asking, listing

silence_app = typer.Typer(help="Have nobody told of some alerts for a while.", no_args_is_help=True)
app.add_typer(silence_app, name="silence")


@silence_app.command("add")
@asking
def add_silence(  # noqa: PLR0913  # Typer: one parameter for each option.
    ask: Ask,
    host: Annotated[str | None, typer.Option("--host", help="Of this host.")] = None,
    tag: Annotated[str | None, typer.Option("--tag", help="Of hosts with this tag.")] = None,
    kind: Annotated[str | None, typer.Option("--kind", help="Only these: agent_offline, …")] = None,
    lasts: Annotated[
        str | None, typer.Option("--for", metavar="TIME", help="How long: 90m, 3h, 2d.")
    ] = None,
    begins_at: Annotated[
        str | None, typer.Option("--from", metavar="WHEN", help="2026-11-23T22:00; default now.")
    ] = None,
    ends_at: Annotated[
        str | None, typer.Option("--to", metavar="WHEN", help="Until when, instead of --for.")
    ] = None,
    weekly: Annotated[
        str | None,
        typer.Option("--weekly", metavar="TIMES", help='Only then: "sat,sun 22:00-06:00".'),
    ] = None,
    zone: Annotated[str, typer.Option("--zone", help="Whose clock --weekly means.")] = "UTC",
    until_ended: Annotated[
        bool, typer.Option("--until-ended", help="With --weekly: until somebody ends it.")
    ] = False,
    reason: Annotated[str, typer.Option("--reason", help="Why; others see it.")] = "",
) -> None:
    """Have nobody told of some alerts for a while.

    What is named must all fit. The alerts are raised and shown; when no silence covers one any more
    and it still holds, it is told then. WHEN is in this machine's time zone unless it names one.

    \b
    Examples:
      dormice silence add --host web-3 --for 3h --reason "new disks"
      dormice silence add --tag lab --from 2026-11-23T22:00 --to 2026-11-24T06:00
      dormice silence add --kind stale_schedule --for 14d
      dormice silence add --tag prod --weekly "sun 02:00-04:00" --zone Europe/Berlin --until-ended
    """
    from cli.silences import NewSilence, create_silence

    wanted = NewSilence(
        host, tag, kind, lasts, begins_at, ends_at, reason, weekly, zone, until_ended
    )
    create_silence(ask, wanted)


@silence_app.command("list")
@listing
def list_silences(
    ask: Ask,
    every: Annotated[bool, typer.Option("--all", help="Also those that are over.")] = False,
) -> None:
    """List silences: whom they are for, until when, why."""
    from cli.silences import fetch_silences

    ask.out.show_list(lambda: fetch_silences(ask.client, every=every))


@silence_app.command("end")
@asking
def end_silence(
    ask: Ask,
    silence: Annotated[str, typer.Argument(metavar="SILENCE", help="Its id or a part of it.")],
) -> None:
    """End a silence now.

    What it covered and still holds is told at once.
    """
    from cli.silences import end_by_hand

    end_by_hand(ask, silence)
