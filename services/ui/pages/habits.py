"""When a laptop is usually back, learned from when it came back before. Pure.

Only returns after a night or so count: a lid that is opened after lunch says nothing of a habit.
Working days and weekends are two habits; a day on which it did not come back speaks against one.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from itertools import pairwise
from statistics import median
from zoneinfo import ZoneInfo

from services.ui.pages.times import clock, zone_of
from services.ui.views import Display, HostView, Strip, TimelineInterval

LONG_AWAY = timedelta(hours=4)
LOOK_AHEAD_DAYS = 4  # Over a weekend, and a day more.
ENOUGH_RETURNS = 3
ENOUGH_SHARE = 0.5
SPREAD_MINUTES = 45
STEP_MINUTES = 10
DAY_MINUTES = 24 * 60


def usual_words(host: HostView, strip: Strip, now: datetime) -> str | None:
    """Return `usually back about 08:30` of a host that is asleep and has a habit."""
    if host.display is not Display.ASLEEP:
        return None
    zone = zone_of(host.timezone)
    at = usual_return(strip.intervals, now, zone)
    return None if at is None else f"usually back about {clock(at, now, zone)}"


def usual_return(
    intervals: Sequence[TimelineInterval], now: datetime, zone: ZoneInfo
) -> datetime | None:
    """Return about when a host that is away will be back, or None if its past shows no habit.

    `intervals` are its last weeks; the moment is in `zone`, to ten minutes.
    """
    returns = _first_returns(intervals, zone)
    today = now.astimezone(zone).date()
    seen = _days_seen(intervals, today, zone)
    for ahead in range(LOOK_AHEAD_DAYS):
        day = today + timedelta(days=ahead)
        minutes = _minutes_on(day, returns, seen)
        if minutes and _spread(minutes) > SPREAD_MINUTES:
            return None  # It comes on such a day, but at any time.
        if minutes and (at := _moment(day, median(minutes), zone)) > now:
            return at
    return None


def _first_returns(intervals: Sequence[TimelineInterval], zone: ZoneInfo) -> dict[date, int]:
    """Return each day's first return after a long time away, in minutes after midnight."""
    found: dict[date, int] = {}
    for before, after in pairwise(intervals):
        if before.state == "offline" and after.state == "online":
            local = after.start.astimezone(zone)
            if after.start - before.start >= LONG_AWAY:
                found.setdefault(local.date(), local.hour * 60 + local.minute)
    return found


def _days_seen(intervals: Sequence[TimelineInterval], today: date, zone: ZoneInfo) -> list[date]:
    """Return the whole days that are behind us since the host was first seen."""
    known = next((one.start for one in intervals if one.state != "never_seen"), None)
    if known is None:
        return []
    first = known.astimezone(zone).date() + timedelta(days=1)
    return [first + timedelta(days=number) for number in range((today - first).days)]


def _minutes_on(day: date, returns: dict[date, int], seen: Sequence[date]) -> list[int]:
    """Return when it came back on days like this; none if it seldom did."""
    alike = [one for one in seen if _is_workday(one) == _is_workday(day)]
    minutes = [returns[one] for one in alike if one in returns]
    seldom = len(minutes) < max(ENOUGH_RETURNS, ENOUGH_SHARE * len(alike))
    return [] if seldom else minutes


def _spread(minutes: Sequence[int]) -> float:
    middle = median(minutes)
    return median(abs(one - middle) for one in minutes)


def _moment(day: date, minutes: float, zone: ZoneInfo) -> datetime:
    step = round(minutes / STEP_MINUTES) * STEP_MINUTES
    late = divmod(min(step, DAY_MINUTES - STEP_MINUTES), 60)
    return datetime(day.year, day.month, day.day, *late, tzinfo=zone)


def _is_workday(day: date) -> bool:
    return day.weekday() < 5
