"""Commands that run the control plane, or parts of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.main import ConfigFile, Data, app
from libs.common.errors import BadInput, NotFound


@app.command()
def up(
    data: Data = None,
    config: ConfigFile = None,
    with_this_machine: Annotated[
        bool, typer.Option(help="Enrol this machine as the first host and run its agent.")
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show the log here.")] = False,
) -> None:
    """Run everything on this machine: a real NATS server and all services.

    State is below one directory; Ctrl-C stops in order. See `dormice doctor` if it does not start.
    """
    from cli.up import Up

    when_ready = None
    if with_this_machine:
        from cli.this_machine import enrol_this_machine

        when_ready = enrol_this_machine
    Up(data, config, verbose=verbose).run(when_ready)


@app.command()
def run(
    service: Annotated[str, typer.Argument(help="registry, gateway, presence, … or setup.")],
    data: Data = None,
    config: ConfigFile = None,
    log_level: Annotated[
        str | None,
        typer.Option("--log-level", help="debug, info, warning or error (DORMICE_LOG_LEVEL)."),
    ] = None,
) -> None:
    """Run one service against a given NATS (DORMICE_NATS_URL).

    `setup` makes the log and the buckets and ends; `setup-readers` the readers' stream.
    """
    from cli.run import run_service

    run_service(service, data, config, log_level)


@app.command("bus-url")
def bus_url(
    user: Annotated[str, typer.Argument(help="A bus user, such as reader.")], data: Data = None
) -> None:
    """Print nats://user:password@host:port of one bus user. It is a secret."""
    from cli.up import UpSettings
    from libs.common.bus.embedded import load_passwords
    from libs.common.bus.rights import USERS

    if user not in USERS:
        raise BadInput(f"there is no bus user {user!r}; there are {', '.join(sorted(USERS))}")
    folder = UpSettings.load(data=data).data
    address = folder / "nats.url"
    if not address.exists():
        raise NotFound(f"no `dormice up` has run on {folder}")
    url = Path(address).read_text().strip()
    print(url.replace("//", f"//{user}:{load_passwords(folder)[user]}@", 1))


@app.command()
def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Keep the folder, for a look.")] = False,
) -> None:
    """Watch a fleet of two servers and three laptops live through four weeks in three minutes.

    Real agents, real restic, a real bus; exit code 1 if anything did not happen.
    """
    from cli.demo.command import play

    play(keep=keep)
