"""Opening the log where we left it, and noticing that it is no longer the log we knew.

A position is trusted only if the log is the same one (its creation time), still reaches it, and the
event there has the id that we applied; or if that event has expired but nothing after it has.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import partial

from libs.common.bus.base import Bus, LogInfo, Reader, ReaderLost
from libs.common.clock import Clock
from libs.common.loop.core import Core
from libs.common.loop.step import Position
from libs.common.store.database import Database


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
    """Open the log at the position if it still holds; else at its tail, with the buckets' state.

    Raises: BusAway, ReaderLost, LogMissing, StoreFault.
    """
    position = await database.run(lambda _: core.position())
    generation = bus.generation
    verdict, info = await examine(bus, position)
    if verdict is not LogVerdict.CONTINUES:
        buckets = {name: await bus.load_bucket(name) for name in core.machine.buckets}
        event_id = await bus.event_id_at(info.last_seq) if info.last_seq else ""
        position = Position(info.created_at, info.last_seq, event_id or "")
        start = partial(core.start_at, position, buckets, clock.now(), again=verdict.is_reset)
        await database.run(lambda _: start())
    assert position is not None
    reader = await bus.open_reader(position.seq + 1)
    if bus.generation != generation:
        await reader.close()
        raise ReaderLost("The connection broke before the log was open: it may be another log now.")
    return Opened(reader, position, verdict)


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
