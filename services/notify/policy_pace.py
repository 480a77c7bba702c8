"""When a channel may be told, and when not: quiet hours and rates. Pure.

    news of an alert ── its severity breaks through, or it is not quiet ──┐
      │                                                                  ├─ fewer than N messages
      └─ quiet: held until the quiet time ends                            │  in the last M minutes
                                                                          ▼
                                              told at once        else: held until there is room

What is held becomes one digest: the alerts as they are then. While a channel has something to tell
that waits for room, what comes next waits with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import Enum
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from libs.common.events.alert import Severity

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
ONE_DAY = timedelta(days=1)


def _check_clock(text: str) -> str:
    time.fromisoformat(text)
    return text


Clock = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$"), AfterValidator(_check_clock)]


class QuietHours(BaseModel):
    """From `from` to `to` by the clock of `timezone`, on the `days` on which it begins.

    `to` at or before `from` is on the next day. `breaks_through`: severities told all the same.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_by_name=True, validate_by_alias=True
    )

    begins: Clock = Field(alias="from")
    ends: Clock = Field(alias="to")
    timezone: str = "UTC"
    days: tuple[Day, ...] = DAYS
    breaks_through: tuple[Severity, ...] = (Severity.CRITICAL,)

    @model_validator(mode="after")
    def _check(self) -> QuietHours:
        try:
            ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("timezone is not a name such as Europe/Berlin") from None
        if not self.days:
            raise ValueError("days names at least one day")
        if self.begins == self.ends and set(self.days) == set(DAYS):
            raise ValueError("a channel that is always quiet tells nobody; remove it instead")
        return self

    def shown(self) -> dict[str, Any]:
        return self.model_dump(mode="json", by_alias=True)


class RateLimit(BaseModel):
    """At most `messages` in any `minutes`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    messages: int = Field(ge=1, le=1000)
    minutes: int = Field(ge=1, le=1440)

    @property
    def window(self) -> timedelta:
        return timedelta(minutes=self.minutes)


class Hold(Enum):
    """Why an alert's news waits for a digest."""

    QUIET = "held for quiet hours"
    RATE = "held, as there were too many messages"


@dataclass(frozen=True, slots=True)
class Held:
    """Why, and until when."""

    why: Hold
    until: datetime


def quiet_until(quiet: QuietHours | None, now: datetime) -> datetime | None:
    """Return when the quiet time that is now will end, or None if it is not quiet.

    Quiet times that follow each other without a gap are one.
    """
    if quiet is None:
        return None
    until: datetime | None = None
    for _ in range(2 * len(DAYS)):
        end = _end_of_window(quiet, until or now)
        if end is None:
            return until
        until = end
    return until


def _end_of_window(quiet: QuietHours, moment: datetime) -> datetime | None:
    """Return the end of the one window in which `moment` is; at the end it is not in it."""
    zone = ZoneInfo(quiet.timezone)
    today = moment.astimezone(zone).date()
    for begin_day in (today - ONE_DAY, today):
        if DAYS[begin_day.weekday()] not in quiet.days:
            continue
        begin = _at(begin_day, quiet.begins, zone)
        over_night = quiet.ends <= quiet.begins
        end = _at(begin_day + ONE_DAY if over_night else begin_day, quiet.ends, zone)
        if begin <= moment < end:
            return end
    return None


def _at(day: date, clock: str, zone: ZoneInfo) -> datetime:
    """Return a local time in UTC; one that a change of the clocks skips is as much later."""
    local = datetime.combine(day, time.fromisoformat(clock), tzinfo=zone)
    return local.astimezone(UTC)


def room_at(rate: RateLimit | None, sent: Sequence[datetime], now: datetime) -> datetime:
    """Return when one more message may go: `now`, or once the N-th latest is M minutes old.

    `sent`: when messages went into the queue, in any order; those ahead of a clock that was stepped
    back count as now.
    """
    if rate is None or len(sent) < rate.messages:
        return now
    nth = min(sorted(sent, reverse=True)[rate.messages - 1], now)
    return max(now, nth + rate.window)


@dataclass(frozen=True, slots=True)
class Traffic:
    """What a channel has sent lately, and whether something waits for room on it."""

    sent: Sequence[datetime] = ()
    crowded: bool = False


def assess_pace(
    quiet: QuietHours | None, rate: RateLimit | None, severity: Severity, traffic: Traffic,
    now: datetime,
) -> Held | None:  # fmt: skip
    """Say whether news of an alert must wait, why, and until when."""
    until = quiet_until(quiet, now)
    if until is not None and quiet is not None and severity not in quiet.breaks_through:
        return Held(Hold.QUIET, until)
    room = room_at(rate, traffic.sent, now)
    if rate is not None and (room > now or traffic.crowded):
        return Held(Hold.RATE, room)
    return None
