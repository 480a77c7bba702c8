"""When a catch-up waits although its host is free: pure decisions. All off unless set.

A host on a weak battery, on a network that is paid by the byte, or in hours that are kept free,
waits until that is over. It never waits for longer than LONGEST, nor once its last success is half
as old as staleness allows: then it runs anyway.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from enum import Enum

LONGEST = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Power:
    """What a host's agent last said of power and network; None: it cannot tell."""

    on_battery: bool | None = None
    battery_percent: float | None = None
    metered: bool | None = None


@dataclass(frozen=True, slots=True)
class Hours:
    """A span of each day by the host's clock; one that ends before it begins ends the next day."""

    begins: time
    ends: time

    def end_at(self, now: datetime, zone: tzinfo) -> datetime | None:
        """Return when the span that `now` is in ends, or None if it is in none."""
        there = now.astimezone(zone)
        for day in (there.date() - timedelta(days=1), there.date()):
            begin, end = self._on(day, zone)
            if begin <= now < end:
                return end
        return None

    def _on(self, day: date, zone: tzinfo) -> tuple[datetime, datetime]:
        last = day if self.begins < self.ends else day + timedelta(days=1)
        begin = datetime.combine(day, self.begins, zone)
        end = datetime.combine(last, self.ends, zone)
        return begin.astimezone(UTC), end.astimezone(UTC)


def parse_hours(text: str) -> tuple[Hours, ...]:
    """Return the spans of `09:00-12:00` or `09:00-12:00, 22:00-06:00`.

    Raises: ValueError.
    """
    return tuple(_parse_span(part.strip()) for part in text.split(",") if part.strip())


def _parse_span(text: str) -> Hours:
    begins, dash, ends = text.partition("-")
    try:
        span = Hours(_parse_time(begins), _parse_time(ends))
    except ValueError:
        dash = ""
    if not dash or span.begins == span.ends:
        raise ValueError(f"{text!r} is no span of a day, such as 09:00-12:00")
    return span


def _parse_time(text: str) -> time:
    return datetime.strptime(text.strip(), "%H:%M").time()  # noqa: DTZ007  A time of day.


@dataclass(frozen=True, slots=True)
class Conditions:
    """What an operator has set: the least charge on battery in percent (0: any), whether a metered
    network is used, and which hours are kept free."""

    min_battery: float = 0
    on_metered: bool = True
    not_during: tuple[Hours, ...] = ()


class Cause(Enum):
    """Why a catch-up is put off."""

    ON_BATTERY = "the host runs on battery and its charge is low"
    METERED = "the host's network is metered"
    NOT_DURING = "these hours are kept free"


@dataclass(frozen=True, slots=True)
class Deferral:
    """A catch-up is put off; `until` at the latest."""

    cause: Cause
    until: datetime


def latest_start(
    deferred_since: datetime, last_success: datetime | None, stale_after: timedelta
) -> datetime:
    """Return when a catch-up that was first put off at `deferred_since` runs, come what may."""
    longest = deferred_since + LONGEST
    return longest if last_success is None else min(longest, last_success + stale_after / 2)


def find_deferral(
    conditions: Conditions, power: Power, zone: tzinfo, *, latest: datetime, now: datetime
) -> Deferral | None:
    """Say whether a catch-up that could run is put off, and why; not beyond `latest`."""
    if now >= latest:
        return None
    ends = [end for hours in conditions.not_during if (end := hours.end_at(now, zone)) is not None]
    if ends:
        return Deferral(Cause.NOT_DURING, min(max(ends), latest))
    charge = power.battery_percent
    if power.on_battery and charge is not None and charge < conditions.min_battery:
        return Deferral(Cause.ON_BATTERY, latest)
    if power.metered and not conditions.on_metered:
        return Deferral(Cause.METERED, latest)
    return None
