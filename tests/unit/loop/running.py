"""A service at work on a bus in memory, with a clock that moves when it is told to."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from libs.common.bus.base import BusAway, LogMessage, Outgoing
from libs.common.bus.memory import MemoryBus, MemoryLog, MemoryReader
from libs.common.clock import VirtualClock
from libs.common.events.agent import AgentHello
from libs.common.events.base import encode
from libs.common.events.catchup import CatchupArmed
from libs.common.loop.service import Service
from libs.common.store.database import Database
from tests.integration.loop.counter import Counter

T = TypeVar("T")
NOW = datetime(2026, 6, 15, 9, 0, tzinfo=UTC)
PAST_QUIET = timedelta(seconds=1)


class Cautious(Counter):
    """Judges by the clock only once it has heard a gateway."""

    needs_beat = True


class SlowReader(MemoryReader):
    """Gives what it has read only once its bus is `delivering`."""

    def __init__(self, bus: Bus, from_seq: int) -> None:
        super().__init__(bus.log, from_seq)
        self._bus = bus

    async def read(self, timeout: timedelta) -> Sequence[LogMessage]:
        batch = await super().read(timeout)
        await self._bus.delivering.wait()
        return batch

    async def tail(self) -> int:
        self._bus.tails_asked += 1
        return await super().tail()


class Bus(MemoryBus):
    """`lose_answers`: as often is a batch stored and the answer lost with the connection. What is
    published waits for `open`, what is read for `delivering`."""

    def __init__(self, log: MemoryLog) -> None:
        super().__init__(log)
        self.lose_answers = self.tails_asked = 0
        self.open, self.delivering = asyncio.Event(), asyncio.Event()
        self.open.set()
        self.delivering.set()

    async def open_reader(self, from_seq: int) -> MemoryReader:
        await self._round_trip()
        reader = SlowReader(self, from_seq)
        self._readers.append(reader)
        return reader

    async def publish(self, messages: Sequence[Outgoing]) -> int:
        await self.open.wait()
        seq = await super().publish(messages)
        if self.lose_answers:
            self.lose_answers -= 1
            self.log.cut()
            raise BusAway
        return seq


class CountingDatabase(Database):
    """Counts how often its thread was asked for something."""

    hops = 0

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        self.hops += 1
        return await super().run(work)


class Running:
    """A service at work. The duplicate window of its log has run out: nothing is forgiven."""

    def __init__(self, machine: Counter, database: CountingDatabase) -> None:
        self.bus, self.clock = Bus(MemoryLog(dedupes=False)), VirtualClock(NOW)
        self.service = service = Service(machine, self.bus, database, clock=self.clock)
        self.log, self.database = self.bus.log, database
        self.connected = 0
        service.on_signal("connected", self._on_connected)

    def _on_connected(self, _: object) -> None:
        self.connected += 1

    def hello(self, number: int, session: str = "s1", at: datetime = NOW) -> int:
        event = AgentHello(host_id=f"h{number}", session=session, gateway="gw-1")
        event_id = f"e{number}-{session}"
        data = encode(event, event_id=event_id, source="dormice/gateway", time=at)
        return self.log.append(Outgoing(event_id, event.subject(), data))

    def armed(self, number: int) -> int:
        """Store an event that the machine does not handle."""
        event = CatchupArmed(host_id=f"h{number}", arm_id=f"a{number}", due_at=NOW)
        data = encode(event, event_id=f"a{number}", source="dormice/catchup", time=NOW)
        return self.log.append(Outgoing(f"a{number}", event.subject(), data))

    def file_position(self) -> int:
        """The position that another process would find."""
        with closing(sqlite3.connect(self.service.database.path)) as db:
            (seq,) = db.execute("SELECT seq FROM position").fetchone()
        return int(seq)

    async def commits(self) -> list[str]:
        """Every commit from now on."""
        seen: list[str] = []

        def note(statement: str) -> None:
            seen.extend([statement] * (statement == "COMMIT"))

        await self.service.read(lambda db: db.set_trace_callback(note))
        return seen

    def stored(self, name: str) -> int:
        return sum(m.subject.endswith(f".{name}") for m in self.log.read(1))

    async def told(self, *, fresh: bool = True) -> int:
        """How many hosts were found quiet; asked twice, as a step answers before it judges."""
        for _ in range(2):
            answer = await self.service.submit(lambda tx: count(tx.db, "told"), fresh=fresh)
        return int(answer.result)

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not holds():
                await asyncio.sleep(0.002)


def count(db: sqlite3.Connection, table: str) -> int:
    (number,) = db.execute(f"SELECT count(*) FROM {table}").fetchone()
    return int(number)


@asynccontextmanager
async def running(folder: Path, machine: Counter) -> AsyncIterator[Running]:
    database = CountingDatabase(folder / "counter.db", Counter.package)
    at_work = Running(machine, database)
    task = asyncio.create_task(at_work.service.run())
    await at_work.until(lambda: at_work.connected == 1)
    yield at_work
    await at_work.service.stop()
    await asyncio.wait_for(task, 10)
