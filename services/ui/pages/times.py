"""Times as pages show them: relative, as a clock in the host's zone, and whole. Pure."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from libs.common.cron import UnknownZone, zone

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def zone_of(name: str) -> ZoneInfo:
    """Return a host's zone; UTC for one that this machine does not know."""
    try:
        return zone(name)
    except UnknownZone:
        return ZoneInfo("UTC")


def since(moment: datetime, now: datetime) -> str:
    """Return how long ago: `just now`, `18 min ago`, `3 h ago`, `yesterday`, `8 d ago`.

    `live.js` says the same while a page stands open; keep the two alike.
    """
    span = now - moment
    if span < timedelta(seconds=5):
        return "just now"
    if span < MINUTE:
        return f"{int(span.total_seconds())} s ago"
    if span < HOUR:
        return f"{span // MINUTE} min ago"
    if span < DAY:
        return f"{span // HOUR} h ago"
    if span < 2 * DAY:
        return "yesterday"
    return f"{span // DAY} d ago"


def span_since(span: timedelta) -> str:
    """Return how long something has lasted, in its largest unit: `18 min`, `8 d`."""
    for size, unit in ((DAY, "d"), (HOUR, "h"), (MINUTE, "min")):
        if span >= size:
            return f"{span // size} {unit}"
    return f"{max(int(span.total_seconds()), 0)} s"


def until(moment: datetime, now: datetime) -> str:
    """Return how long it takes: `9 min`, `3 h`, `2 d`; rounded up, so that it is never early."""
    span = max(moment - now, timedelta())
    if span < MINUTE:
        return f"{-(-span // SECOND)} s"
    if span < HOUR:
        return f"{-(-span // MINUTE)} min"
    if span < DAY:
        return f"{-(-span // HOUR)} h"
    return f"{-(-span // DAY)} d"


def countdown(moment: datetime, now: datetime) -> str:
    """Return minutes and seconds: `0:42`; `0:00` once it is past."""
    seconds = max(int((moment - now).total_seconds()), 0)
    return f"{seconds // 60}:{seconds % 60:02}"


def span_words(span: timedelta) -> str:
    """Return a threshold as people say it: `15 min`, `7 days`, `1 h 30 min`."""
    seconds = int(span.total_seconds())
    units = ((86_400, "day", "days"), (3600, "h", "h"), (60, "min", "min"), (1, "s", "s"))
    parts = []
    for size, one, many in units:
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count} {one if count == 1 else many}")
    return " ".join(parts[:2]) or "0 s"


def seconds_words(seconds: int) -> str:
    """Return a number of seconds as `span_words` says it."""
    return span_words(timedelta(seconds=seconds))


def clock(moment: datetime, now: datetime, where: ZoneInfo) -> str:
    """Return when, as short as it is clear: `02:00`, `Tue 02:00`, `Mon 30 Nov 09:01`.

    The next 24 hours need no day; of what is past only today does not.
    """
    local, today = moment.astimezone(where), now.astimezone(where)
    days = abs((local.date() - today.date()).days)
    if days == 0 or now <= moment < now + DAY:
        return f"{local:%H:%M}"
    if days < 7:
        return f"{local:%a %H:%M}"
    return full_day(moment, where) + f" {local:%H:%M}"


def clock_at(now: datetime) -> Callable[[datetime, str], str]:
    """Return `clock` as of `now`: (moment, name of a zone) → text."""
    return lambda moment, name: clock(moment, now, zone_of(name))


def full_day(moment: datetime, where: ZoneInfo) -> str:
    """`Mon 30 Nov`."""
    local = moment.astimezone(where)
    return f"{local:%a} {local.day} {local:%b}"


def dated(moment: datetime, where: ZoneInfo) -> str:
    """`Mon 30 Nov 09:01`: a moment that someone will remember."""
    return f"{full_day(moment, where)} {moment.astimezone(where):%H:%M}"


def from_field(text: str) -> datetime:
    """Return what a date and time field of a form holds, which is UTC.

    Raises:
        ValueError: it holds something else; the message says so.
    """
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M").replace(tzinfo=UTC)
    except ValueError:
        raise ValueError(f"{text[:32]!r} is no moment; write it as 2026-11-23T22:00") from None


def whole(moment: datetime) -> str:
    """`2026-11-23 14:01:12 UTC`, for titles and tables."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
