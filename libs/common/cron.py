"""When a schedule fires: the one place that knows cron, used by agent and server. croniter inside.

Debian's rules (crontab(5), cron(8)):

- five fields, or one of the names @hourly @daily @midnight @weekly @monthly @yearly @annually;
- day and weekday are ORed, but ANDed if either starts with `*`;
- an expression whose minute or hour starts with `*` follows real time: it fires whenever the clock
  shows a matching minute, so not in a skipped hour and twice in a repeated one;
- any other expression fires once for each matching minute of the calendar: if that minute is
  skipped, at the first minute after the gap; if it is repeated, at its first pass.

croniter only ever sees naive wall times here; the zone is applied below, because croniter fires
fixed jobs twice in a repeated hour. Its extensions (L, W, #, ?, H, R, a sixth field, ranges that
wrap like FRI-MON) are refused: cron does not know them, or other programs read them otherwise.
So are other terms on which croniter and cronsim disagree: a step over the field's end, a step on a
range of one (`7-7/2`), and `1/2` for a weekday; elsewhere `5/10` is `5-59/10` to all of them.

All answers are UTC and whole minutes. They are cached by (expression, zone, minute).
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from croniter import croniter
from croniter.croniter import CroniterBadDateError, CroniterError

from libs.common.cron_syntax import BadCron, read
from libs.common.errors import BadInput

__all__ = [
    "BadCron", "UnknownZone", "count_fires", "fires_between", "is_overdue", "is_valid", "moment_of",
    "next_fire", "previous_fire", "validate", "zone",
]  # fmt: skip

MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)
LAST_MOMENT = datetime(9000, 1, 1, tzinfo=UTC)
FIRST_MOMENT = datetime(1971, 1, 1, tzinfo=UTC)
CALENDAR_CYCLE_START = datetime(2000, 1, 1)  # noqa: DTZ001  # A wall time has no zone.
YEARS_SEARCHED = 50  # A 29 February on one given weekday comes once in 28 to 40 years.


class UnknownZone(BadInput):
    """There is no time zone of this name."""


def zone(name: str) -> ZoneInfo:
    """Return the IANA time zone `name`. Raises UnknownZone."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError, TypeError, AttributeError):
        raise UnknownZone(
            f"{str(name)[:64]!r} is not a time zone; use one like Europe/Berlin"
        ) from None


def validate(expression: str) -> None:
    """Refuse an expression that cannot be read or can never fire. Raises BadCron."""
    _parsed(expression)


def is_valid(expression: str) -> bool:
    try:
        validate(expression)
    except BadCron:
        return False
    return True


def next_fire(expression: str, after: datetime, zone: ZoneInfo) -> datetime | None:
    """Return the first fire of `expression` strictly after `after`, in UTC, or None if none comes.

    A fixed-time job fires once on days of DST changes (as in Debian's cron(8)).

    Raises:
        BadCron: `expression` cannot be parsed.
    """
    return _next_fire(expression, _minute_of(after), zone)


def previous_fire(expression: str, not_after: datetime, zone: ZoneInfo) -> datetime | None:
    """Return the latest fire that is not after `not_after`, in UTC, or None. Raises BadCron."""
    return _previous_fire(expression, _minute_of(not_after), zone)


def moment_of(wall: datetime, zone: ZoneInfo) -> datetime:
    """Return when a clock in `zone` shows the local time `wall`, which has no zone, in UTC.

    Shown twice: the first time. Never shown: the first moment after the gap.
    """
    return _fixed_moment(wall, zone)


def is_overdue(
    expression: str, zone: ZoneInfo, last_success: datetime | None, now: datetime
) -> bool:
    """Say whether a fire since the last success has gone by (R14).

    Never backed up: yes. An expression that cannot be parsed: no, it never is due.
    """
    try:
        if last_success is None:
            validate(expression)
            return True
        due = next_fire(expression, last_success, zone)
    except BadCron:
        return False
    return due is not None and due <= now


def fires_between(
    expression: str, after: datetime, until: datetime, zone: ZoneInfo, *, limit: int = 1000
) -> list[datetime]:
    """Return the fires after `after` and not after `until`, the first `limit`. Raises BadCron."""
    fires: list[datetime] = []
    fire = next_fire(expression, after, zone)
    while fire is not None and fire <= until and len(fires) < limit:
        fires.append(fire)
        fire = next_fire(expression, fire, zone)
    return fires


def count_fires(
    expression: str, after: datetime, until: datetime, zone: ZoneInfo, *, limit: int = 1000
) -> int:
    """Return how many fires `fires_between` finds; `limit` then means "that many or more"."""
    return len(fires_between(expression, after, until, zone, limit=limit))


# --- Reading an expression ------------------------------------------------------------------------


class _Parsed:
    """An expression that was checked, as croniter reads it.

    croniter is given plain lists of numbers and told whether day and weekday are ANDed: its own
    reading of ranges differs from cron's in places (`7-7` is the whole week to it).
    """

    def __init__(self, fields: list[str], lists: list[str]) -> None:
        self.follows_real_time = fields[0].startswith("*") or fields[1].startswith("*")
        days_anded = fields[2].startswith("*") or fields[4].startswith("*")
        if not days_anded and "*" in (lists[2], lists[4]):
            lists[2] = lists[4] = "*"  # Any day, or this one: any day.
        self._croniter = croniter(
            " ".join(lists),
            CALENDAR_CYCLE_START,
            ret_type=datetime,
            day_or=not days_anded,
            max_years_between_matches=YEARS_SEARCHED,
        )

    def walls_after(self, wall: datetime) -> Iterator[datetime]:
        """Yield the matching wall times strictly after `wall`, upwards."""
        cursor = copy.copy(self._croniter)
        cursor.set_current(wall.replace(second=0, microsecond=0))
        while True:
            try:
                yield cursor.get_next(datetime)
            except (CroniterBadDateError, OverflowError, ValueError):
                return

    def walls_until(self, wall: datetime) -> Iterator[datetime]:
        """Yield the matching wall times not after `wall`, downwards."""
        cursor = copy.copy(self._croniter)
        cursor.set_current(wall.replace(second=0, microsecond=0) + MINUTE)
        while True:
            try:
                yield cursor.get_prev(datetime)
            except (CroniterBadDateError, OverflowError, ValueError):
                return


@lru_cache(maxsize=8192)
def _parsed(expression: str) -> _Parsed:
    try:
        parsed = _Parsed(*read(expression))
        fires = next(parsed.walls_after(CALENDAR_CYCLE_START), None)
    except CroniterError as error:
        raise BadCron(f"{expression!r} cannot be read: {error}"[:200]) from None
    if fires is None:
        raise BadCron(f"{expression!r} never fires: no month has such a day")
    return parsed


# --- From wall times to moments -------------------------------------------------------------------


@lru_cache(maxsize=65536)
def _next_fire(expression: str, after: datetime, zone: ZoneInfo) -> datetime | None:
    parsed = _parsed(expression)
    if after >= LAST_MOMENT:
        return None
    wall = _wall(after, zone)
    if not parsed.follows_real_time:
        moments = (_fixed_moment(at, zone) for at in parsed.walls_after(wall))
        return next((moment for moment in moments if moment > after), None)
    starts = [wall]
    repeat = _repeated_around(wall, zone)
    if repeat is not None:
        starts.append(repeat.first - MINUTE)  # Times already shown may be shown once more.
    firsts = (_first_shown(parsed.walls_after(start), after, zone) for start in starts)
    return min((first for first in firsts if first is not None), default=None)


@lru_cache(maxsize=65536)
def _previous_fire(expression: str, not_after: datetime, zone: ZoneInfo) -> datetime | None:
    parsed = _parsed(expression)
    if not_after <= FIRST_MOMENT:
        return None
    wall = _wall(not_after, zone)
    starts = [wall]
    repeat = _repeated_around(wall, zone)
    if repeat is not None:
        starts.append(repeat.end - MINUTE)  # Later times may have been shown before.
    lasts = [
        _last_shown(parsed, start, not_after, zone)
        if parsed.follows_real_time
        else _last_fixed(parsed, start, not_after, zone)
        for start in starts
    ]
    return max((last for last in lasts if last is not None), default=None)


def _first_shown(walls: Iterator[datetime], after: datetime, zone: ZoneInfo) -> datetime | None:
    """Return the first moment after `after` at which a clock shows one of `walls`."""
    for wall in walls:
        for moment in _moments(wall, zone):
            if moment > after:
                return moment
    return None


def _last_shown(
    parsed: _Parsed, start: datetime, not_after: datetime, zone: ZoneInfo
) -> datetime | None:
    for wall in parsed.walls_until(start):
        for moment in reversed(_moments(wall, zone)):
            if moment <= not_after:
                return moment
    return None


def _last_fixed(
    parsed: _Parsed, start: datetime, not_after: datetime, zone: ZoneInfo
) -> datetime | None:
    moments = (_fixed_moment(wall, zone) for wall in parsed.walls_until(start))
    return next((moment for moment in moments if moment <= not_after), None)


def _moments(wall: datetime, zone: ZoneInfo) -> list[datetime]:
    """Return the moments at which a clock in `zone` shows `wall`: none, one or two, in order."""
    both = [wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)]
    return sorted({moment for moment in both if _wall(moment, zone).replace(fold=0) == wall})


def _fixed_moment(wall: datetime, zone: ZoneInfo) -> datetime:
    """Return when a fixed job of `wall` runs: its first pass, or the first minute after a gap."""
    moments = _moments(wall, zone)
    if moments:
        return moments[0]
    # In a gap fold=1 gives the earlier moment, before the change, and fold=0 the later.
    early, late = (wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (1, 0))
    return _change_between(early, late, zone)


class _Repeat:
    """A stretch of wall time that the clock shows twice: from `first` up to before `end`."""

    def __init__(self, first: datetime, end: datetime) -> None:
        self.first = first
        self.end = end


def _repeated_around(wall: datetime, zone: ZoneInfo) -> _Repeat | None:
    moments = _moments(wall.replace(fold=0), zone)
    if len(moments) < 2:
        return None
    change = _change_between(moments[0], moments[1], zone)
    length = moments[1] - moments[0]
    first = _wall(change, zone).replace(fold=0)
    return _Repeat(first, first + length)


def _change_between(early: datetime, late: datetime, zone: ZoneInfo) -> datetime:
    """Return the first second in (early, late] at which the zone's offset differs from `early`'s.

    The two are whole seconds around one change of the clock.
    """
    old = early.astimezone(zone).utcoffset()
    while late - early > SECOND:
        middle = early + timedelta(seconds=(late - early) // SECOND // 2)
        if middle.astimezone(zone).utcoffset() == old:
            early = middle
        else:
            late = middle
    return late


def _wall(moment: datetime, zone: ZoneInfo) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None)


def _minute_of(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(second=0, microsecond=0)
