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
from typing import Annotated, Any, NoReturn

import typer

from agent.errors import EnrollRefused
from libs.common.errors import DormiceError

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
    typer.echo("next: dormice agent install, or dormice agent run")


@app.command()
def run(state: State = None, config: ConfigFile = None) -> None:
    """Run the agent until SIGTERM or Ctrl-C."""
    from agent import daemon

    try:
        daemon.run(state, config)
    except DormiceError as error:
        _fail(error)


@app.command()
def install(
    user: Annotated[bool, typer.Option("--user", help="For you alone, without root.")] = False,
    print_only: Annotated[bool, typer.Option("--print", help="Show it, write nothing.")] = False,
    state: State = None,
    config: ConfigFile = None,
) -> None:
    """Have the agent start with this machine.

    Writes a systemd unit or a launchd plist, and prints the command for a Windows task.
    """
    from agent import installing
    from agent.settings import AgentSettings

    try:
        settings = AgentSettings.load(config, state=state)
        wanted = installing.plan(settings, config, user=user)
        if print_only or wanted.path is None:
            typer.echo(wanted.text, nl=False)
        else:
            typer.echo(installing.install(settings, wanted))
    except DormiceError as error:
        _fail(error)
    for step in wanted.steps:
        typer.echo(f"next: {step}", err=print_only)


@app.command()
def status(
    state: State = None,
    config: ConfigFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Show what the agent of this machine does. Exit 1 if it does not run or is not enrolled."""
    from agent.settings import AgentSettings
    from agent.status import describe, next_step

    try:
        facts = describe(AgentSettings.load(config, state=state))
    except DormiceError as error:
        _fail(error)
    if as_json:
        typer.echo(json.dumps(facts | {"next": next_step(facts)}, indent=2))
    else:
        _print_status(facts)
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
    except DormiceError as error:
        _fail(error)
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            for line in deque(file, maxlen=lines):
                typer.echo(line.rstrip("\n"))
            if follow:
                asyncio.run(_follow(file))
    except FileNotFoundError:
        _say_error(f"no log yet in {path.parent}; next: dormice agent run")
        raise typer.Exit(1) from None
    except OSError as error:
        _say_error(f"cannot read {path}: {error.strerror}")
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        return


def _print_status(facts: dict[str, Any]) -> None:
    from agent.status import lines_of, next_step

    for what, said in lines_of(facts):
        typer.echo(f"{what:<13}  {said}")
    step = next_step(facts)
    if step is not None:
        typer.echo(f"\nnext: {step}")


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


def _fail(error: DormiceError) -> NoReturn:
    _say_error(error.message)
    raise typer.Exit(1) from None
