"""Catch-up and jobs as they are joined, on a real nats-server, with a scripted gateway."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest_asyncio

from libs.common.bus.base import Outgoing
from libs.common.clock import SystemClock
from libs.common.events.agent import (
    AgentHello,
    AgentJobAccepted,
    AgentJobFinished,
    AgentJobStarted,
    AgentOffline,
    AgentSynced,
    OfflineReason,
)
from libs.common.events.base import Event, decode, encode
from libs.common.events.catchup import CatchupArmed, CatchupFinished, CatchupSkipped
from libs.common.events.host import HostEnrolled, HostRecord, Schedule, SourceGroup
from libs.common.events.job import JobRequested, JobUndeliverable
from libs.common.ids import new_id
from libs.common.loop.service import Service
from libs.common.protocol import RunStatus
from libs.common.rpc import call
from libs.common.testing.nats import NatsServer
from services.catchup import app as catchup_app
from services.catchup.settings import CatchupSettings
from services.jobs import app as jobs_app
from services.jobs.settings import JobsSettings

SETTLE = timedelta(milliseconds=700)
CLOCK = SystemClock()
PATIENCE_SECONDS = 20


class World:
    """The two services, and a gateway that is this test."""

    def __init__(self, nats: NatsServer, folder: Path) -> None:
        self.nats, self.folder = nats, folder
        self.registry, self.gateway = nats.bus("registry"), nats.bus("gateway")
        self.ui = nats.bus("ui")
        self.services: dict[str, tuple[Service, asyncio.Task[None]]] = {}
        self.runs: list[tuple[datetime, dict[str, Any]]] = []
        self.events: list[Event] = []
        self._changed = asyncio.Event()

    @property
    def _buses(self) -> list[Any]:
        return [self.registry, self.gateway, self.ui]

    async def begin(self) -> None:
        await asyncio.gather(*(bus.connect() for bus in self._buses))
        self._reading = asyncio.create_task(self._read())
        await self.start("catchup", "jobs")

    async def end(self) -> None:
        self._reading.cancel()
        await self.stop(*list(self.services))
        await asyncio.gather(*(bus.close() for bus in self._buses))

    async def start(self, *names: str) -> None:
        for name in names:
            bus = self.nats.bus(name)
            if name == "catchup":
                settings = CatchupSettings.load(data=self.folder, catchup_settle=SETTLE)
                service = catchup_app.build(settings, bus)
            else:
                service = jobs_app.build(JobsSettings.load(data=self.folder), bus)
            service.on_signal("connected", lambda _: self._changed.set())
            self.services[name] = (service, asyncio.create_task(service.run()))
        await self.until(
            lambda: not any(self.services[name][0].reasons_not_ready for name in names)
        )

    async def stop(self, *names: str) -> None:
        for name in names:
            service, task = self.services.pop(name)
            await service.stop()
            await task
            await service.bus.close()

    async def _read(self) -> None:
        reader = await self.gateway.open_reader(1)
        while True:
            for message in await reader.read(timedelta(seconds=30)):
                envelope = decode(message.data)
                if envelope is not None:
                    self.events.append(envelope.event)
            self._changed.set()

    async def serve_commands(self, said: bytes = b'{"ok": true}') -> None:
        async def answer(subject: str, data: bytes) -> bytes:
            frame = json.loads(data)["frame"]
            self.runs.append((CLOCK.now(), frame | {"host_id": subject.rpartition(".")[2]}))
            self._changed.set()
            return said

        await self.gateway.serve("dormice-cmd.gw-1.*", answer)

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not holds():
                self._changed.clear()
                await self._changed.wait()

    def of(self, kind: type[Event]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    async def publish(self, *events: Event) -> None:
        for event in events:
            by_registry = event.type.startswith("dormice.host.")
            bus, source = (self.registry, "registry") if by_registry else (self.gateway, "gateway")
            event_id = new_id()
            body = encode(event, event_id=event_id, source=f"dormice/{source}", time=CLOCK.now())
            await bus.publish([Outgoing(event_id, event.subject(), body)])

    async def wake(self, host: str, session: str) -> None:
        await self.publish(
            AgentHello(host_id=host, session=session, gateway="gw-1"),
            AgentSynced(host_id=host, session=session),
        )

    async def run(self, host: str, session: str, job: str) -> None:
        named = {"host_id": host, "session": session, "job_id": job}
        at = {"at": CLOCK.now(), "received_at": CLOCK.now()}
        await self.publish(
            AgentJobAccepted(**named),
            AgentJobStarted(**named, **at),
            AgentJobFinished(**named, **at, status=RunStatus.SUCCEEDED),
        )


def laptop(host_id: str) -> HostRecord:
    return HostRecord(
        id=host_id, name=host_id, always_on=False, enrolled_at=CLOCK.now(), repository_id=host_id,
        schedules=(Schedule(id="s", name="n", cron="0 2 * * *", source_group_ids=("g",)),),
        source_groups=(SourceGroup(id="g", name="home", includes=("/home",)),),
    )  # fmt: skip


@pytest_asyncio.fixture
async def world(nats: NatsServer, tmp_path: Path) -> AsyncIterator[World]:
    world = World(nats, tmp_path)
    await world.begin()
    try:
        yield world
    finally:
        await world.end()


async def test_r11_the_settle_end_leads_to_the_run_frame_without_a_pause(world: World) -> None:
    await world.serve_commands()
    names = [f"h{number}" for number in range(15)]
    for name in names:
        await world.publish(HostEnrolled(host_id=name, record=laptop(name)))
    for name in names:
        await world.wake(name, f"S-{name}")
    await world.until(lambda: len(world.runs) == len(names))
    due = {event.host_id: event.due_at for event in world.of(CatchupArmed)}
    waits = sorted(at - due[frame["host_id"]] for at, frame in world.runs)
    assert waits[0] >= timedelta(), "never early"
    assert waits[-1] < timedelta(seconds=1), "the figure is `make bench`'s; here: nobody polls"
    for _, frame in world.runs:
        await world.run(frame["host_id"], f"S-{frame['host_id']}", frame["job_id"])
    await world.until(lambda: len(world.of(CatchupFinished)) == len(names))
    assert all(event.succeeded == 1 for event in world.of(CatchupFinished))
    bucket = await world.gateway.load_bucket("backups")
    assert sorted(bucket) == sorted(f"{name}.g" for name in names)


async def test_r11_r18_an_arm_survives_restarts(world: World) -> None:
    await world.serve_commands()
    await world.publish(HostEnrolled(host_id="h", record=laptop("h")))
    await world.wake("h", "S1")
    await world.until(lambda: len(world.of(CatchupArmed)) == 1)
    await world.stop("catchup", "jobs")
    await world.start("catchup", "jobs")
    await world.until(lambda: len(world.runs) == 1)
    await world.stop("jobs")
    await world.run("h", "S1", world.runs[0][1]["job_id"])
    await world.start("jobs")
    await world.until(lambda: len(world.of(CatchupFinished)) == 1)
    assert len(world.of(CatchupArmed)) == len(world.runs) == 1


async def test_r16_no_gateway_there_then_the_next_hello(world: World) -> None:
    """A gateway off the bus may keep its sockets; that it is lost ends the session."""
    await world.publish(HostEnrolled(host_id="h", record=laptop("h")))
    await world.wake("h", "S1")
    await world.until(lambda: len(world.of(JobRequested)) == 1)
    lost = {"last_seen": CLOCK.now(), "reason": OfflineReason.GATEWAY_LOST}
    await world.publish(AgentOffline(host_id="h", session="S1", **lost))
    await world.until(lambda: bool(world.of(CatchupSkipped) and world.of(JobUndeliverable)))
    await world.serve_commands()
    await world.wake("h", "S2")
    await world.until(lambda: len(world.runs) == 1)
    assert world.runs[0][1]["attempt"] == 1


async def test_r16_told_by_the_gateway_that_the_agent_is_away(world: World) -> None:
    await world.serve_commands(b'{"ok": false, "reason": "not_connected"}')
    await world.publish(HostEnrolled(host_id="h", record=laptop("h")))
    await world.wake("h", "S1")
    await world.until(lambda: len(world.of(JobUndeliverable)) == 1)
    reply = await call(world.ui, "catchup", "get_arm", {"host_id": "h"})
    assert reply.result["state"] == "waiting"
    await world.wake("h", "S2")
    await world.until(lambda: len(world.runs) == 2)
    assert [frame["attempt"] for _, frame in world.runs] == [1, 1]
