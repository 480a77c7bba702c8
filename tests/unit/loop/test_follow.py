"""R18: where a service goes on in a log that is no longer the one it knew."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from libs.common.bus.base import LogInfo, Outgoing
from libs.common.bus.memory import MemoryBus, MemoryLog
from libs.common.clock import VirtualClock
from libs.common.events.agent import AgentHello
from libs.common.events.base import encode
from libs.common.ids import IdSource
from libs.common.loop.core import Core
from libs.common.loop.follow import READ_AGAIN, LogVerdict, find_start, open_log
from libs.common.loop.step import Position
from libs.common.store.database import Database
from tests.integration.loop.counter import Counter

NOW = datetime(2026, 6, 15, 9, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
MILLISECOND = timedelta(milliseconds=1)  # Ids are as fine as that.
IDS = IdSource()


class Follower:
    """A service's file, and the log that it follows."""

    def __init__(self, database: Database, core: Core) -> None:
        self.log, self.clock = MemoryLog(), VirtualClock(NOW)
        self.bus = MemoryBus(self.log)
        self._database, self._core = database, core

    def hello(self, *sessions: str) -> None:
        for session in sessions:
            event = AgentHello(host_id="h", session=session, gateway="gw-1")
            event_id = IDS.next(self.clock.now())
            data = encode(event, event_id=event_id, source="dormice/gateway", time=NOW)
            self.log.append(Outgoing(event_id, event.subject(), data))

    async def follow(self) -> LogVerdict:
        """Open the log and read it to its tail, as after each return of the bus."""
        opened = await open_log(self._core, self._database, self.bus, self.clock)
        await opened.reader.close()
        if messages := self.log.read(opened.position.seq + 1):
            await self._database.run(lambda _: self._core.step(messages, now=self.clock.now()))
        return opened.verdict

    async def sessions(self) -> list[str]:
        query = "SELECT session FROM hello ORDER BY session"
        return await self._database.run(lambda db: [row[0] for row in db.execute(query)])


@pytest.fixture
async def follower(tmp_path: Path) -> AsyncIterator[Follower]:
    """A service that has read three hellos, an hour apart."""
    database = Database(tmp_path / "counter.db", Counter.package)
    await database.open()
    follower = Follower(database, await database.run(lambda db: Core(Counter(), db)))
    await follower.bus.connect()
    await follower.follow()
    for session in ("s1", "s2", "s3"):
        follower.hello(session)
        follower.clock.advance(HOUR)
    await follower.follow()
    yield follower
    await database.close()


async def test_r18_what_another_log_holds_already_is_read(follower: Follower) -> None:
    follower.log.wipe()
    follower.hello("s4", "s5")
    assert await follower.follow() is LogVerdict.WIPED
    assert await follower.sessions() == ["s1", "s2", "s3", "s4", "s5"]
    follower.hello("s6")
    assert await follower.follow() is LogVerdict.CONTINUES
    assert (await follower.sessions())[-1] == "s6"


async def test_r18_another_log_that_is_still_empty_is_read_from_its_first_event(
    follower: Follower,
) -> None:
    follower.log.wipe()
    assert await follower.follow() is LogVerdict.WIPED
    follower.hello("s4")
    assert await follower.follow() is LogVerdict.CONTINUES
    assert (await follower.sessions())[-1] == "s4"


@pytest.mark.parametrize("clock", [0 * HOUR, -2 * HOUR, 26 * HOUR], ids=["right", "back", "ahead"])
@pytest.mark.parametrize("new", [["s4"], ["s4", "s5", "s6"]], ids=["shorter", "regrown"])
async def test_r18_what_a_rewound_log_holds_already_is_read(
    follower: Follower, new: list[str], clock: timedelta
) -> None:
    """Also if the clock of who wrote it was set meanwhile."""
    follower.log.rewind(1)
    follower.clock.advance(clock)
    follower.hello(*new)
    assert await follower.follow() is LogVerdict.REWOUND
    assert await follower.sessions() == ["s1", "s2", "s3", *new]


async def test_r18_what_is_left_of_a_log_that_outlived_us_is_read(follower: Follower) -> None:
    follower.hello("s4", "s5")
    follower.log.expire(5)
    assert await follower.follow() is LogVerdict.OUTLIVED
    assert await follower.sessions() == ["s1", "s2", "s3", "s5"]
    assert await follower.follow() is LogVerdict.CONTINUES


async def test_the_first_start_is_at_the_tail(tmp_path: Path) -> None:
    """The buckets hold what was before."""
    database = Database(tmp_path / "counter.db", Counter.package)
    await database.open()
    follower = Follower(database, await database.run(lambda db: Core(Counter(), db)))
    await follower.bus.connect()
    follower.hello("s1")
    assert await follower.follow() is LogVerdict.FIRST_START
    assert await follower.sessions() == []
    await database.close()


def search(stored: list[str | None], applied_id: str) -> tuple[int, int]:
    """Return where reading begins in a rewound log that holds these ids, and how many it asked."""
    finding = find_start(LogVerdict.REWOUND, Position("log", 10**6, applied_id),
                         LogInfo("log", 1, len(stored)))  # fmt: skip
    asked = 0
    try:
        seq = next(finding)
        while True:
            asked += 1
            seq = finding.send(stored[seq - 1])
    except StopIteration as found:
        return found.value.seq, asked


def test_of_a_rewound_log_only_the_last_hours_are_read_again() -> None:
    ids: list[str | None] = [IDS.next(NOW + n * MILLISECOND) for n in range(1000)]
    applied_at = NOW + READ_AGAIN + 700 * MILLISECOND
    start, asked = search(ids, IDS.next(applied_at))
    assert start == 701
    assert asked <= 12


@pytest.mark.parametrize(
    ("stored", "applied_id", "start"),
    [
        pytest.param([], IDS.next(NOW), 0, id="nothing is left"),
        pytest.param([None, None, IDS.next(NOW)], IDS.next(NOW), 2, id="its head has expired"),
        pytest.param([IDS.next(NOW), "foreign"], IDS.next(NOW + HOUR * 9), 1, id="no time in it"),
        pytest.param([IDS.next(NOW)] * 3, "foreign", 0, id="no time in what we applied"),
        pytest.param([IDS.next(NOW)] * 3, IDS.next(NOW + HOUR * 9), 3, id="all is older"),
        pytest.param([IDS.next(NOW)] * 3, IDS.next(NOW - HOUR * 9), 0, id="all is newer"),
    ],
)
def test_who_cannot_tell_reads_more_rather_than_less(
    stored: list[str | None], applied_id: str, start: int
) -> None:
    assert search(stored, applied_id)[0] == start
