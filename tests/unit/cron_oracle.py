"""Fires on a day on which the clock changes, told from Debian's rules alone.

Nothing of it is shared with `libs.common.cron`: what a field stands for is asked of cronsim, and a
zone is two offsets from UTC and the moment between them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import islice
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim

SECOND = timedelta(seconds=1)
AROUND = timedelta(hours=30)
FIRST, LAST = datetime(2020, 1, 1, tzinfo=UTC), datetime(2031, 1, 1, tzinfo=UTC)
WEEK = timedelta(days=7)  # No zone changes its clock twice within one.

ZONES = sorted(available_timezones())


@dataclass(frozen=True, slots=True)
class Change:
    """From `at` on, a clock shows UTC + `after`; before it showed UTC + `before`."""

    zone: str
    at: datetime
    before: timedelta
    after: timedelta

    @property
    def is_gap(self) -> bool:
        return self.after > self.before

    def moments(self, wall: datetime) -> list[datetime]:
        """Return when a clock shows `wall`: never in a gap, twice in what is repeated."""
        first, second = self._read_before(wall), self._read_after(wall)
        return [first] * (first < self.at) + [second] * (second >= self.at)

    def fixed_moment(self, wall: datetime) -> datetime:
        """Return when a job of this minute of the calendar runs, once."""
        return next(iter(self.moments(wall)), self.at)  # In a gap: right after it.

    def _read_before(self, wall: datetime) -> datetime:
        return wall.replace(tzinfo=UTC) - self.before

    def _read_after(self, wall: datetime) -> datetime:
        return wall.replace(tzinfo=UTC) - self.after


@cache
def changes_of(name: str) -> tuple[Change, ...]:
    """Return every change of a zone's clock from 2020 to 2030."""
    return tuple(_changes(name, ZoneInfo(name)))


def _changes(name: str, zone: ZoneInfo) -> Iterator[Change]:
    at = FIRST
    while at < LAST:
        before, after = _offset(at, zone), _offset(at + WEEK, zone)
        if before != after:
            yield Change(name, _moment_of_change(at, at + WEEK, zone), before, after)
        at += WEEK


def _moment_of_change(early: datetime, late: datetime, zone: ZoneInfo) -> datetime:
    before = _offset(early, zone)
    while late - early > SECOND:
        middle = early + (late - early) // SECOND // 2 * SECOND
        early, late = (middle, late) if _offset(middle, zone) == before else (early, middle)
    return late


def _offset(moment: datetime, zone: ZoneInfo) -> timedelta:
    offset = moment.astimezone(zone).utcoffset()
    assert offset is not None
    return offset


def fires_around(expression: str, change: Change) -> list[datetime]:
    """Return the fires within 30 hours of the change, in order."""
    follows_real_time = any(field.startswith("*") for field in expression.split()[:2])
    fires: set[datetime] = set()
    for wall in _matching_walls(expression, change.at):
        fires |= set(change.moments(wall)) if follows_real_time else {change.fixed_moment(wall)}
    return sorted(fire for fire in fires if abs(fire - change.at) <= AROUND)


def _matching_walls(expression: str, around: datetime) -> Iterator[datetime]:
    """Yield the minutes of the calendar that match, on the days around a moment."""
    rules = _rules(expression)
    midnight = around.replace(tzinfo=None, hour=0, minute=0, second=0)
    for days in range(-2, 3):
        day = midnight + timedelta(days=days)
        if rules.match_day(day):
            for hour in rules.hours:
                for minute in rules.minutes:
                    yield day.replace(hour=hour, minute=minute)


@cache
def _rules(expression: str) -> CronSim:
    return CronSim(expression, FIRST)


def by_cronsim(expression: str, after: datetime, zone: ZoneInfo) -> datetime | None:
    """Return the first answer of cronsim that is later than the start."""
    for fire in islice(CronSim(expression, after.astimezone(zone)), 200):
        if fire.astimezone(UTC) > after:
            return fire.astimezone(UTC)
    return None
