"""The commands `dormice backup-state` and `dormice restore-state`. What they need comes late."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.errors import BadCommand
from cli.main import ConfigFile, Data, app
from cli.options import Json


@app.command("backup-state")
def backup_state(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The archive; - is stdout.")],
    force: Annotated[bool, typer.Option("--force", help="Replace FILE if it is there.")] = False,
    data: Data = None,
    config: ConfigFile = None,
    as_json: Json = False,
) -> None:
    """Put all that cannot be made anew into one archive.

    Hosts, repositories, tokens, channels, operators, alerts, jobs: the state files of all services,
    the keys of their secrets, the first admin's token and the passwords of the bus. It works while
    everything runs and while nothing does. The archive holds secrets, and only you can read it.

    \b
    Examples:
      dormice backup-state /backup/dormice-$(date +%F).tar.gz
      dormice backup-state - | age -r age1… > dormice.tar.gz.age
    """
    from cli.output import Output, warn
    from cli.state.backup import STDOUT
    from cli.state.backup import backup_state as back_up
    from cli.state.told import backup_facts, backup_sentence
    from cli.up import UpSettings

    if as_json and file == STDOUT:
        raise BadCommand("the archive goes to stdout, so --json cannot: name a FILE")
    folder = UpSettings.load(config, data=data).data
    made = back_up(folder, file, force=force)
    for name in made.strangers:
        warn(f"left out: {name}, which is not Dormice's")
    if file == STDOUT:
        warn(backup_sentence(made))
    else:
        step = f"dormice restore-state {file} --data DIR"
        Output(as_json).result(backup_facts(made), backup_sentence(made), step)


@app.command("restore-state")
def restore_state(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The archive; - is stdin.")],
    data: Data = None,
    config: ConfigFile = None,
    as_json: Json = False,
) -> None:
    """Put the state of an archive into an empty directory.

    Of this build or an older one; the directory may be missing. The bus begins empty, and the
    services publish anew what they hold. Have stopped what ran on that state before: two control
    planes with the same state do everything twice.

    \b
    Examples:
      dormice restore-state /backup/dormice-2026-11-26.tar.gz --data /var/lib/dormice
    """
    from cli.output import Output
    from cli.state.restore import restore_state as restore
    from cli.state.told import is_whole, restore_facts, restore_sentence
    from cli.up import UpSettings

    folder = UpSettings.load(config, data=data).data
    manifest = restore(file, folder)
    step = f"dormice up --data {data}" if data is not None else "dormice up"
    Output(as_json).result(
        restore_facts(manifest, folder),
        restore_sentence(manifest, folder),
        step if is_whole(manifest) else "",
    )
