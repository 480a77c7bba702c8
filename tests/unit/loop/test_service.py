"""The running loop on a bus in memory: when it publishes, decides by the clock, and answers."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from libs.common.bus.base import BusAway, Outgoing
from libs.common.bus.memory import MemoryBus, MemoryLog
from libs.common.clock import VirtualClock
from libs.common.events.agent import AgentHello
from libs.common.events.base import encode
from libs.common.events.catchup import CatchupArmed
from libs.common.events.presence import PresenceOnline
from libs.common.loop.service import Service
from libs.common.loop.tx import Tx
from libs.common.store.database import Database
from tests.integration.loop.counter import Counter

NOW = datetime(2026, 6, 15, 9, 0, tzinfo=UTC)
PAST_QUIET = timedelta(seconds=1)


class Cautious(Counter):
    """Judges by the clock only once it has heard a gateway."""

    needs_beat = True


class Bus(MemoryBus):
    """`lose_answers`: as often is a batch stored and the answer lost with the connection. What is
    published waits for `open`."""

    def __init__(self, log: MemoryLog) -> None:
        super().__init__(log)
        self.lose_answers = 0
        self.open = asyncio.Event()
        self.open.set()

    async def publish(self, messages: Sequence[Outgoing]) -> int:
        await self.open.wait()
        seq = await super().publish(messages)
        if self.lose_answers:
            self.lose_answers -= 1
            self.log.cut()
            raise BusAway
        return seq


class Running:
    """A service at work. The duplicate window of its log has run out: nothing is forgiven."""

    def __init__(self, service: Service, bus: Bus, clock: VirtualClock) -> None:
        self.service, self.bus, self.clock = service, bus, clock
        self.log = bus.log
        self.connected = 0
        service.on_signal("connected", self._on_connected)

    def _on_connected(self, _: object) -> None:
        self.connected += 1

    def hello(self, number: int) -> int:
        event = AgentHello(host_id=f"h{number}", session=f"s{number}", gateway="gw-1")
        data = encode(event, event_id=f"e{number}", source="dormice/gateway", time=NOW)
        return self.log.append(Outgoing(f"e{number}", event.subject(), data))

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
    bus, clock = Bus(MemoryLog(dedupes=False)), VirtualClock(NOW)
    database = Database(folder / "counter.db", Counter.package)
    at_work = Running(Service(machine, bus, database, clock=clock), bus, clock)
    task = asyncio.create_task(at_work.service.run())
    await at_work.until(lambda: at_work.connected == 1)
    yield at_work
    await at_work.service.stop()
    await asyncio.wait_for(task, 10)


@pytest.fixture
async def counting(tmp_path: Path) -> AsyncIterator[Running]:
    async with running(tmp_path, Counter()) as at_work:
        yield at_work


@pytest.fixture
async def cautious(tmp_path: Path) -> AsyncIterator[Running]:
    async with running(tmp_path, Cautious()) as at_work:
        yield at_work


async def test_what_was_stored_unanswered_is_found_in_the_log_and_not_sent_again(
    counting: Running,
) -> None:
    """After each reconnect it reads to the tail first, and only then publishes."""
    counting.bus.lose_answers = 1
    counting.hello(1)
    await counting.until(lambda: counting.connected == 2)
    assert await counting.service.wait_for_seq(counting.hello(2), timedelta(seconds=5))
    await counting.until(lambda: not counting.service.sender.waiting)
    assert counting.stored("online") == 2


async def test_no_deadline_is_decided_while_the_bus_is_away(counting: Running) -> None:
    assert await counting.service.wait_for_seq(counting.hello(1), timedelta(seconds=5))
    counting.log.take_away()
    counting.clock.advance(PAST_QUIET)
    assert await counting.told(fresh=False) == 0
    counting.log.bring_back()
    await counting.until(lambda: counting.stored("offline") == 1)


async def test_no_deadline_is_decided_before_a_beat_of_this_connection(cautious: Running) -> None:
    assert await cautious.service.wait_for_seq(cautious.hello(1), timedelta(seconds=5))
    cautious.clock.advance(PAST_QUIET)
    assert await cautious.told() == 0
    cautious.log.send_live("dormice-live.beat.gw-1", b"{}")
    await cautious.until(lambda: cautious.stored("offline") == 1)
    cautious.log.cut()
    await cautious.until(lambda: cautious.connected == 2)
    assert await cautious.service.wait_for_seq(cautious.hello(2), timedelta(seconds=5))
    cautious.clock.advance(PAST_QUIET)
    assert await cautious.told() == 1
    cautious.log.send_live("dormice-live.beat.gw-1", b"{}")
    await cautious.until(lambda: cautious.stored("offline") == 2)


async def test_a_call_is_decided_at_the_tail_as_of_its_arrival(counting: Running) -> None:
    for number in range(20):
        counting.hello(number)
        known = await counting.service.submit(lambda tx: count(tx.db, "hello"), fresh=True)
        assert known.result == number + 1


async def test_a_call_is_answered_once_its_events_are_acknowledged(counting: Running) -> None:
    def change(tx: Tx) -> str:
        tx.emit(PresenceOnline(host_id="x", name="", always_on=True, session="", gateway="",
                               since=NOW))  # fmt: skip
        return "done"

    counting.bus.open.clear()
    asking = asyncio.create_task(counting.service.submit(change, fresh=True))
    await counting.until(lambda: counting.service.sender.waiting == 1)
    await asyncio.sleep(0.02)  # Long enough for an answer that does not wait.
    assert not asking.done()
    counting.bus.open.set()
    assert (await asking).result == "done"
    assert (await asking).seq == counting.log.info().last_seq == 1


async def test_events_that_nobody_handles_share_a_step(counting: Running) -> None:
    """They are read at once, and stand in the file within a second, all with one commit."""
    running = counting
    commits = await running.commits()
    for number in range(30):
        seq = running.armed(number)
        assert await running.service.wait_for_seq(seq, timedelta(seconds=5))
    await running.until(lambda: running.file_position() == seq)
    assert len(commits) < 10


async def test_what_waits_goes_before_what_is_handled(counting: Running) -> None:
    """The position in the file covers both, and a call is decided at the tail as ever."""
    running = counting
    running.armed(1)
    seq = running.hello(1)
    assert await running.service.wait_for_seq(seq, timedelta(seconds=5))
    assert running.file_position() == seq
    seq = running.armed(2)
    await running.service.submit(lambda tx: None, fresh=True)
    assert running.file_position() == seq


async def test_what_waits_is_read_again_after_a_cut(counting: Running) -> None:
    running = counting
    seq = running.armed(1)
    assert await running.service.wait_for_seq(seq, timedelta(seconds=5))
    running.log.cut()
    await running.until(lambda: running.connected == 2)
    seq = running.hello(1)
    assert await running.service.wait_for_seq(seq, timedelta(seconds=5))
    assert running.file_position() == seq
    assert running.service.events_applied == 2
