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
from datetime import datetime, timedelta
from enum import Enum

from pydantic import BaseModel, ConfigDict, Field, model_validator

from libs.common.events.alert import Severity
from libs.common.weekly import DAYS, Day, Weekly, end_of_window


class QuietHours(Weekly):
    """When a channel is quiet, all but for severities that break through. From a time to the same
    is a whole day."""

    days: tuple[Day, ...] = Field(default=DAYS, min_length=1, max_length=7)
    breaks_through: tuple[Severity, ...] = (Severity.CRITICAL,)

    @model_validator(mode="after")
    def _lasts(self) -> QuietHours:
        if self.begins == self.ends and self.days == DAYS:
            raise ValueError("a channel that is always quiet tells nobody; remove it instead")
        return self


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
        end = end_of_window(quiet, until or now)
        if end is None:
            return until
        until = end
    return until


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
