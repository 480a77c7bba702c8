"""Joins the gateway: its machine, its file, the bus, and the listener that agents dial."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from functools import partial
from typing import Any

import structlog
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler

from libs.common import health
from libs.common.aio import cancel
from libs.common.bus.base import Bus
from libs.common.clock import Clock, SystemClock
from libs.common.errors import DormiceError
from libs.common.listener import Listener
from libs.common.loop.service import Service
from libs.common.metrics import Metrics
from libs.common.protocol import MAX_FRAME_BYTES
from libs.common.store.database import Database
from services.gateway.agents import AgentEndpoint, Parts
from services.gateway.beats import Beats
from services.gateway.commands import Commands
from services.gateway.configs import Configs
from services.gateway.connections import Hub
from services.gateway.door import AGENT_PATH, Door
from services.gateway.enroll import Enrollment
from services.gateway.machine import LISTENING, GatewayMachine
from services.gateway.measures import Measures
from services.gateway.pulse import Pulse
from services.gateway.sessions import CONFIG_WANTED, ENDED
from services.gateway.settings import GatewaySettings
from services.gateway.sockets import AgentSocket

log = structlog.get_logger()

GOODBYE_SECONDS = 1.0
CLOSING_SECONDS = 1.0


class Gateway:
    """The running gateway. `url` is known once `listening` is set: `run` has bound the listener."""

    def __init__(self, settings: GatewaySettings, bus: Bus, clock: Clock) -> None:
        self.settings, self.bus = settings, bus
        self.machine = GatewayMachine(settings)
        database = Database(settings.database_path, self.machine.package)
        self.service = Service(self.machine, bus, database, clock=clock)
        self.metrics = Metrics(self.machine.name)
        self.metrics.watch(self.service)
        self.hub = Hub()
        measures = Measures(self.metrics, self.hub)
        self._pulse = Pulse(self.hub, self.service, self.machine)
        self._beats = Beats(self.hub, bus, settings.gateway_id, clock)
        self._configs = Configs(self.hub, self.service, bus)
        parts = Parts(
            settings, self.service, bus, clock, self.hub, self._pulse, self._configs, measures
        )
        pages = Litestar(
            [
                Enrollment(bus, clock, measures).route(),
                *self._health_routes(),
            ],
            openapi_config=None,
            logging_config=None,
        )
        self._listener = Listener(
            _Front(AgentEndpoint(parts), pages),
            settings.gateway_listen, setting="DORMICE_GATEWAY_LISTEN",
            http=Door, ws=AgentSocket, ws_max_size=MAX_FRAME_BYTES, ws_ping_interval=None,
            ws_per_message_deflate=False,
        )  # fmt: skip
        self.listening = asyncio.Event()
        self._connect_signals()

    @property
    def url(self) -> str:
        return self._listener.url

    @property
    def reasons_not_ready(self) -> list[str]:
        return self.service.reasons_not_ready

    def _health_routes(self) -> list[HTTPRouteHandler]:
        notes = partial(health.durability_notes, self.bus)
        return health.routes(self.service, self.metrics, notes)

    def _connect_signals(self) -> None:
        on = self.service.on_signal
        on(ENDED, self.hub.on_ended)
        on(CONFIG_WANTED, self._configs.on_wanted)
        on(LISTENING, self._beats.on_listening)
        on("connected", lambda _: self.hub.ready.set())
        on("disconnected", lambda _: self.hub.ready.clear())
        on("disconnected", self._beats.on_disconnected)
        on("log_reset", lambda _: self.hub.close_all("the log is new; say hello again"))

    async def run(self) -> None:
        """Listen and work until `stop`. Raises: SettingsError, StoreLocked, StoreBroken."""
        await self._listener.start()
        log.info("gateway_listening", url=self.url)
        self.listening.set()
        commands = Commands(self.hub)
        await self.bus.serve(f"dormice-cmd.{self.settings.gateway_id}.*", commands.answer)
        loops = [asyncio.create_task(self._pulse.run()), asyncio.create_task(self._beats.run())]
        try:
            await self.service.run()
        finally:
            for task in loops:
                await cancel(task)
            await self._pulse.stop()
            await self._configs.stop()
            await self._listener.stop()

    async def stop(self) -> None:
        """Say that we stop, close every socket (hosts stay online), and make `run` return."""
        self.hub.stopping = True
        if self.bus.connected:
            await self._say_stopped()
        self.hub.close_all("this gateway stops")
        try:
            async with asyncio.timeout(CLOSING_SECONDS):
                while self.hub.all:
                    await asyncio.sleep(0.01)
        except TimeoutError:
            log.info("sockets_cut", count=len(self.hub.all))
            for connection in list(self.hub.all):
                connection.cut()
        await self.service.stop()

    async def _say_stopped(self) -> None:
        """Write down who was heard, and tell; without the bus, presence will notice by itself."""
        try:
            async with asyncio.timeout(GOODBYE_SECONDS):
                await self._pulse.write()
                await self.service.submit(self.machine.stop_listening)
        except (TimeoutError, DormiceError) as error:
            log.warning("stop_not_told", reason=str(error))


class _Front:
    """Agents' sockets go straight to their endpoint; everything else to Litestar.

    No coroutine of its own waits beside theirs for as long as a connection lives.
    """

    def __init__(self, agents: AgentEndpoint, pages: Litestar) -> None:
        self._agents, self._pages = agents, pages

    def __call__(self, scope: Any, receive: Any, send: Any) -> Awaitable[None]:
        if scope["type"] != "websocket":
            return self._pages(scope, receive, send)
        if scope["path"] == AGENT_PATH:
            return self._agents(scope, receive, send)
        return _refuse(receive, send)


async def _refuse(receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "websocket.close", "code": 1008})


def build(settings: GatewaySettings, bus: Bus, clock: Clock | None = None) -> Gateway:
    """Return the gateway, ready to `run`; `bus` is connected under the user `gateway`."""
    return Gateway(settings, bus, clock or SystemClock())
