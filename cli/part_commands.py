"""What a host backs up, when, and where to: group, schedule, repository."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.main import app
from cli.options import Ask, asking, listing

group_app = typer.Typer(help="What a host backs up together.", no_args_is_help=True)
schedule_app = typer.Typer(help="When a host backs up.", no_args_is_help=True)
repository_app = typer.Typer(help="Where a host backs up to.", no_args_is_help=True)
app.add_typer(group_app, name="group")
app.add_typer(schedule_app, name="schedule")
app.add_typer(repository_app, name="repository")

Host = Annotated[str, typer.Argument(metavar="HOST", help="Name or id; its beginning will do.")]
Group = Annotated[str, typer.Argument(metavar="GROUP", help="Name or id.")]
Schedule = Annotated[str, typer.Argument(metavar="SCHEDULE", help="Name or id.")]


@group_app.command("add")
@asking
def add_group(  # noqa: PLR0913  # Typer: one parameter for each option.
    ask: Ask,
    host: Host,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Also the tag of its snapshots.")],
    paths: Annotated[list[str], typer.Argument(metavar="PATH", help="On the host.")],
    exclude: Annotated[
        list[str] | None, typer.Option("--exclude", "-x", help="A pattern; may be repeated.")
    ] = None,
    retry_max: Annotated[int, typer.Option("--retry-max", min=0, help="Tries after a fault.")] = 0,
    keep: Annotated[
        list[str] | None, typer.Option("--keep", "-k", help="daily=7, …; may be repeated.")
    ] = None,
) -> None:
    """Say what a host backs up together.

    \b
    Examples:
      dormice group add laptop-7 home /home --exclude '*.cache' --keep daily=7 --keep weekly=4
    """
    from cli.finding import find_host
    from cli.parts import retention_of

    found = find_host(ask.client, host)
    body = {"name": name, "includes": paths, "excludes": exclude or [], "retry_max": retry_max}
    if keep:
        body["retention"] = retention_of(keep)
    made = ask.client.post(f"/hosts/{found['id']}/source-groups", body)
    step = f"dormice schedule add {found['name']} '0 2 * * *' --group {name}"
    ask.out.result(made, f"{found['name']} has the group {made['name']}", step)


@group_app.command("list")
@listing
def list_groups(ask: Ask, host: Host) -> None:
    """List a host's source groups, with the last success of each."""
    from cli.parts import fetch_groups

    ask.out.show_list(lambda: fetch_groups(ask.client, host))


@group_app.command("keep")
@asking
def keep_of_group(
    ask: Ask,
    host: Host,
    group: Group,
    rules: Annotated[list[str], typer.Argument(metavar="RULE", help="daily=7, within=30d, …")],
) -> None:
    """Say which snapshots of a source group a forget keeps.

    The rules are restic's: last, hourly, daily, weekly, monthly, yearly, within.

    \b
    Examples:
      dormice group keep laptop-7 home daily=7 weekly=4 monthly=12
    """
    from cli.parts import set_retention

    set_retention(ask, host, group, rules)


@group_app.command("remove")
@asking
def remove_group(
    ask: Ask, host: Host, group: Group,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
) -> None:  # fmt: skip
    """Remove a source group.

    Its snapshots stay; schedules go on without it. One that has no other group never runs then.
    """
    from cli.parts import remove_group as remove

    remove(ask, host, group, sure=yes)


@schedule_app.command("add")
@asking
def add_schedule(  # noqa: PLR0913  # Typer: one parameter for each option.
    ask: Ask,
    host: Host,
    cron: Annotated[str, typer.Argument(metavar="CRON", help="Five fields in quotes, or @daily.")],
    group: Annotated[
        list[str], typer.Option("--group", "-g", help="What to back up; may be repeated.")
    ],
    name: Annotated[str | None, typer.Option("--name", help="What you call it.")] = None,
    timezone: Annotated[
        str | None, typer.Option("--timezone", help="Such as Europe/Paris; default the host's own.")
    ] = None,
    catch_up: Annotated[
        bool, typer.Option("--catch-up/--no-catch-up", help="Make up for missed times.")
    ] = True,
) -> None:
    """Say when a host backs up.

    \b
    Examples:
      dormice schedule add web-3 '0 2 * * *' --group data
      dormice schedule add laptop-7 '30 9 * * 1-5' -g home --name work --timezone Europe/Paris
    """
    from cli.parts import NewSchedule, create_schedule

    wanted = NewSchedule(cron, tuple(group), name, timezone, catch_up)
    create_schedule(ask, host, wanted)


@schedule_app.command("list")
@listing
def list_schedules(ask: Ask, host: Host) -> None:
    """List a host's schedules: next time, last success, overdue."""
    from cli.parts import fetch_schedules

    ask.out.show_list(lambda: fetch_schedules(ask.client, host))


@schedule_app.command("enable")
@asking
def enable_schedule(ask: Ask, host: Host, schedule: Schedule) -> None:
    """Have a schedule fire again."""
    from cli.parts import switch_schedule

    switch_schedule(ask, host, schedule, enabled=True)


@schedule_app.command("disable")
@asking
def disable_schedule(ask: Ask, host: Host, schedule: Schedule) -> None:
    """Keep a schedule, but let it not fire.

    Nothing of it is overdue meanwhile.
    """
    from cli.parts import switch_schedule

    switch_schedule(ask, host, schedule, enabled=False)


@schedule_app.command("remove")
@asking
def remove_schedule(ask: Ask, host: Host, schedule: Schedule) -> None:
    """Remove a schedule."""
    from cli.parts import remove_schedule as remove

    remove(ask, host, schedule)


@repository_app.command("set")
@asking
def set_repository(
    ask: Ask,
    host: Host,
    location: Annotated[
        str, typer.Argument(metavar="LOCATION", help="As restic knows it: s3:…, rest:…, a path.")
    ],
    password_file: Annotated[
        Path | None, typer.Option("--password-file", help="- is stdin; else you are asked.")
    ] = None,
    env_file: Annotated[
        Path | None, typer.Option("--env-file", help="Lines NAME=value, such as AWS keys.")
    ] = None,
) -> None:
    """Say where a host backs up to, and with which password.

    The password never is an argument: it comes from a file, from stdin, or you are asked for it.
    It goes to that host's agent only and is never shown again.

    \b
    Examples:
      dormice repository set laptop-7 rest:https://backup.example/laptop-7
      pass show restic/web-3 | dormice repository set web-3 /srv/backup/web-3
    """
    from cli.parts import put_repository

    put_repository(ask, host, location, password_file, env_file)
