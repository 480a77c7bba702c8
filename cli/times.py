"""Times as the command line shows them: relative, or as this terminal's clock. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

from services.ui.pages.times import countdown, since, until

__all__ = ["countdown", "day_and_clock", "lasted", "local_clock", "moment", "since", "until"]

DAY = timedelta(days=1)


def moment(text: str | None) -> datetime | None:
    """Return an RFC 3339 time of the API as an aware datetime."""
    return datetime.fromisoformat(text) if text else None


def local_clock(at: datetime, now: datetime) -> str:
    """Return when, as short as it is clear: `02:00`, `Tue 02:00`, `Mon 30 Nov 09:01`."""
    local, today = at.astimezone(), now.astimezone()
    days = abs((local.date() - today.date()).days)
    if days == 0 or (at > now and at - now < DAY):
        return f"{local:%H:%M}"
    return f"{local:%a %H:%M}" if days < 7 else day_and_clock(at)


def day_and_clock(at: datetime) -> str:
    """`Mon 30 Nov 09:01`, in this terminal's zone: a moment that someone will remember."""
    local = at.astimezone()
    return f"{local:%a} {local.day} {local:%b} {local:%H:%M}"


def lasted(start: datetime | None, end: datetime | None) -> str:
    """Return how long it took: `41 s`, `3 min`, `2 h`; empty if it has no start or no end."""
    if start is None or end is None:
        return ""
    seconds = max((end - start).total_seconds(), 0)
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 3600 else f"{seconds / 3600:.1f} h"
