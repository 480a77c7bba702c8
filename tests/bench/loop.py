"""The machine loop over NATS against the serial sum of its raw limits, all in the same run.

Limits: the own pull loop, a one-hop SQLite batch of three statements an event, and durable
publishing in atomic batches. The loop does all three, decodes every event and emits one for each.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from datetime import timedelta
from pathlib import Path

from libs.common.bus.base import BATCH, Outgoing
from libs.common.bus.nats import NatsBus
from libs.common.clock import SystemClock, monotonic_seconds
from libs.common.events.agent import AgentHello
from libs.common.events.base import encode
from libs.common.events.catchup import CatchupArmed
from libs.common.ids import new_id
from libs.common.loop.machine import Machine
from libs.common.loop.service import Service
from libs.common.loop.tx import Tx
from libs.common.store.database import Database, transaction
from libs.common.testing.nats import NatsServer

EVENTS = 20_000
HOSTS = 1_000


class Busy(Machine):
    """One row, one deadline and one event for each hello."""

    name = "catchup"
    package = "tests.bench"

    def __init__(self) -> None:
        super().__init__()
        self.handlers = {AgentHello: self.on_hello}
        self.deadlines = {"far": lambda tx, key, due: None}

    def on_hello(self, tx: Tx, event: AgentHello) -> None:
        tx.db.execute(
            "INSERT INTO host VALUES (?, ?, 1) ON CONFLICT (host_id) DO UPDATE SET "
            "session = excluded.session, seen = seen + 1",
            (event.host_id, event.session),
        )
        due = tx.time + timedelta(hours=1)
        tx.schedule("far", event.host_id, due)
        tx.emit(CatchupArmed(host_id=event.host_id, arm_id=event.session, due_at=due))


def hellos(count: int) -> list[Outgoing]:
    now = SystemClock().now()
    out = []
    for number in range(count):
        event = AgentHello(host_id=f"h{number % HOSTS}", session=f"s{number}", gateway="gw-1")
        event_id = new_id()
        data = encode(event, event_id=event_id, source="dormice/gateway", time=now)
        out.append(Outgoing(event_id, event.subject(), data))
    return out


async def measure(folder: Path) -> dict[str, float]:
    """Return events per second of each limit and of the loop, and the loop's share of their sum."""
    server = NatsServer(folder / "bus")
    server.start()
    try:
        await server.create_topology()
        bus = server.bus("gateway")
        await bus.connect()
        publish = await publish_rate(bus)
        pull = await pull_rate(bus)
        store = await _store(folder / "raw.db")
        loop = await _loop(server, folder, bus)
        await bus.close()
    finally:
        server.stop()
    serial = 1 / (1 / publish + 1 / pull + 1 / store)
    return {"publish": publish, "pull": pull, "store": store, "serial": serial, "loop": loop,
            "share": loop / serial}  # fmt: skip


async def publish_rate(bus: NatsBus) -> float:
    """Return hellos a second, durable, in atomic batches."""
    messages = hellos(EVENTS)
    started = monotonic_seconds()
    for first in range(0, EVENTS, BATCH):
        await bus.publish(messages[first : first + BATCH])
    return EVENTS / (monotonic_seconds() - started)


async def pull_rate(bus: NatsBus) -> float:
    """Return events a second of the own pull loop, from the beginning of the log."""
    reader = await bus.open_reader(1)
    seen = 0
    started = monotonic_seconds()
    while seen < EVENTS:
        seen += len(await reader.read(timedelta(seconds=5)))
    rate = seen / (monotonic_seconds() - started)
    await reader.close()
    return rate


async def _store(path: Path) -> float:
    """Three statements an event, one hop and one commit a batch."""
    database = Database(path, "tests.bench")
    await database.open()

    def batch(first: int) -> None:
        with transaction(database.connection):
            for number in range(first, first + BATCH):
                _three_statements(database.connection, number)

    started = monotonic_seconds()
    for first in range(0, EVENTS, BATCH):
        await database.run(lambda _, first=first: batch(first))  # type: ignore[misc]
    rate = EVENTS / (monotonic_seconds() - started)
    await database.close()
    return rate


def _three_statements(db: sqlite3.Connection, number: int) -> None:
    host = f"h{number % HOSTS}"
    db.execute(
        "INSERT INTO host VALUES (?, ?, 1) ON CONFLICT (host_id) DO UPDATE SET "
        "session = excluded.session, seen = seen + 1",
        (host, f"s{number}"),
    )
    db.execute(
        "INSERT INTO deadline VALUES ('far', ?, ?) "
        "ON CONFLICT (kind, key) DO UPDATE SET due_at = excluded.due_at",
        (host, number),
    )
    db.execute(
        "INSERT INTO outbox (event_id, subject, data) VALUES (?, ?, ?)",
        (new_id(), "dormice.catchup.x.armed", b"x" * 300),
    )


async def _loop(server: NatsServer, folder: Path, bus: NatsBus) -> float:
    """A backlog of hellos in, as many events out and acknowledged."""
    await bus.publish(hellos(1))
    service = Service(Busy(), server.bus("catchup"), Database(folder / "busy.db", "tests.bench"))
    up = asyncio.Event()
    service.on_signal("connected", lambda _: up.set())
    running = asyncio.create_task(service.run())
    await up.wait()
    base = (await bus.log_info()).last_seq
    messages = hellos(EVENTS)
    gate = threading.Event()
    held = asyncio.create_task(service.submit(lambda tx: gate.wait()))
    for first in range(0, EVENTS, BATCH):
        await bus.publish(messages[first : first + BATCH])
    started = monotonic_seconds()
    gate.set()
    await held
    if not await service.wait_for_seq(base + 2 * EVENTS, timedelta(seconds=120)):
        raise TimeoutError("the loop did not keep up")
    rate = EVENTS / (monotonic_seconds() - started)
    await service.stop()
    await running
    return rate
