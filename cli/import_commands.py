"""Take over how a machine was backed up before: from resticprofile, or from a crontab."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.main import app
from cli.options import Ask, asking

if TYPE_CHECKING:
    from cli.adopt.plan import Plan

import_app = typer.Typer(help="Take over what backed a machine up before.", no_args_is_help=True)
app.add_typer(import_app, name="import")

File = Annotated[Path, typer.Argument(metavar="FILE", help="Its configuration; - is stdin.")]
Host = Annotated[str | None, typer.Option("--host", help="Whose backups they are.")]
Apply = Annotated[bool, typer.Option("--apply", help="Do it; without, it is only shown.")]


@import_app.command("resticprofile")
@asking
def import_resticprofile(ask: Ask, file: File, host: Host = None, apply: Apply = False) -> None:
    """Propose groups and schedules from resticprofile's files.

    TOML, YAML or JSON, version 1 or 2. What cannot be taken over is said. With --host and --apply
    the host gets what it lacks: groups with retention and hooks, schedules, and the repository if
    its password is in a file. Stop the old schedules yourself.

    \b
    Examples:
      dormice import resticprofile /etc/resticprofile/profiles.yaml
      dormice import resticprofile profiles.toml --host web-3 --apply
    """
    from cli.adopt.resticprofile import parse, read_profiles

    name = "profiles.yaml" if str(file) == "-" else file.name
    folder = Path() if str(file) == "-" else file.parent
    _finish(ask, read_profiles(parse(_text(file), name), folder), host, apply=apply)


@import_app.command("crontab")
@asking
def import_crontab(
    ask: Ask, file: File, host: Host = None, apply: Apply = False,
    system: Annotated[
        bool, typer.Option("--system", help="Each line names a user, as in /etc/cron.d.")
    ] = False,
) -> None:  # fmt: skip
    """Propose groups and schedules from a crontab.

    What a script does that a line runs cannot be seen. /etc/crontab and /etc/cron.d are known.

    \b
    Examples:
      crontab -l | dormice import crontab -
      dormice import crontab /etc/cron.d/restic --host web-3 --apply
    """
    from cli.adopt.crontab import read_crontab

    with_users = system or str(file.absolute()).startswith(("/etc/crontab", "/etc/cron.d/"))
    plan = read_crontab(_text(file), with_users=with_users)
    _finish(ask, plan, host, apply=apply)


def _text(file: Path) -> str:
    import sys

    from cli.asking import read_text

    return sys.stdin.read() if str(file) == "-" else read_text(file)


def _finish(ask: Ask, plan: Plan, host: str | None, *, apply: bool) -> None:
    from cli.adopt import applying
    from cli.errors import BadCommand

    if apply and host is None:
        raise BadCommand("say whose backups they are: --host HOST")
    if apply and host is not None:
        applying.apply(ask, host, plan)
        return
    applying.show(ask, plan, f"the same with --host {host or 'HOST'} --apply")
