"""Presence and alerting as they run, on a real bus and real files, with a clock that only we move.

The test speaks as gateway and registry. Every beat wakes the loops, so nothing waits for a timer.
"""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from libs.common.bus.base import Outgoing
from libs.common.clock import VirtualClock
from libs.common.events.base import Event, decode, encode
from libs.common.ids import new_id
from libs.common.loop.service import Service
from libs.common.rpc import call
from libs.common.testing.nats import NatsServer
from libs.common.testing.rig import ADMIN, START
from services.alerting import app as alerting_app
from services.alerting.settings import AlertingSettings
from services.presence import app as presence_app
from services.presence.settings import PresenceSettings

WAIT_SECONDS = 20


class Judges:
    """Both services. `since` is what the beats of each gateway say."""

    def __init__(self, nats: NatsServer, folder: Path) -> None:
        self.nats, self.folder = nats, folder
        self.clock = VirtualClock(START)
        self.since = {"gw-1": START}
        self.buses = {name: nats.bus(name) for name in ("gateway", "registry", "jobs", "ui")}
        self.services: dict[str, Service] = {}
        self._running: dict[str, asyncio.Task[None]] = {}

    async def __aenter__(self) -> Self:
        for bus in self.buses.values():
            await bus.connect()
        for name in ("presence", "alerting"):
            await self.start(name)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        for name in list(self._running):
            await self.stop(name)
        for bus in self.buses.values():
            await bus.close()

    async def start(self, name: str) -> None:
        """Start a service and return once it has caught up with the log."""
        bus = self.nats.bus(name)
        service = (
            presence_app.build(PresenceSettings.load(data=self.folder), bus, self.clock)
            if name == "presence"
            else alerting_app.build(AlertingSettings.load(data=self.folder), bus, self.clock)
        )
        connected = self.expect(service)
        self.services[name] = service
        self._running[name] = asyncio.create_task(service.run())
        async with asyncio.timeout(WAIT_SECONDS):
            await connected.wait()

    @staticmethod
    def expect(service: Service) -> asyncio.Event:
        """Return what is set when the service has caught up (again) with the log."""
        connected = asyncio.Event()
        service.on_signal("connected", lambda _: connected.set())
        return connected

    async def stop(self, name: str) -> None:
        service = self.services.pop(name)
        await service.stop()
        await self._running.pop(name)
        await service.bus.close()

    async def publish(self, *events: Event) -> None:
        """Publish as whoever owns the events, and wait until both have applied them."""
        for event in events:
            family = event.type.split(".")[1]
            user = {"host": "registry", "job": "jobs"}.get(family, "gateway")
            event_id = new_id()
            source = f"dormice/{user}"
            data = encode(event, event_id=event_id, source=source, time=self.clock.now())
            seq = await self.buses[user].publish([Outgoing(event_id, event.subject(), data)])
        await self.applied(seq)

    async def applied(self, seq: int) -> None:
        for service in self.services.values():
            assert await service.wait_for_seq(seq, timedelta(seconds=WAIT_SECONDS))

    def beat(self, gateway: str = "gw-1", *hosts: str) -> None:
        now = self.clock.now().isoformat()
        since = self.since[gateway].isoformat()
        body = {"gateway": gateway, "since": since, "at": now, "hosts": hosts}
        self.buses["gateway"].send_live(f"dormice-live.beat.{gateway}", json.dumps(body).encode())

    async def let_pass(
        self, span: timedelta, gateway: str = "gw-1", *hosts: str, seconds: int = 20
    ) -> None:
        """Let time pass in steps of at most `seconds`; after each, `gateway` beats and is heard."""
        end = self.clock.now() + span
        while self.clock.now() < end:
            self.clock.set(min(self.clock.now() + timedelta(seconds=seconds), end))
            self.beat(gateway, *hosts)
            await self.settle()

    async def settle(self) -> None:
        """Return once everything sent so far is heard and decided: calls are answered after it."""
        await self.buses["gateway"].log_info()  # Its beats have left before the answer came.
        for name in self.services:
            await self.ask(name, "decisions", host_id="nobody")

    async def ask(self, service: str, verb: str, **arguments: Any) -> Any:
        bus = self.buses["ui"]
        return (await call(bus, service, verb, arguments, actor=ADMIN)).result

    async def open_kinds(self) -> list[str]:
        alerts = await self.ask("alerting", "list_alerts", state="open")
        return sorted(alert["kind"] for alert in alerts)

    async def until(self, kind: type[Event]) -> Any:
        """Return the first event of a type in the log, waiting for it."""
        reader = await self.buses["ui"].open_reader(1)
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                while True:
                    for message in await reader.read(timedelta(seconds=5)):
                        envelope = decode(message.data)
                        if envelope is not None and isinstance(envelope.event, kind):
                            return envelope.event
        finally:
            await reader.close()

    async def count(self, kind: type[Event]) -> int:
        """Return how many events of a type the log holds."""
        reader = await self.buses["ui"].open_reader(1)
        tail, seen, found = await reader.tail(), 0, 0
        while seen < tail:
            for message in await reader.read(timedelta(seconds=5)):
                seen = message.seq
                envelope = decode(message.data)
                found += envelope is not None and isinstance(envelope.event, kind)
        await reader.close()
        return found
