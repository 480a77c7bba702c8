"""`dormice rebuild SERVICE`: a new state file in place of one that is damaged or lost."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from cli.alone import alone_on
from cli.errors import BadCommand
from cli.known_settings import check_file
from cli.services import settings_class
from cli.up import UpSettings
from libs.common.bus.embedded import EmbeddedServer
from libs.common.bus.nats import NatsBus
from libs.common.bus.settings import BusSettings, make_bus
from libs.common.clock import SystemClock
from libs.common.errors import BadInput, NotFound, Unavailable
from libs.common.loop.machine import Machine
from libs.common.loop.rebuild import rebuild

REBUILT = ("presence", "alerting", "catchup", "jobs")
"""Their own events say all that they ever decided, so that their history comes back, too."""

NOWHERE_ELSE = {
    "registry": "repositories and tokens",
    "notify": "channels with their secrets",
    "ui": "operators and API tokens",
    "gateway": "sessions that have not ended",
}
CONNECT_SECONDS = 15.0


def rebuild_service(name: str, data: Path | None, config_file: Path | None) -> dict[str, Any]:
    """Put a new file in place; the old one is kept beside it. Return what was done.

    Raises: NotFound, BadInput, BadCommand, StoreLocked (something runs on it), Unavailable.
    """
    if name in NOWHERE_ELSE:
        raise BadInput(f"{name} cannot be rebuilt: its {NOWHERE_ELSE[name]} are in {name}.db and "
                       "nowhere else; put back a copy of it")  # fmt: skip
    if name not in REBUILT:
        raise BadCommand(f"there is no service {name[:40]!r} to rebuild; there is "
                       f"{', '.join(REBUILT)}")  # fmt: skip
    check_file(config_file)
    settings = settings_class(name).load(config_file, data=data)
    path: Path = settings.database_path
    bus_settings = BusSettings.load(config_file)
    if bus_settings.nats_url is None and not (path.parent / "nats").is_dir():
        raise NotFound(f"no bus known: no `dormice up` has run on {path.parent}")
    with alone_on(path.parent, [path]):
        new = path.with_suffix(".rebuilt")
        _remove(new)
        listen = UpSettings.load(config_file).nats_listen
        with _given_or_own_bus(name, path.parent, bus_settings, listen) as bus:
            count = asyncio.run(_make(_machine(name, settings), bus, new))
        kept = _swap(path, new)
    return {"service": name, "events": count, "kept": kept}


def _machine(name: str, settings: Any) -> Machine:
    module = import_module(f"services.{name}.machine")
    machine: Machine = getattr(module, f"{name.capitalize()}Machine")(settings)
    return machine


@contextlib.contextmanager
def _given_or_own_bus(
    name: str, folder: Path, settings: BusSettings, listen: str
) -> Iterator[NatsBus]:
    """Yield the unconnected bus of the service: a given one, or our own, started for this."""
    if settings.nats_url is not None:
        yield make_bus(settings, name)
        return
    server = EmbeddedServer(folder, listen)
    server.start()
    try:
        yield NatsBus(server.url, user=name, password=server.passwords[name], name=name)
    finally:
        server.stop()


async def _make(machine: Machine, bus: NatsBus, new: Path) -> int:
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            await bus.connect()
            await bus.wait_connected()
            await bus.prepare()
        return await rebuild(machine, bus, new, SystemClock())
    except TimeoutError:
        raise Unavailable("the bus does not answer") from None
    finally:
        await bus.close()


def _swap(path: Path, new: Path) -> str | None:
    """Put the new file in place; return where the old one is kept."""
    kept = path.with_name(f"{path.name}.before-rebuild")
    had_one = path.exists()
    _remove(kept)
    for ending in ("", "-wal", "-shm"):
        old = path.with_name(path.name + ending)
        if old.exists():
            old.replace(kept.with_name(kept.name + ending))
    new.replace(path)
    return str(kept) if had_one else None


def _remove(path: Path) -> None:
    for ending in ("", "-wal", "-shm"):
        path.with_name(path.name + ending).unlink(missing_ok=True)
