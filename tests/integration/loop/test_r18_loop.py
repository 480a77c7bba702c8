"""R18 for the loop itself: a process killed at any moment, a log that is not the one we knew."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from collections import Counter as Tally
from datetime import timedelta
from pathlib import Path
from random import Random

from libs.common.bus.base import Outgoing
from libs.common.bus.nats import NatsBus
from libs.common.clock import SystemClock
from libs.common.events.agent import AgentHello
from libs.common.events.base import encode
from libs.common.ids import new_id
from libs.common.loop.service import Service
from libs.common.store.database import Database
from libs.common.testing.nats import NatsServer
from tests.integration.loop.counter import Counter

HOSTS = 50


def hellos(first: int, count: int) -> list[Outgoing]:
    out = []
    for number in range(first, first + count):
        event = AgentHello(host_id=f"h{number % HOSTS}", session=f"s{number}", gateway="gw-1")
        event_id = new_id()
        data = encode(event, event_id=event_id, source="dormice/gateway", time=SystemClock().now())
        out.append(Outgoing(event_id, event.subject(), data))
    return out


async def start_process(nats: NatsServer, folder: Path) -> asyncio.subprocess.Process:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.integration.loop.counter", nats.url, str(folder),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdin
    process.stdin.write(nats.passwords["presence"].encode() + b"\n")
    return process


async def until_connected(process: asyncio.subprocess.Process) -> None:
    assert process.stdout
    async with asyncio.timeout(20):
        assert await process.stdout.readline() == b"connected\n"


async def read_log(bus: NatsBus, at_least: int) -> Tally[str]:
    """Return how often each subject's last word was stored, once `at_least` events are."""
    seen: Tally[str] = Tally()
    reader = await bus.open_reader(1)
    async with asyncio.timeout(60):
        while seen.total() < at_least:
            for message in await reader.read(timedelta(seconds=5)):
                seen[message.subject.rpartition(".")[2]] += 1
    await reader.close()
    return seen


async def test_r18_killed_in_a_burst_of_5000(nats: NatsServer, tmp_path: Path) -> None:
    """Kill -9 at five random moments of the burst; in the end everything is there exactly once."""
    random = Random(18)
    bus = nats.bus("gateway")
    await bus.connect()
    process = await start_process(nats, tmp_path)
    await until_connected(process)
    for part in range(5):
        publishing = asyncio.create_task(bus.publish(hellos(part * 1000, 1000)))
        await asyncio.sleep(random.uniform(0.0, 0.09))  # The moment of the kill.
        process.kill()
        await process.wait()
        await publishing
        process = await start_process(nats, tmp_path)
        await until_connected(process)
    seen = await read_log(bus, 10_000 + HOSTS)
    process.kill()
    await process.wait()
    await bus.close()
    assert seen["hello"] == seen["online"] == 5000
    assert seen["offline"] == HOSTS
    with sqlite3.connect(tmp_path / "counter.db") as db:
        assert db.execute("SELECT count(*) FROM hello").fetchone() == (5000,)
        assert db.execute("SELECT count(*) FROM told").fetchone() == (HOSTS,)
    db.close()


class Running:
    """The same service in this process, stopped and started on one file."""

    def __init__(self, nats: NatsServer, folder: Path) -> None:
        self._nats, self._folder = nats, folder
        self.resets: list[str] = []

    async def __aenter__(self) -> Service:
        self.bus = self._nats.bus("presence")
        self.service = Service(
            Counter(), self.bus, Database(self._folder / "counter.db", Counter.package)
        )
        up = asyncio.Event()
        self.service.on_signal("connected", lambda _: up.set())
        self.service.on_signal("log_reset", lambda verdict: self.resets.append(verdict.name))
        self.task = asyncio.create_task(self.service.run())
        await asyncio.wait_for(up.wait(), 10)
        return self.service

    async def __aexit__(self, *_: object) -> None:
        await self.service.stop()
        await asyncio.wait_for(self.task, 10)
        await self.bus.close()


async def publish(nats: NatsServer, messages: list[Outgoing]) -> int:
    bus = nats.bus("gateway")
    await bus.connect()
    seq = await bus.publish(messages)
    await bus.close()
    return seq


async def count_hellos(service: Service) -> int:
    (count,) = await service.read(lambda db: db.execute("SELECT count(*) FROM hello").fetchone())
    return int(count)


async def test_r18_bus_restarted_under_way(nats: NatsServer, tmp_path: Path) -> None:
    """The bus goes and comes back: nothing is lost, nothing is taken twice."""
    async with Running(nats, tmp_path) as service:
        seq = await publish(nats, hellos(0, 500))
        nats.restart()
        seq = await publish(nats, hellos(500, 500))
        assert await service.wait_for_seq(seq, timedelta(seconds=10))
        assert await count_hellos(service) == 1000


async def test_wiped_log_is_noticed(nats: NatsServer, tmp_path: Path) -> None:
    """A log that was made anew: one loud line, the file stays, all of the new log is read."""
    running = Running(nats, tmp_path)
    async with running as service:
        assert await service.wait_for_seq(await publish(nats, hellos(0, 10)), timedelta(seconds=5))
    nats.stop()
    nats.wipe()
    nats.start()
    await nats.create_topology()
    await publish(nats, hellos(10, 30))
    async with running as service:
        assert running.resets == ["WIPED"]
        seq = await publish(nats, hellos(100, 7))
        assert await service.wait_for_seq(seq, timedelta(seconds=5))
        assert await count_hellos(service) == 47


async def test_rewound_log_is_noticed(nats: NatsServer, tmp_path: Path) -> None:
    """A log that lost its tail and grew again past our position, with other events there."""
    running = Running(nats, tmp_path)
    await publish(nats, hellos(0, 10))
    nats.stop()
    nats.save()
    nats.start()
    async with running as service:
        assert await service.wait_for_seq(await publish(nats, hellos(10, 10)), timedelta(seconds=5))
    nats.stop()
    nats.rewind()
    nats.start()
    await publish(nats, hellos(50, 500))
    async with running as service:
        assert running.resets == ["REWOUND"]
        seq = await publish(nats, hellos(900, 5))
        assert await service.wait_for_seq(seq, timedelta(seconds=5))
        assert await count_hellos(service) == 525


async def test_second_process_on_the_same_file_is_refused(nats: NatsServer, tmp_path: Path) -> None:
    async with Running(nats, tmp_path):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.integration.loop.counter", nats.url, str(tmp_path),
            stdin=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        _, error = await asyncio.wait_for(process.communicate(), 20)
        assert process.returncode == 1
        assert b"is in use by another process" in error
