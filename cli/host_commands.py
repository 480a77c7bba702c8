"""One host: show it, say whether it may sleep, rename, tag, remove it; back it up."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.main import app
from cli.options import Ask, asking

host_app = typer.Typer(help="Show or change one host.", no_args_is_help=True)
app.add_typer(host_app, name="host")

Host = Annotated[str, typer.Argument(metavar="HOST", help="Name or id; its beginning will do.")]
MODES = {"always-on": True, "24x7": True, "24×7": True, "intermittent": False}


@host_app.command()
@asking
def show(ask: Ask, host: Host) -> None:
    """Show a host: presence, groups, schedules, open alerts."""
    from cli.host_page import fetch_page, page_lines
    from libs.common.clock import SystemClock

    page = fetch_page(ask.client, host)
    if ask.as_json:
        ask.out.json(page.as_dict())
    else:
        ask.out.lines(page_lines(page, SystemClock().now(), ask.out.terminal))


@host_app.command()
@asking
def mode(
    ask: Ask, host: Host,
    wanted: Annotated[str, typer.Argument(metavar="MODE", help="always-on or intermittent.")],
) -> None:  # fmt: skip
    """Say whether a host is expected online 24×7, or may sleep.

    Always-on: silence raises an alert. Intermittent (laptops, workstations): no offline alerts; a
    missed backup is caught up about a minute after it is back.

    \b
    Examples:
      dormice host mode laptop-7 intermittent
    """
    from cli.errors import BadCommand
    from cli.finding import find_host

    if wanted.lower() not in MODES:
        raise BadCommand(f"{wanted[:40]!r} is no mode; say always-on or intermittent")
    found = find_host(ask.client, host)
    always_on = MODES[wanted.lower()]
    changed = ask.client.put(f"/hosts/{found['id']}/mode", {"always_on": always_on})
    now = "expected online 24×7" if changed["always_on"] else "intermittent: it may sleep"
    ask.out.result(changed, f"{changed['name']} is {now}")


@host_app.command()
@asking
def rename(
    ask: Ask,
    host: Host,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its new name.")],
) -> None:
    """Give a host another name.

    1-64 of a-z 0-9 . _ - and none that another host has.
    """
    from cli.finding import find_host

    found = find_host(ask.client, host)
    changed = ask.client.patch(f"/hosts/{found['id']}", {"name": name})
    ask.out.result(changed, f"{found['name']} is now {changed['name']}")


@host_app.command()
@asking
def tag(
    ask: Ask,
    host: Host,
    tags: Annotated[list[str] | None, typer.Argument(metavar="[TAG]", help="To add.")] = None,
    remove: Annotated[list[str] | None, typer.Option("--remove", help="To take off.")] = None,
) -> None:
    """Add tags to a host, take some off, or show them.

    \b
    Examples:
      dormice host tag laptop-7 paris sales
      dormice host tag laptop-7 --remove sales
    """
    from cli.errors import BadCommand
    from cli.finding import find_host

    if signed := next((one for one in tags or [] if one.lstrip().startswith(("+", "-"))), None):
        bare = signed.strip().lstrip("+-")[:40] or "TAG"
        raise BadCommand(f"a tag has no sign: {bare} adds it, --remove {bare} takes it off")
    found = find_host(ask.client, host)
    off = {one.lower() for one in remove or []}
    wanted = [one for one in [*found["tags"], *(tags or [])] if one.lower() not in off]
    if tags or remove:
        found = ask.client.patch(f"/hosts/{found['id']}", {"tags": list(dict.fromkeys(wanted))})
    ask.out.result(found, f"{found['name']}: {', '.join(found['tags']) or 'no tags'}")


@host_app.command()
@asking
def remove(
    ask: Ask, host: Host,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
) -> None:  # fmt: skip
    """Remove a host for ever.

    Its agent is refused from then on. Its backups stay.
    """
    from cli.finding import find_host
    from cli.removing import remove as remove_one

    found = find_host(ask.client, host)
    question, said = f"Remove {found['name']} for ever?", f"{found['name']} is removed"
    remove_one(ask, "/hosts", found, question, said, sure=yes)


@host_app.command("rotate-token")
@asking
def rotate_token(ask: Ask, host: Host) -> None:
    """Have a host's agent take a new token.

    The old one ends with the first use of the new one, or after 24 h.
    """
    from cli.finding import find_host

    found = find_host(ask.client, host)
    ask.client.post(f"/hosts/{found['id']}/rotate-token")
    ask.out.result({"id": found["id"]}, f"{found['name']} gets a new token when it connects")


@app.command()
@asking
def backup(
    ask: Ask,
    host: Host,
    group: Annotated[
        str | None, typer.Option("--group", "-g", help="Which source group, if it has several.")
    ] = None,
    when_it_wakes: Annotated[
        bool, typer.Option("--when-it-wakes", help="If it is away, as soon as it is back.")
    ] = False,
    wait: Annotated[bool, typer.Option("--wait", help="For its end; exit 1 if bad.")] = False,
) -> None:
    """Back a host up now.

    \b
    Examples:
      dormice backup web-3 --wait
      dormice backup laptop-7 --group home --when-it-wakes
    """
    from cli.backup import run_backup

    run_backup(ask, host, group, when_it_wakes=when_it_wakes, wait=wait)
