"""When a schedule fires, worked out apart from the production's cron: plain and for few forms only.

The simulator's schedules are `M H * * *` (daily, in a zone) and `M * * * *` (hourly). A daily one
fires once a day: where its minute does not exist, at the first minute that does; where it comes
twice, the first time. An hourly one follows real time.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

HOUR, DAY, MINUTE = timedelta(hours=1), timedelta(days=1), timedelta(minutes=1)


def fires_between(cron: str, after: datetime, until: datetime, zone: str) -> list[datetime]:
    """Return the fires after `after` and not after `until`, in UTC, oldest first."""
    found = []
    while (after := next_fire(cron, after, zone)) <= until:
        found.append(after)
    return found


def next_fire(cron: str, after: datetime, zone: str) -> datetime:
    """Return the first fire strictly after `after`, in UTC."""
    minute, hour = cron.split()[:2]
    if hour == "*":
        return _next_hourly(int(minute), after)
    day = after.astimezone(ZoneInfo(zone)).date() - DAY
    while (fire := _on_day(day, int(hour), int(minute), zone)) <= after:
        day += DAY
    return fire


def last_fire(cron: str, until: datetime, zone: str) -> datetime:
    """Return the latest fire not after `until`."""
    return fires_between(cron, until - 2 * DAY, until, zone)[-1]


def _next_hourly(minute: int, after: datetime) -> datetime:
    fire = after.astimezone(UTC).replace(minute=minute, second=0, microsecond=0)
    return fire if fire > after else fire + HOUR


@lru_cache(maxsize=4096)
def _on_day(day: date, hour: int, minute: int, zone: str) -> datetime:
    where = ZoneInfo(zone)
    wall = datetime.combine(day, time(hour, minute))
    fire = wall.replace(tzinfo=where).astimezone(UTC)
    while fire.astimezone(where).replace(tzinfo=None) != wall:  # In the gap: the minute after it.
        earlier = fire - MINUTE
        if earlier.astimezone(where).utcoffset() != fire.astimezone(where).utcoffset():
            break
        fire = earlier
    return fire
