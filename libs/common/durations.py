"""Durations as people write them: `90s`, `15m`, `1h30m`, `7d`; and as alerts print them."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer

_UNITS = {
    "d": timedelta(days=1),
    "h": timedelta(hours=1),
    "m": timedelta(minutes=1),
    "s": timedelta(seconds=1),
    "ms": timedelta(milliseconds=1),
}
_PART = re.compile(r"(?P<number>[0-9]{1,9}(?:\.[0-9]{1,6})?)(?P<unit>ms|[dhms])")
_WHOLE = re.compile(r"(?:[0-9]{1,9}(?:\.[0-9]{1,6})?(?:ms|[dhms]))+")
LONGEST = timedelta(days=36_500)


def parse_duration(text: str) -> timedelta:
    """Return what `90s`, `15m`, `7d`, `1h30m` or `0.5s` means.

    Raises:
        ValueError: not written so, or longer than a hundred years; the message says how.
    """
    written = text.strip().lower()
    if len(written) > 64 or _WHOLE.fullmatch(written) is None:
        raise ValueError(f"{text[:64]!r} is not a duration; write it as 90s, 15m, 1h30m or 7d")
    parts = _PART.finditer(written)
    duration = sum((float(part["number"]) * _UNITS[part["unit"]] for part in parts), timedelta())
    if duration > LONGEST:
        raise ValueError(f"{text[:64]!r} is longer than a hundred years")
    return duration


def render_duration(duration: timedelta) -> str:
    """Return the shortest text that `parse_duration` reads back as `duration`: `1h30m`, `0s`."""
    parts = []
    rest = max(duration, timedelta())
    for unit, size in _UNITS.items():
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def format_duration(duration: timedelta) -> str:
    """Return how an alert prints it: `12s`, `17m0s`, `2h0m0s`, `8d2h0m`.

    Below a minute seconds; below an hour, below a day all units down to seconds; else down to
    minutes. What is less than the last unit is cut off; a negative duration is `0s`.
    """
    seconds = max(int(duration.total_seconds()), 0)
    minutes, second = divmod(seconds, 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    if days:
        return f"{days}d{hour}h{minute}m"
    if hours:
        return f"{hours}h{minute}m{second}s"
    return f"{minutes}m{second}s" if minutes else f"{second}s"


def _read(value: Any) -> Any:
    if isinstance(value, timedelta):
        return value
    if isinstance(value, str):
        return parse_duration(value)
    raise ValueError(f"{value!r} has no unit; write it as 90s, 15m, 1h30m or 7d")


Duration = Annotated[
    timedelta, BeforeValidator(_read), PlainSerializer(render_duration, return_type=str)
]
"""A `timedelta` in settings and bodies, as text `90s`, `15m`, `7d`, `1h30m`; no bare numbers."""
