"""`dormice run SERVICE`: one service in its own process, against a given NATS."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

from cli.alone import refuse_unfinished
from cli.errors import BadCommand
from cli.health_listener import HealthSettings, make_listener
from cli.init import make_secrets
from cli.known_settings import check_file, warn_of_variables
from cli.services import NAMES, Runnable, build, loop_of, settings_class
from cli.up import UpSettings
from libs.common.aio import cancel
from libs.common.bus.nats import NatsBus
from libs.common.bus.settings import BusSettings, ask_durable, make_bus, require_durable
from libs.common.bus.topology import ensure, ensure_readers
from libs.common.collector import collect_seldom
from libs.common.errors import SettingsError
from libs.common.logging import configure

ASK_AGAIN_SECONDS = 5.0
SETUP = {"setup": ensure, "setup-readers": ensure_readers}


def run_service(name: str, data: Path | None, config_file: Path | None, level: str | None) -> None:
    """Run until SIGINT or SIGTERM. `init`, `setup` and `setup-readers` make what is missing,
    and end.

    Raises: DormiceError with one line.
    """
    if name not in (*NAMES, *SETUP, "init"):
        known = ", ".join((*NAMES, *SETUP))
        raise BadCommand(f"there is no service {name[:40]!r}; there is {known}")
    check_file(config_file)
    configure(level=UpSettings.load(config_file, data=data, log_level=level).log_level)
    warn_of_variables()
    if name == "init":
        make_secrets(data or Path("dormice-data"))
        return
    settings = BusSettings.load(config_file)
    if settings.nats_url is None:
        raise SettingsError("DORMICE_NATS_URL: say where the bus is, such as nats://127.0.0.1:4222")
    if name in SETUP:
        asyncio.run(_set_up(settings, name))
    else:
        own = settings_class(name).load(config_file, data=data)
        refuse_unfinished(own.data)
        asyncio.run(_run(name, own, settings, HealthSettings.load(config_file)))


async def _set_up(settings: BusSettings, user: str) -> None:
    bus = make_bus(settings, user)
    await bus.connect()
    try:
        await SETUP[user](bus)
    finally:
        await bus.close()


async def _run(name: str, own: object, settings: BusSettings, health: HealthSettings) -> None:
    if settings.require_durable:
        await require_durable(settings.nats_monitor_url)
    bus = make_bus(settings, name)
    bus.durable = True if settings.require_durable else None
    asking = asyncio.create_task(_learn_durability(bus, settings.nats_monitor_url))
    service = build(name, own, bus)
    collect_seldom()
    loop = asyncio.get_running_loop()
    stopping: set[asyncio.Task[None]] = set()

    def stop() -> None:
        stopping.add(loop.create_task(service.stop()))

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    try:
        await _with_health(name, service, health)
    finally:
        await cancel(asking)
        await bus.close()


async def _learn_durability(bus: NatsBus, monitor_url: str | None) -> None:
    """Ask until it is known, for /readyz."""
    while monitor_url is not None and bus.durable is None:
        bus.durable = await ask_durable(monitor_url)
        await asyncio.sleep(ASK_AGAIN_SECONDS)


async def _with_health(name: str, service: Runnable, settings: HealthSettings) -> None:
    """Run the service, and beside it /healthz, /readyz and /metrics, unless its own listener has
    them."""
    listener = None
    if name not in ("gateway", "ui"):
        listener = make_listener(loop_of(service), settings)
    if listener is not None:
        await listener.start()
    try:
        await service.run()
    finally:
        if listener is not None:
            await listener.stop()
