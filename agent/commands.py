"""`dormice agent …`: enroll, run, status, logs. The lead program mounts `app`.

What is only needed by one command is imported there: every `dormice …` reads this file.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agent.errors import EnrollRefused, NotEnrolled
from libs.common.errors import DormiceError

if TYPE_CHECKING:
    from agent.settings import AgentSettings

app = typer.Typer(help="The backup agent of this machine.", no_args_is_help=True)
FOLLOW_SECONDS = 0.5

State = Annotated[Path | None, typer.Option("--state", help="Directory of the agent's state.")]
ConfigFile = Annotated[Path | None, typer.Option("--config", help="TOML file, table [agent].")]


@app.command()
def enroll(  # noqa: PLR0913  # Typer: one parameter for each option.
    url: Annotated[str, typer.Argument(help="The gateway, such as http://HOST:8481")],
    token: Annotated[
        str | None,
        typer.Argument(help="Better given by DORMICE_ENROLL_TOKEN, --token-file or stdin."),
    ] = None,
    token_file: Annotated[Path | None, typer.Option("--token-file", help="- is stdin.")] = None,
    name: Annotated[str | None, typer.Option(help="The host's name; default its own.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Enroll again, as a new host.")] = False,
    state: State = None,
    config: ConfigFile = None,
) -> None:
    """Enroll this machine with a gateway, once."""
    from agent import enroll as enrollment
    from agent.settings import AgentSettings

    try:
        settings = AgentSettings.load(config, state=state)
        found = _token(token, token_file)
        identity = enrollment.enroll(url, found, settings, name=name, force=force)
    except DormiceError as error:
        _fail(error)
    typer.echo(f"enrolled as {identity.host_id} with {identity.gateway}")
    typer.echo("next: dormice agent run")


@app.command()
def run(state: State = None, config: ConfigFile = None) -> None:
    """Run the agent until SIGTERM or Ctrl-C."""
    from agent.app import Agent
    from agent.settings import AgentSettings
    from agent.state import StateDirectory
    from libs.common import logging

    try:
        settings = AgentSettings.load(config, state=state)
        files = StateDirectory(settings.state)
        files.prepare()
        logging.configure(level=settings.log_level, form=settings.log_form, file=files.log)
        asyncio.run(Agent(settings).run())
    except DormiceError as error:
        _fail(error)


@app.command()
def status(
    state: State = None,
    config: ConfigFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Show what the agent of this machine does. Exit 1 if it does not run or is not enrolled."""
    from agent.settings import AgentSettings

    try:
        facts = describe(AgentSettings.load(config, state=state))
    except DormiceError as error:
        _fail(error)
    if as_json:
        typer.echo(json.dumps(facts, indent=2))
    else:
        _print_facts(facts)
    raise typer.Exit(0 if facts["running"] and facts["enrolled"] else 1)


@app.command()
def logs(
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="How many.")] = 50,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Wait for more.")] = False,
    state: State = None,
    config: ConfigFile = None,
) -> None:
    """Show the end of the agent's log."""
    from agent.settings import AgentSettings
    from agent.state import StateDirectory

    try:
        path = StateDirectory(AgentSettings.load(config, state=state).state).log
        with path.open(encoding="utf-8", errors="replace") as file:
            for line in deque(file, maxlen=lines):
                typer.echo(line.rstrip("\n"))
            if follow:
                asyncio.run(_follow(file))
    except OSError as error:
        _say_error(f"no log to show: {error}")
        raise typer.Exit(1) from None
    except DormiceError as error:
        _fail(error)
    except KeyboardInterrupt:
        return


def describe(settings: AgentSettings) -> dict[str, Any]:
    """Return what `status` shows, from the state directory alone; it holds no secret."""
    from agent import schedule
    from agent.state import StateDirectory
    from libs.common.clock import SystemClock, to_rfc3339

    files = StateDirectory(settings.state)
    facts: dict[str, Any] = {"state_directory": str(files.root), "running": files.is_running()}
    try:
        identity = files.get_identity()
        facts |= {"enrolled": True, "host_id": identity.host_id, "gateway": identity.gateway}
    except NotEnrolled:
        return facts | {"enrolled": False, "next": "dormice agent enroll URL"}
    facts |= {"engine": settings.engine, "status": files.find_status()}
    applied = files.find_config()
    if applied is not None:
        fire = schedule.next_fire_time(applied.config, SystemClock().now())
        facts["config_version"] = applied.config.version
        facts["next_fire"] = None if fire is None else to_rfc3339(fire)
        facts["problem"] = schedule.find_problem(applied.config)
        facts["repository"] = "set" if applied.config.repository else "not set"
    if files.database.exists():
        facts |= _spool_facts(files.database, settings)
    return facts


def _spool_facts(path: Path, settings: AgentSettings) -> dict[str, Any]:
    from agent.spool import Spool
    from agent.store import AgentStore

    store = AgentStore(path)
    try:
        spool = Spool(store, limit_bytes=settings.spool_bytes)
        full = spool.is_full()
        facts: dict[str, Any] = {
            "reports_waiting": spool.count(),
            "reports_bytes": spool.size(),
            "spool_full": full,
        }
    finally:
        store.close()
    if full:
        facts["blocked"] = "no new run: the reports of earlier ones fill the spool"
    return facts


def _print_facts(facts: dict[str, Any]) -> None:
    from rich.console import Console  # Only here: a running agent does without.

    console = Console(highlight=False, soft_wrap=True)
    for key, value in facts.items():
        shown = json.dumps(value) if isinstance(value, (dict, list)) else value
        console.print(f"{key.replace('_', ' '):<16} {shown}", markup=False)


def _token(argument: str | None, file: Path | None) -> str:
    if argument:
        typer.echo(
            "warning: a token as an argument is seen by every user of this machine", err=True
        )
        return argument
    if file is not None and str(file) != "-":
        try:
            return file.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise EnrollRefused(f"cannot read the token: {error}") from None
    if file is None and (token := os.environ.get("DORMICE_ENROLL_TOKEN")):
        return token
    if sys.stdin.isatty():
        return str(typer.prompt("Enrollment token", hide_input=True))
    token = sys.stdin.readline().strip()
    if not token:
        raise EnrollRefused(
            "no token: set DORMICE_ENROLL_TOKEN, use --token-file, or write it to stdin"
        )
    return token


async def _follow(file: Any) -> None:
    while True:
        line = file.readline()
        if line:
            typer.echo(line.rstrip("\n"))
        else:
            await asyncio.sleep(FOLLOW_SECONDS)


def _say_error(message: str) -> None:
    typer.echo(f"error: {message}", err=True)


def _fail(error: DormiceError) -> Any:
    _say_error(error.message)
    raise typer.Exit(1) from None
