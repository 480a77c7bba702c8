"""Commands that run the control plane, or parts of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.errors import BadCommand
from cli.main import ConfigFile, Data, app
from cli.options import Json
from libs.common.errors import NotFound


@app.command()
def up(
    data: Data = None,
    config: ConfigFile = None,
    with_this_machine: Annotated[
        bool, typer.Option(help="Enrol this machine as the first host and run its agent.")
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show the log here.")] = False,
) -> None:
    """Run everything on this machine: NATS and all services.

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
    """Print nats://user:password@host:port of one bus user.

    It is a secret.

    \b
    Examples:
      DORMICE_NATS_URL=$(dormice bus-url reader) dormice events --follow
    """
    from cli.up import UpSettings
    from libs.common.bus.embedded import load_passwords
    from libs.common.bus.rights import USERS

    if user not in USERS:
        raise BadCommand(f"there is no bus user {user!r}; there are {', '.join(sorted(USERS))}")
    folder = UpSettings.load(data=data).data
    address = folder / "nats.url"
    if not address.exists():
        raise NotFound(f"no `dormice up` has run on {folder}")
    url = Path(address).read_text().strip()
    print(url.replace("//", f"//{user}:{load_passwords(folder)[user]}@", 1))


@app.command()
def rebuild(
    service: Annotated[
        str, typer.Argument(metavar="SERVICE", help="presence, alerting, catchup or jobs.")
    ],
    data: Data = None,
    config: ConfigFile = None,
    as_json: Json = False,
) -> None:
    """Make the state file of a service anew from the bus.

    For a file that is damaged or lost; stop `dormice up` or the service before. All that the log
    holds is replayed, and what is older comes from the buckets. Nothing is decided or published,
    and the old file is kept as SERVICE.db.before-rebuild.

    \b
    Examples:
      dormice rebuild presence --data /var/lib/dormice
    """
    from cli.output import Output
    from cli.rebuild import rebuild_service
    from libs.common.logging import configure

    configure(level="warning")
    made = rebuild_service(service, data, config)
    kept = f"; the old file is {made['kept']}" if made["kept"] else ""
    Output(as_json).result(
        made, f"{service} is rebuilt from {made['events']} events{kept}", "dormice up"
    )


@app.command("rotate-keys")
def rotate_keys(data: Data = None, config: ConfigFile = None, as_json: Json = False) -> None:
    """Seal all secrets at rest with new keys.

    Those of repositories, agent tokens and channels; the keys are registry.key and notify.key. The
    old keys are forgotten, so an earlier copy of the state needs its own. Stop `dormice up` before.

    \b
    Examples:
      dormice rotate-keys --data /var/lib/dormice
    """
    from cli.keys import rotate_keys as rotate
    from cli.known_settings import check_file
    from cli.output import Output
    from cli.up import UpSettings

    check_file(config)
    counts = rotate(UpSettings.load(config, data=data).data)
    said = ", ".join(f"{name} {count}" for name, count in counts.items())
    Output(as_json).result(counts, f"new keys; secrets sealed anew: {said}", "dormice up")


@app.command()
def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Keep the folder, for a look.")] = False,
    record: Annotated[
        Path | None, typer.Option("--record", help="A file for what happened and when.")
    ] = None,
) -> None:
    """Watch a fleet live through four weeks in three minutes.

    Two servers and three laptops: real agents, real restic, a real bus. Exit code 1 if anything
    did not happen.
    """
    from cli.demo.command import play

    play(keep=keep, record=record)
