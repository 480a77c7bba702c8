"""Times that come again every week: on some days, from-to by the clock of one zone. Pure.

A local time falls on its first pass in a repeated hour, and on the first moment after the gap where
it is skipped: as a fixed job of cron does (`cron.moment_of`). So a night in which the clocks change
has one window, an hour longer or shorter.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from libs.common import cron

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = get_args(Day)
_FULL = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_PLACES = {name: place for names in (DAYS, _FULL) for place, name in enumerate(names)}
ONE_DAY = timedelta(days=1)
Clock = Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
HOW = "write it as `sat,sun 22:00-06:00`, `mon-fri 01:00-02:30` or `daily 03:00-04:00`"
_WRITTEN = re.compile(r"([a-z,\s-]+?)\s+([0-9]{1,2}:[0-9]{2})\s*-\s*([0-9]{1,2}:[0-9]{2})")


class Weekly(BaseModel):
    """On each of `days` from `from` to `to`; a `to` that is not later is on the next day.

    It covers from its begin on, and no longer at its end.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    days: tuple[Day, ...] = Field(min_length=1, max_length=7)
    begins: Clock = Field(alias="from")
    ends: Clock = Field(alias="to")
    timezone: str = Field(default="UTC", max_length=64)

    @field_validator("days")
    @classmethod
    def _in_order(cls, days: tuple[Day, ...]) -> tuple[Day, ...]:
        return tuple(day for day in DAYS if day in days)

    @field_validator("timezone")
    @classmethod
    def _known(cls, name: str) -> str:
        try:
            cron.zone(name)
        except cron.UnknownZone as error:
            raise ValueError(error.message) from None
        return name

    @model_validator(mode="after")
    def _lasts(self) -> Weekly:
        if self.begins == self.ends:
            raise ValueError("from and to are the same: such a window has no length")
        return self

    def body(self) -> dict[str, Any]:
        return self.model_dump(mode="json", by_alias=True)


def parse_weekly(text: str, timezone: str) -> Weekly:
    """Return what `sat,sun 22:00-06:00` means in a zone. Raises: ValueError, which says how."""
    found = _WRITTEN.fullmatch(text.strip().lower().replace("–", "-"))
    if found is None:
        raise ValueError(f"{text[:64]!r} is no weekly time; {HOW}")
    begins, ends = (clock.zfill(5) for clock in found.groups()[1:])
    if max(begins, ends) >= "24:00" or max(begins[3:], ends[3:]) >= "60":
        raise ValueError(f"{text[:64]!r}: a clock shows 00:00 to 23:59")
    try:
        return Weekly(
            days=parse_days(found[1]), begins=begins, ends=ends, timezone=timezone.strip() or "UTC"
        )
    except ValueError as error:
        raise ValueError(_first(error, text)) from None


def _first(error: ValueError, text: str) -> str:
    """Return the first mistake that pydantic found, in one line."""
    found: list[dict[str, Any]] = getattr(error, "errors", list)()
    said = str(found[0]["msg"]).removeprefix("Value error, ") if found else str(error)
    return f"{text[:64]!r}: {said}"


def parse_days(text: str) -> tuple[Day, ...]:
    """Return the days of `mon-fri`, `sat,sun`, `saturday` or `daily`, in the order of the week.

    Raises: ValueError, which says how to write it.
    """
    if text.strip() in ("daily", "every day"):
        return DAYS
    places: set[int] = set()
    for part in re.split(r"[,\s]+", text.strip()):
        first, dash, last = part.partition("-")
        begin, end = _PLACES.get(first), _PLACES.get(last if dash else first)
        if begin is None or end is None:
            raise ValueError(f"{part[:16]!r} is no day; write mon-fri, `sat,sun` or daily")
        places |= {(begin + step) % 7 for step in range((end - begin) % 7 + 1)}
    return tuple(DAYS[place] for place in sorted(places))


def describe(weekly: Weekly) -> str:
    """Return it in words: `sat, sun 22:00–06:00 Europe/Berlin`."""
    days = "daily" if weekly.days == DAYS else ", ".join(weekly.days)
    return f"{days} {weekly.begins}–{weekly.ends} {weekly.timezone}"


def end_of_window(weekly: Weekly, now: datetime) -> datetime | None:
    """Return when the window that is now ends, or None if there is none now."""
    windows = _windows(weekly, now, days=2)
    return next((end for begin, end in windows if begin <= now < end), None)


def next_boundary(weekly: Weekly, now: datetime) -> datetime:
    """Return when a window begins or ends next, after `now`."""
    windows = _windows(weekly, now, days=16)  # A gap may swallow that of a whole week.
    return min(at for window in windows for at in window if at > now)


def _windows(weekly: Weekly, now: datetime, *, days: int) -> Iterator[tuple[datetime, datetime]]:
    """Yield the windows that begin on the day before `now` and the days after it, in UTC."""
    zone = cron.zone(weekly.timezone)
    first = now.astimezone(zone).date() - ONE_DAY
    over_night = weekly.ends <= weekly.begins
    for step in range(days):
        day = first + step * ONE_DAY
        if DAYS[day.weekday()] in weekly.days:
            begin = _moment(day, weekly.begins, zone)
            end = _moment(day + ONE_DAY if over_night else day, weekly.ends, zone)
            if begin < end:  # A gap may swallow it whole.
                yield begin, end


def _moment(day: date, clock: str, zone: Any) -> datetime:
    return cron.moment_of(datetime.combine(day, time.fromisoformat(clock)), zone)
