"""The two worlds that the bus suite runs in: the memory log, and a real nats-server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Protocol

import pytest

from libs.common.bus.base import Bus
from libs.common.bus.memory import MemoryBus, MemoryLog
from libs.common.bus.nats import NatsBus
from libs.common.testing.nats import NatsServer


async def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    """Wait for `condition`, which something outside of this test's control makes true."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


class World(Protocol):
    """A bus with what can happen to it. Connected buses are closed at the end."""

    async def bus(self, user: str) -> Bus: ...

    async def restart(self) -> None: ...

    async def wipe(self) -> None: ...

    async def mark(self) -> None:
        """Remember what is stored now."""
        ...

    async def rewind(self) -> None:
        """Forget what was stored after `mark`."""
        ...


class MemoryWorld:
    def __init__(self) -> None:
        self.log = MemoryLog()
        self._mark = 0

    async def bus(self, user: str) -> Bus:
        bus = MemoryBus(self.log, user)
        await bus.connect()
        return bus

    async def restart(self) -> None:
        self.log.take_away()
        self.log.bring_back()

    async def wipe(self) -> None:
        self.log.wipe()

    async def mark(self) -> None:
        self._mark = self.log.info().last_seq

    async def rewind(self) -> None:
        self.log.rewind(self._mark)


class NatsWorld:
    def __init__(self, server: NatsServer) -> None:
        self.server = server
        self._buses: list[Bus] = []

    async def start(self) -> None:
        self.server.start()
        await self.server.create_topology()

    async def bus(self, user: str) -> Bus:
        bus = self.server.bus(user)
        self._buses.append(bus)
        await bus.connect()
        return bus

    async def restart(self) -> None:
        self.server.restart()
        await self._all_back()

    async def wipe(self) -> None:
        self.server.stop()
        self.server.wipe()
        self.server.start()
        await self.server.create_topology()
        await self._all_back()

    async def mark(self) -> None:
        self.server.stop()
        self.server.save()
        self.server.start()
        await self._all_back()

    async def rewind(self) -> None:
        self.server.stop()
        self.server.rewind()
        self.server.start()
        await self._all_back()

    async def _all_back(self) -> None:
        """The clients notice a restart only when the loop runs again."""
        await asyncio.sleep(0.01)
        for bus in self._buses:
            await bus.wait_connected()

    async def close(self) -> None:
        for bus in self._buses:
            await bus.close()
        self.server.stop()


@pytest.fixture
def nats_server(tmp_path: Path) -> Iterator[NatsServer]:
    """A running server without any stream in it."""
    server = NatsServer(tmp_path)
    server.start()
    yield server
    server.stop()


class Buses:
    """Makes buses on a server and closes them at the end, whatever becomes of the test."""

    def __init__(self, server: NatsServer) -> None:
        self._server = server
        self._made: list[NatsBus] = []

    def new(self, user: str, url: str | None = None) -> NatsBus:
        """Return a bus that is not connected yet; `url` leads through a proxy."""
        bus = self._server.bus(user, url)
        self._made.append(bus)
        return bus

    async def connect(self, user: str, url: str | None = None) -> NatsBus:
        bus = self.new(user, url)
        await bus.connect()
        return bus

    async def close(self) -> None:
        for bus in self._made:
            await bus.close()


@pytest.fixture
async def buses(nats_server: NatsServer) -> AsyncIterator[Buses]:
    buses = Buses(nats_server)
    yield buses
    await buses.close()


@pytest.fixture
async def server(nats_server: NatsServer) -> NatsServer:
    """A running server with the log, the buckets and the readers' stream."""
    await nats_server.create_topology()
    return nats_server


@pytest.fixture(params=["memory", "nats"])
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    if request.param == "memory":
        yield MemoryWorld()
        return
    nats = NatsWorld(NatsServer(tmp_path))
    await nats.start()
    yield nats
    await nats.close()
