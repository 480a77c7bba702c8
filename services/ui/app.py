"""Joins the ui: its machine, its file, the bus, the first admin and the listener for browsers."""

from __future__ import annotations

import asyncio

import structlog

from libs.common.aio import cancel
from libs.common.bus.base import Bus
from libs.common.clock import Clock, SystemClock
from libs.common.errors import DormiceError, Unavailable
from libs.common.listener import Listener
from libs.common.loop.service import Service
from libs.common.metrics import Metrics
from services.ui.auth import Auth
from services.ui.calls import Calls
from services.ui.file import StateFile
from services.ui.machine import UiMachine
from services.ui.reconcile import Reconciler
from services.ui.settings import UiSettings
from services.ui.site import Site
from services.ui.web import web_application

log = structlog.get_logger()


class Ui:
    """The running ui. `url` is known once `listening` is set.

    `prepared` is set once the first admin's ways in exist; `setup_code` is then the code to print,
    or None if somebody can log in already. `site.reasons_not_ready` may be replaced by that of the
    whole system.
    """

    def __init__(self, settings: UiSettings, bus: Bus, clock: Clock) -> None:
        self.settings = settings
        machine = UiMachine()
        database = StateFile(settings.database_path, machine.package)
        self.service = Service(machine, bus, database, clock=clock)
        self.metrics = Metrics(machine.name)
        self.metrics.watch(self.service)
        self.site = Site(
            settings, self.service, Calls(self.service, bus), Auth(self.service, settings),
            lambda: self.reasons_not_ready,
        )  # fmt: skip
        self.setup_code: str | None = None
        self.listening, self.prepared = asyncio.Event(), asyncio.Event()
        self._connected = asyncio.Event()
        self.service.on_signal("connected", lambda _: self._connected.set())
        self._reconciler = Reconciler(self.service, self.site.calls)
        self._reconciling: asyncio.Task[None] | None = None
        self.service.on_signal("log_reset", self._on_log_reset)
        self._listener = Listener(
            web_application(self.site, self.metrics), settings.ui_listen,
            setting=settings.variable("ui_listen"),
        )  # fmt: skip

    @property
    def url(self) -> str:
        return self._listener.url

    @property
    def reasons_not_ready(self) -> list[str]:
        """Empty once the loop is ready and the first admin can come in."""
        lacking = [] if self.prepared.is_set() else ["the first admin's token is not there yet"]
        return [*self.service.reasons_not_ready, *lacking]

    async def run(self) -> None:
        """Listen and work until `stop`. Raises: SettingsError, StoreLocked, StoreBroken."""
        self.site.auth.admin_token()  # A data directory that cannot be written ends the start.
        await self._listener.start()
        log.info("ui_listening", url=self.url)
        self.listening.set()
        preparing = asyncio.create_task(self._prepare())
        try:
            await self.service.run()
        finally:
            await cancel(preparing)
            if self._reconciling is not None:
                await cancel(self._reconciling)
            self.site.closing.set()
            await self._listener.stop()

    def _on_log_reset(self, _: object) -> None:
        """What happened unseen is asked of the owners."""
        if self._reconciling is None or self._reconciling.done():
            self._reconciling = asyncio.create_task(self._reconcile())

    async def _reconcile(self) -> None:
        try:
            await self._reconciler.run()
        except DormiceError as error:
            log.error("not_reconciled", error=error.message)

    async def stop(self) -> None:
        """End the streams, answer what is being asked, and make `run` return."""
        self.site.closing.set()
        await self.service.stop()

    async def _prepare(self) -> None:
        """Once the log is read, make the first admin's ways in; again if the bus went away."""
        while not self.prepared.is_set():
            await self._connected.wait()
            self._connected.clear()
            try:
                self.setup_code = await self.site.auth.prepare()
            except Unavailable:
                self._connected.set()
            except DormiceError as error:
                log.error("first_admin_not_prepared", error=error.message)
            else:
                self.prepared.set()


def build(settings: UiSettings, bus: Bus, clock: Clock | None = None) -> Ui:
    """Return the ui, ready to `run`; `bus` is connected under the user `ui`."""
    return Ui(settings, bus, clock or SystemClock())
