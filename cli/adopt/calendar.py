"""systemd's calendar events, such as `Mon..Fri 02:30` or `*-*-01 04:00`, as cron. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from libs.common import cron
from libs.common.errors import DormiceError

NAMES = {
    "minutely": "* * * * *", "hourly": "0 * * * *", "daily": "0 0 * * *", "weekly": "0 0 * * 1",
    "monthly": "0 0 1 * *", "quarterly": "0 0 1 1,4,7,10 *", "semiannually": "0 0 1 1,7 *",
    "yearly": "0 0 1 1 *", "annually": "0 0 1 1 *",
}  # fmt: skip
DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
RANGES = {"minute": (0, 59), "hour": (0, 23), "day": (1, 31), "month": (1, 12)}

_WORD = re.compile(r"(?:[a-z]{3,9})(?:(?:\.\.|-|,)[a-z]{3,9})*,?", re.IGNORECASE)
_ZONE = re.compile(r"UTC|[A-Z][A-Za-z_]+/[A-Za-z_/+-]+")


@dataclass(frozen=True, slots=True)
class Timed:
    """A cron expression, and its zone if one was named."""

    cron: str
    timezone: str | None = None


class _NoCron(Exception):
    """Cron cannot say this."""


def cron_of(calendar: str) -> Timed | None:
    """Return the cron expression that means the same; None if none does."""
    words = calendar.split()
    if not words:
        return None
    zone = words.pop() if len(words) > 1 and _ZONE.fullmatch(words[-1]) else None
    try:
        text = NAMES.get(" ".join(words).lower()) or _converted(words)
        cron.validate(text)
    except (_NoCron, ValueError, DormiceError):
        return None
    return Timed(text, zone)


def _converted(words: list[str]) -> str:
    weekday = _weekdays(words.pop(0)) if _WORD.fullmatch(words[0]) else "*"
    date = words.pop(0) if words and "-" in words[0] else "*-*-*"
    time = words.pop(0) if words else "00:00"
    if words:
        raise _NoCron
    parts = date.split("-")
    if len(parts) == 3 and parts.pop(0) != "*":
        raise _NoCron
    month, day = (_field(part, name) for part, name in zip(parts, ("month", "day"), strict=True))
    hour, minute = _time(time)
    if weekday != "*" and day != "*":
        raise _NoCron  # cron takes either, systemd wants both.
    return f"{minute} {hour} {day} {month} {weekday}"


def _time(text: str) -> tuple[str, str]:
    parts = text.split(":")
    if len(parts) == 3 and parts.pop().strip("0"):
        raise _NoCron
    hour, minute = parts
    return _field(hour, "hour"), _field(minute, "minute")


def _field(text: str, name: str) -> str:
    """`*`, `7`, `1,15`, `9..17`, `0/15`, `9..17/2`."""
    least, most = RANGES[name]
    found = []
    for part in text.split(","):
        span, slash, step = part.partition("/")
        first, dots, last = span.partition("..")
        if first == "*" and not dots:
            found.append("*" if not slash else f"*/{int(step)}")
        elif dots:
            found.append(f"{int(first)}-{int(last)}" + (f"/{int(step)}" if slash else ""))
        elif slash:
            found.append(f"*/{int(step)}" if int(first) == least else
                         f"{int(first)}-{most}/{int(step)}")  # fmt: skip
        else:
            found.append(str(int(first)))
    return ",".join(found)


def _weekdays(text: str) -> str:
    days: list[int] = []
    for part in text.strip(",").split(","):
        ends = [_day(end) for end in re.split(r"\.\.|-", part)]
        first, last = ends[0], ends[-1]
        days += [(first + one) % 7 for one in range((last - first) % 7 + 1)]
    return ",".join(str(day) for day in sorted(set(days)))


def _day(text: str) -> int:
    try:
        return DAYS.index(text[:3].lower())
    except ValueError:
        raise _NoCron from None
