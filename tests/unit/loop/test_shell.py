"""The parts of the loop's shell that decide what may be believed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from libs.common.bus.base import BusAway, Outgoing, PublishRefused, ReaderLost
from libs.common.bus.memory import MemoryBus, MemoryLog
from libs.common.clock import VirtualClock
from libs.common.loop.core import Core
from libs.common.loop.follow import LogVerdict, open_log
from libs.common.loop.sender import Sender
from libs.common.loop.tx import OutboxRow
from libs.common.store.database import Database
from tests.integration.loop.counter import Counter

CLOCK = VirtualClock(datetime(2026, 6, 15, 9, 0, tzinfo=UTC))


class CutAfterTheLook(MemoryBus):
    """Loses its log between the look at it and the first reading."""

    async def event_id_at(self, seq: int) -> str | None:
        event_id = await super().event_id_at(seq)
        self.log.wipe()
        return event_id


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(tmp_path / "counter.db", Counter.package)
    await database.open()
    yield database
    await database.close()


def event(number: int) -> Outgoing:
    return Outgoing(f"e{number}", "dormice.agent.h.synced", b"{}")


async def test_a_log_that_is_wiped_while_it_is_opened_is_looked_at_again(
    database: Database,
) -> None:
    """Else the reader would wait beyond the new log's tail, silently, for ever."""
    log = MemoryLog()
    log.store([event(number) for number in range(5)])
    steady, cut = MemoryBus(log), CutAfterTheLook(log)
    await asyncio.gather(steady.connect(), cut.connect())
    core = await database.run(lambda db: Core(Counter(), db))
    await open_log(core, database, steady, CLOCK)
    with pytest.raises(ReaderLost):
        await open_log(core, database, cut, CLOCK)
    assert (await open_log(core, database, steady, CLOCK)).verdict is LogVerdict.WIPED


async def test_who_waits_for_a_value_learns_where_its_event_stands() -> None:
    """A call may end with a value of a bucket that goes out in a batch of its own."""
    bus = MemoryBus(MemoryLog())
    await bus.connect()
    sender = Sender(bus, lambda: None)
    sending = asyncio.create_task(sender.run())
    sender.add([OutboxRow(1, event(1)), OutboxRow(2, event(2))])
    assert await sender.when_stored(2) == 2
    sender.add([OutboxRow(3, Outgoing("", "h", b"{}", bucket="hosts"))])
    assert await sender.when_stored(3) == 2
    sending.cancel()


class Stuck(MemoryBus):
    """Takes everything and stores nothing while `stuck`, as a bus does whose disk was full."""

    stuck = True

    async def publish(self, messages: Sequence[Outgoing]) -> int:
        if self.stuck:
            raise BusAway("The bus did not answer in time.")
        return await super().publish(messages)


async def test_a_bus_that_stores_nothing_is_no_ready_one() -> None:
    bus = Stuck(MemoryLog())
    await bus.connect()
    sender = Sender(bus, lambda: None)
    sender.add([OutboxRow(1, event(1))])
    for tries in (1, 2):
        with pytest.raises(BusAway):
            await sender.run()
        assert (sender.unanswered, sender.reasons_not_ready) == (tries, ["the bus stores nothing"])
    bus.stuck = False
    sending = asyncio.create_task(sender.run())
    await sender.when_stored(1)
    assert (sender.unanswered, sender.reasons_not_ready) == (0, [])
    sending.cancel()


class Refusing(MemoryBus):
    """Refuses what it is given first, as one does that is not yet told of a right."""

    refusals = 1

    async def publish(self, messages: Sequence[Outgoing]) -> int:
        if self.refusals:
            self.refusals -= 1
            raise PublishRefused("not allowed yet")
        return await super().publish(messages)


async def test_nothing_overtakes_what_was_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("libs.common.loop.sender.REFUSED_RETRY_SECONDS", 0.0)
    bus = Refusing(MemoryLog())
    await bus.connect()
    sender = Sender(bus, lambda: None)
    sender.add([OutboxRow(number, event(number)) for number in (1, 2, 3)])
    sending = asyncio.create_task(sender.run())
    await asyncio.wait_for(sender.when_stored(3), 10)
    sending.cancel()
    assert [stored.event_id for stored in bus.log.read(1)] == ["e1", "e2", "e3"]
