"""Opening the log as a service does, without asyncio."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from libs.common.bus.base import LogInfo
from libs.common.bus.memory_log import MemoryLog
from libs.common.loop.core import Core
from libs.common.loop.follow import LogVerdict, assess_log, find_start
from libs.common.loop.step import Position


@dataclass(frozen=True, slots=True)
class Opened:
    """After which event to read on, and why."""

    position: Position
    verdict: LogVerdict


def open_log(core: Core, log: MemoryLog, now: datetime) -> Opened:
    """Return where `core` goes on; if it is not where it was, with the state of the buckets."""
    position, info = core.position(), log.info()
    event_id = log.event_id_at(position.seq) if position else None
    verdict = assess_log(position, info, event_id)
    if position is None or verdict is not LogVerdict.CONTINUES:
        buckets = {name: log.load(name) for name in core.machine.buckets}
        position = _find_start(log, verdict, position, info)
        core.start_at(position, buckets, now, again=verdict.is_reset)
    return Opened(position, verdict)


def _find_start(
    log: MemoryLog, verdict: LogVerdict, position: Position | None, info: LogInfo
) -> Position:
    search = find_start(verdict, position, info)
    try:
        seq = next(search)
        while True:
            seq = search.send(log.event_id_at(seq))
    except StopIteration as found:
        start: Position = found.value
        return start
