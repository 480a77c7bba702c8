"""The one module that reads clocks. Everything it returns is aware UTC."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Protocol

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TICK = timedelta(microseconds=1)


class Clock(Protocol):
    """What gives `now`. Rules never hold one; they are given `now`."""

    def now(self) -> datetime: ...


class SystemClock:
    """The clock of this machine."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class VirtualClock:
    """A clock that moves only when told; it may be set back."""

    def __init__(self, start: datetime) -> None:
        self._now = start

    def now(self) -> datetime:
        return self._now

    def advance(self, by: timedelta) -> datetime:
        self._now += by
        return self._now

    def set(self, to: datetime) -> None:
        self._now = to


def monotonic_seconds() -> float:
    """Seconds that never go back, for measuring how long something took."""
    return time.monotonic()


def to_micros(moment: datetime) -> int:
    """UTC microseconds since 1970, the form in which SQLite keeps times."""
    return (moment - EPOCH) // TICK


def from_micros(micros: int) -> datetime:
    return EPOCH + timedelta(microseconds=micros)


def micros_or_none(moment: datetime | None) -> int | None:
    """`to_micros` of what may be unknown: a column that may be NULL."""
    return None if moment is None else to_micros(moment)


def moment_or_none(micros: int | None) -> datetime | None:
    """`from_micros` of a column that may be NULL."""
    return None if micros is None else from_micros(micros)


@lru_cache(maxsize=16)
def to_rfc3339(moment: datetime) -> str:
    """`2026-11-23T02:00:00.000001Z`, always UTC. What a pass emits bears one moment."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
