"""When a catch-up waits although its host is free: pure decisions. All off unless set.

A host on a weak battery, on a network that is paid by the byte, or in hours that are kept free,
waits until that is over. It never waits for longer than LONGEST, nor once its last success is half
as old as staleness allows: then it runs anyway. One whose repository nobody answered for cannot run
anyway: it is tried again and again, until it is reached.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from libs.common.weekly import Weekly, end_of_window, parse_weekly

LONGEST = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Power:
    """What a host's agent last said of power and network; None: it cannot tell."""

    on_battery: bool | None = None
    battery_percent: float | None = None
    metered: bool | None = None


def parse_hours(text: str) -> tuple[Weekly, ...]:
    """Return the hours of `mon-fri 09:00-12:00; daily 22:00-06:00`. Raises: ValueError."""
    return tuple(parse_weekly(part, "UTC") for part in text.split(";") if part.strip())


@dataclass(frozen=True, slots=True)
class Conditions:
    """What an operator has set: the least charge on battery in percent (0: any), whether a metered
    network is used, and which hours are kept free, by each host's own clock."""

    min_battery: float = 0
    on_metered: bool = True
    not_during: tuple[Weekly, ...] = ()


class Cause(Enum):
    """Why a catch-up is put off."""

    ON_BATTERY = "the host runs on battery and its charge is low"
    METERED = "the host's network is metered"
    NOT_DURING = "these hours are kept free"


@dataclass(frozen=True, slots=True)
class Deferral:
    """A catch-up is put off; `until` at the latest."""

    cause: Cause
    until: datetime


def latest_start(
    deferred_since: datetime, last_success: datetime | None, stale_after: timedelta
) -> datetime:
    """Return when a catch-up that was first put off at `deferred_since` runs, come what may."""
    longest = deferred_since + LONGEST
    return longest if last_success is None else min(longest, last_success + stale_after / 2)


def find_deferral(
    conditions: Conditions, power: Power, zone: str, *, latest: datetime, now: datetime
) -> Deferral | None:
    """Say whether a catch-up that could run is put off, and why; not beyond `latest`.

    `zone`: the name of the host's time zone.
    """
    if now >= latest:
        return None
    hours = (one.model_copy(update={"timezone": zone}) for one in conditions.not_during)
    ends = [end for one in hours if (end := end_of_window(one, now)) is not None]
    if ends:
        return Deferral(Cause.NOT_DURING, min(max(ends), latest))
    charge = power.battery_percent
    if power.on_battery and charge is not None and charge < conditions.min_battery:
        return Deferral(Cause.ON_BATTERY, latest)
    if power.metered and not conditions.on_metered:
        return Deferral(Cause.METERED, latest)
    return None


def next_reach(put_off: int, *, first: timedelta, cap: timedelta) -> timedelta:
    """Return how long to wait before a repository that was not reached `put_off` times is tried
    again: doubling from `first`, at most `cap`."""
    doubled: int = 2 ** min(put_off - 1, 30)
    return min(first * doubled, cap)
