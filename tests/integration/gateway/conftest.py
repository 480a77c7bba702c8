"""A real bus, the real registry, and a gateway with short times, for fake agents to dial."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest_asyncio

from libs.common import rpc
from libs.common.bus.base import Bus, BusAway, LogMessage, ReaderLost
from libs.common.events import registry as _events  # noqa: F401  makes every event known
from libs.common.events.base import Event, decode
from libs.common.events.host import Actor
from libs.common.loop.service import Service
from libs.common.testing.fake_agent import FakeAgent
from libs.common.testing.nats import NatsServer
from services.gateway.app import Gateway
from services.gateway.app import build as build_gateway
from services.gateway.settings import GatewaySettings
from services.registry.app import build as build_registry
from services.registry.settings import RegistrySettings

OPERATOR = Actor(kind="operator", id="op-1", name="ada", role="admin")
HEARTBEAT = timedelta(seconds=1)
OFFLINE_AFTER = timedelta(seconds=3)
WAIT = timedelta(seconds=15)


@dataclass
class World:
    """The bus, the running services, and every event in the log as it is read."""

    nats: NatsServer
    folder: Path
    ui: Bus
    log: list[Event] = field(default_factory=list)
    grew: asyncio.Condition = field(default_factory=asyncio.Condition)
    running: dict[str, tuple[Any, asyncio.Task[None]]] = field(default_factory=dict)
    follower: asyncio.Task[None] | None = None

    # -- services ----------------------------------------------------------------------------------

    async def start_registry(self) -> Service:
        settings = RegistrySettings.load(data=self.folder)
        return await self._start("registry", build_registry(settings, self.nats.bus("registry")))

    async def start_gateway(self, gateway_id: str = "gw-1", **settings: Any) -> Gateway:
        listen = settings.pop("listen", "127.0.0.1:0")
        bus = settings.pop("bus", None) or self.nats.bus("gateway")
        loaded = GatewaySettings.load(
            data=self.folder / gateway_id, gateway_id=gateway_id, gateway_listen=listen,
            **({"heartbeat_interval": HEARTBEAT, "offline_after": OFFLINE_AFTER} | settings),
        )  # fmt: skip
        return await self._start(gateway_id, build_gateway(loaded, bus))

    async def _start(self, name: str, service: Any) -> Any:
        """Return once it is ready."""
        ready = asyncio.Event()
        inner: Service = getattr(service, "service", service)
        inner.on_signal("connected", lambda _: ready.set())
        task = asyncio.create_task(service.run())
        waiting = asyncio.create_task(ready.wait())
        await asyncio.wait((task, waiting), return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if task.done():
            task.result()
        self.running[name] = (service, task)
        return service

    async def stop(self, name: str) -> None:
        service, task = self.running.pop(name)
        await service.stop()
        await asyncio.wait_for(task, 10)
        await service.bus.close()

    async def kill(self, name: str) -> None:
        """End a service without letting it say or write anything more."""
        service, task = self.running.pop(name)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await service.bus.close()

    # -- hosts -------------------------------------------------------------------------------------

    async def call(self, verb: str, **arguments: Any) -> Any:
        return (await rpc.call(self.ui, "registry", verb, arguments, actor=OPERATOR)).result

    async def new_agent(self, gateway: Gateway, hostname: str = "atlas") -> FakeAgent:
        token = (await self.call("create_enrollment_token"))["token"]
        return await FakeAgent.enroll(gateway.url, token, hostname=hostname)

    # -- the log -----------------------------------------------------------------------------------

    async def follow(self) -> None:
        """Read the log from its start, across outages of the bus."""
        seen = 0
        while True:
            with contextlib.suppress(ReaderLost, BusAway):
                await self.ui.wait_connected()
                reader = await self.ui.open_reader(seen + 1)
                while True:
                    messages = await reader.read(timedelta(seconds=5))
                    await self._take(messages)
                    seen = messages[-1].seq if messages else seen

    async def _take(self, messages: Any) -> None:
        async with self.grew:
            for message in messages:
                self.log.append(_event(message))
            self.grew.notify_all()

    def of(self, kind: type[Event], host_id: str | None = None) -> list[Any]:
        return [
            event for event in self.log
            if isinstance(event, kind) and host_id in (None, getattr(event, "host_id", None))
        ]  # fmt: skip

    async def wait_event(
        self, kind: type[Event], host_id: str | None = None, count: int = 1,
        where: Callable[[Any], bool] = lambda _: True,
    ) -> Any:  # fmt: skip
        """Return the `count`-th event of a kind that fits, once it is in the log."""

        def found() -> list[Any]:
            return [event for event in self.of(kind, host_id) if where(event)]

        async with self.grew, asyncio.timeout(WAIT.total_seconds()):
            await self.grew.wait_for(lambda: len(found()) >= count)
        return found()[count - 1]


def _event(message: LogMessage) -> Event:
    envelope = decode(message.data)
    assert envelope is not None
    return envelope.event


@pytest_asyncio.fixture
async def world(nats: NatsServer, tmp_path: Path) -> AsyncIterator[World]:
    """The bus and the registry; a test starts its gateways."""
    ui = nats.bus("ui")
    await ui.connect()
    made = World(nats, tmp_path, ui)
    await made.start_registry()
    made.follower = asyncio.create_task(made.follow())
    try:
        yield made
    finally:
        made.follower.cancel()
        await asyncio.gather(made.follower, return_exceptions=True)
        for name in list(made.running):
            await made.stop(name)
        await ui.close()
