"""Opening the log where we left it, and noticing that it is no longer the log we knew.

A position is trusted only if the log is the same one (its creation time), still reaches it, and the
event there has the id that we applied; or if that event has expired but nothing after it has.

Whatever the log became, what it holds and we may not have applied is read: another log from its
beginning, an older copy from some time before what we applied last.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from functools import partial

from libs.common.bus.base import Bus, LogInfo, Reader, ReaderLost
from libs.common.clock import Clock
from libs.common.ids import time_of
from libs.common.loop.core import Core
from libs.common.loop.step import Position
from libs.common.store.database import Database

READ_AGAIN = timedelta(hours=3)
"""Of a rewound log, so much before the last applied event is read again. Longer than clocks are
set back and outboxes wait; handlers know what they have applied."""


class LogVerdict(Enum):
    """Whether the log can be read on from a position."""

    CONTINUES = "the log holds everything after the position"
    FIRST_START = "there is no position yet"
    WIPED = "the log was made anew"
    REWOUND = "the log ends before the position, or holds another event there"
    OUTLIVED = "the log has dropped events that were never read"

    @property
    def is_reset(self) -> bool:
        """Whether something that was known, or should have been read, is gone."""
        return self not in (LogVerdict.CONTINUES, LogVerdict.FIRST_START)


@dataclass(frozen=True, slots=True)
class Opened:
    """A reader that continues after `position`."""

    reader: Reader
    position: Position
    verdict: LogVerdict


async def open_log(core: Core, database: Database, bus: Bus, clock: Clock) -> Opened:
    """Open the log at the position if it still holds; else with the state of the buckets, at the
    tail if there was no position, where `find_start` says if it is no longer the log we knew.

    Raises: BusAway, ReaderLost, LogMissing, StoreFault.
    """
    position = await database.run(lambda _: core.position())
    generation = bus.generation
    verdict, info = await examine(bus, position)
    if verdict is not LogVerdict.CONTINUES:
        buckets = {name: await bus.load_bucket(name) for name in core.machine.buckets}
        position = await _find_start(bus, verdict, position, info)
        start = partial(core.start_at, position, buckets, clock.now(), again=verdict.is_reset)
        await database.run(lambda _: start())
    assert position is not None
    reader = await bus.open_reader(position.seq + 1)
    if bus.generation != generation:
        await reader.close()
        raise ReaderLost("The connection broke before the log was open: it may be another log now.")
    return Opened(reader, position, verdict)


async def _find_start(
    bus: Bus, verdict: LogVerdict, position: Position | None, info: LogInfo
) -> Position:
    search = find_start(verdict, position, info)
    try:
        seq = next(search)
        while True:
            seq = search.send(await bus.event_id_at(seq))
    except StopIteration as found:
        start: Position = found.value
        return start


def find_start(
    verdict: LogVerdict, position: Position | None, info: LogInfo
) -> Generator[int, str | None, Position]:
    """Return after which event to read on, once that is not simply `position`.

    Yields sequences, and is sent the ids of the events there (None: expired).
    """
    seq = info.first_seq - 1
    if verdict is LogVerdict.FIRST_START:
        seq = info.last_seq  # The buckets hold what was before.
    elif verdict is LogVerdict.REWOUND and position is not None:
        seq = yield from _find_overlap(position.event_id, seq, info.last_seq)
    event_id = (yield seq) if info.first_seq <= seq <= info.last_seq else None
    return Position(info.created_at, seq, event_id or "")


def _find_overlap(applied_id: str, low: int, last_seq: int) -> Generator[int, str | None, int]:
    """Return a sequence before all that was stored since the log lost what was applied last.

    Ids carry the time they were made; all of those are later than READ_AGAIN before `applied_id`.
    """
    applied_at, high = time_of(applied_id), last_seq + 1
    while applied_at is not None and high - low > 1:
        middle = (low + high) // 2
        event_id = yield middle
        made_at = time_of(event_id) if event_id is not None else None
        if event_id is not None and (made_at is None or made_at > applied_at - READ_AGAIN):
            high = middle
        else:
            low = middle
    return low


def assess_log(position: Position | None, info: LogInfo, event_id: str | None) -> LogVerdict:
    """Say whether reading may go on after `position`; `event_id` is what the log holds there."""
    if position is None:
        return LogVerdict.FIRST_START
    if position.log_created_at != info.created_at:
        return LogVerdict.WIPED
    if info.last_seq < position.seq:
        return LogVerdict.REWOUND
    if position.seq < info.first_seq:
        kept = info.first_seq <= position.seq + 1
        return LogVerdict.CONTINUES if kept else LogVerdict.OUTLIVED
    if event_id != position.event_id:
        return LogVerdict.REWOUND
    return LogVerdict.CONTINUES


async def examine(bus: Bus, position: Position | None) -> tuple[LogVerdict, LogInfo]:
    """Ask the bus what `assess_log` needs. Raises: BusAway, LogMissing."""
    info = await bus.log_info()
    event_id = None
    if position is not None and info.first_seq <= position.seq <= info.last_seq:
        event_id = await bus.event_id_at(position.seq)
    return assess_log(position, info, event_id), info
