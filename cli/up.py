"""`dormice up`: a real nats-server and every service, in one process, on one data directory."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import signal
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import structlog
from pydantic import field_validator

from cli.alone import refuse_unfinished
from cli.banner import print_banner
from cli.known_settings import check_file, faults_of_file, warn_of_variables
from cli.services import NAMES, settings_class
from cli.system import System
from libs.common.addresses import Listen
from libs.common.aio import cancel
from libs.common.bus.embedded import BusNotStarted, EmbeddedServer
from libs.common.bus.nats import NatsBus
from libs.common.bus.settings import BusSettings, ask_durable, make_bus, require_durable
from libs.common.clock import monotonic_seconds
from libs.common.collector import collect_seldom
from libs.common.errors import SettingsError, StoreLocked
from libs.common.logging import configure
from libs.common.settings import DormiceSettings
from libs.common.store.database import FileLock

log = structlog.get_logger()

BUS_CHECK_SECONDS = 0.5
ROOM_BYTES = 2 * 2**20
"""What must be free on the disk before a bus that stores nothing is started again."""

WhenReady = Callable[["Up"], Coroutine[Any, Any, None]]


class UpSettings(DormiceSettings):
    """What `up` itself needs; every service reads its own from the same places."""

    data: Path = Path("dormice-data")
    nats_listen: Listen = "127.0.0.1:4222"
    log_level: str = "info"

    @field_validator("log_level")
    @classmethod
    def _is_known(cls, level: str) -> str:
        if level.upper() not in logging.getLevelNamesMapping():
            raise ValueError(f"{level[:32]!r} is none of debug, info, warning, error")
        return level


class Up:
    """One running control plane."""

    def __init__(self, data: Path | None, config_file: Path | None, *, verbose: bool) -> None:
        self.started = monotonic_seconds()
        check_file(config_file)
        self.settings = UpSettings.load(config_file, data=data)
        self.data = self.settings.data.resolve()
        self.bus_settings = BusSettings.load(config_file)
        self.services = {
            name: settings_class(name).load(config_file, data=self.data) for name in NAMES
        }
        self._verbose = verbose
        self._durable: bool | None = None
        self._lock: FileLock | None = None
        self.server: EmbeddedServer | None = None
        self.urls: dict[str, str] = {}
        self.stop = asyncio.Event()

    def run(self, when_ready: WhenReady | None = None) -> None:
        """Run until SIGINT or SIGTERM.

        Raises: StoreLocked, StoreBroken, BusNotStarted, SettingsError: one line each.
        """
        refuse_unfinished(self.data)
        try:
            self._lock = FileLock(self.data / "dormice")
        except StoreLocked:
            raise StoreLocked(f"another `dormice up` is running on {self.data}") from None
        self._configure_logs()
        if self.bus_settings.nats_url is None:
            self.server = EmbeddedServer(self.data, self.settings.nats_listen)
            self.server.start()
        try:
            asyncio.run(self._run(when_ready))
        finally:
            if self.server is not None:
                self.server.stop()
            self._lock.release()

    def _configure_logs(self) -> None:
        """Everything goes to DATA/dormice.log; the terminal shows warnings only."""
        configure(level=self.settings.log_level, file=self.data / "dormice.log")
        if not self._verbose:
            logging.getLogger().handlers[0].setLevel(logging.WARNING)
        warn_of_variables()

    def bus_for(self, user: str) -> NatsBus:
        """Return the unconnected bus of one user."""
        if self.server is None:
            bus = make_bus(self.bus_settings, user)
            bus.durable = self._durable
            return bus
        bus = NatsBus(self.server.url, user=user, password=self.server.passwords[user], name=user)
        bus.durable = True
        return bus

    async def _run(self, when_ready: WhenReady | None) -> None:
        collect_seldom()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._on_signal)
        system = System(self.bus_for, self.services)
        jobs: list[asyncio.Task[Any]] = []
        try:
            await self._unless_stopped(self._start(system))
            if not self.stop.is_set():
                self._write_addresses(system)
                print_banner(self, system)
                jobs = [asyncio.create_task(self._keep_bus(system))]
                if when_ready is not None:
                    jobs.append(asyncio.create_task(when_ready(self)))
                    jobs[-1].add_done_callback(self._on_job_done)
                await system.wait(self.stop)
        finally:
            for job in jobs:
                job.cancel()
            await asyncio.gather(*jobs, return_exceptions=True)
            await system.stop()

    def _write_addresses(self, system: System) -> None:
        """Leave DATA/ui.url and DATA/gateway.url, for commands beside us."""
        listeners: dict[str, Any] = {name: system.services[name] for name in ("ui", "gateway")}
        self.urls = {name: str(service.url) for name, service in listeners.items()}
        for name, url in self.urls.items():
            (self.data / f"{name}.url").write_text(url + "\n")

    async def _start(self, system: System) -> None:
        await self._check_durable()
        await system.prepare(readers=self.server is not None)
        system.start()
        await system.wait_ready()

    async def _unless_stopped(self, starting: Coroutine[Any, Any, None]) -> None:
        """Return when it is done, or when we are told to stop: the bus may never come."""
        started = asyncio.create_task(starting)
        stopped = asyncio.create_task(self.stop.wait())
        await asyncio.wait({started, stopped}, return_when=asyncio.FIRST_COMPLETED)
        await cancel(stopped)
        if started.done():
            started.result()
        await cancel(started)

    async def _check_durable(self) -> None:
        if self.server is not None:
            return
        if self.bus_settings.require_durable:
            await require_durable(self.bus_settings.nats_monitor_url)
        self._durable = await ask_durable(self.bus_settings.nats_monitor_url)

    def _on_signal(self) -> None:
        if self.stop.is_set():
            os._exit(130)  # The second Ctrl-C means now.
        self.stop.set()

    def _on_job_done(self, job: asyncio.Task[Any]) -> None:
        if not job.cancelled() and (error := job.exception()) is not None:
            log.error("start_step_failed", error=str(error))
            print(f"dormice: {error}", file=sys.stderr)

    async def _keep_bus(self, system: System) -> None:
        """Start the bus again should it die, or store nothing: nats-server never forgets that its
        disk was full. Its files hold everything that was acknowledged.

        From this thread, on which its life hangs.
        """
        while self.server is not None:
            await asyncio.sleep(BUS_CHECK_SECONDS)
            if not self.server.running:
                log.error("bus_died")
            elif system.bus_is_stuck and shutil.disk_usage(self.data).free > ROOM_BYTES:
                log.error("bus_stuck")
            else:
                continue
            self.server.kill()  # Or what is left of it.
            try:
                self.server.start()
            except BusNotStarted as error:
                log.error("bus_not_started", error=error.message)


def check_settings(data: Path | None, config_file: Path | None) -> list[str]:
    """Return what is wrong with the settings, one line each."""
    wrong = [*faults_of_file(config_file)]
    for load in (UpSettings, BusSettings, *(settings_class(name) for name in NAMES)):
        try:
            load.load(config_file, data=data) if "data" in load.model_fields else load.load(
                config_file
            )
        except SettingsError as error:
            wrong.append(error.message)
    return sorted(set(wrong))
