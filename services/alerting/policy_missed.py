"""When a schedule of an always-on host was missed while the host was there. Pure.

    schedule_missed   an always-on host was online from a fire on for a whole window, and the
                      schedule produced no run of the pair (schedule, source group) for that fire
                      ends: the next run of the pair, mode, no schedule or group, nobody asks,
                      removal

Nobody is told of it unless somebody asked, for a host, a tag or a mode: so long is the window.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from libs.common.clock import to_rfc3339
from libs.common.durations import format_duration


class MissedVerdict(Enum):
    """Why `schedule_missed` is, or is not, due."""

    DUE = "online over the whole window, and no run"
    RAN = "there was a run for this fire"
    NOT_ONLINE = "not online over the whole window"
    NOT_OBSERVED = "nobody listened over the whole window"
    REPORTS_AWAITED = "nobody listened for long: its reports are awaited first"


@dataclass(frozen=True, slots=True)
class Window:
    """A fire and what happened from it on for `lasts`.

    `online`: the host was, from `fire_at` to its end. `listening_since`: the present unbroken
    period of a gateway. `last_run_fire`: the latest fire for which a run of the pair is known.
    """

    fire_at: datetime
    lasts: timedelta
    online: bool
    listening_since: datetime | None
    reports_awaited: bool = False
    last_run_fire: datetime | None = None

    @property
    def ends_at(self) -> datetime:
        return self.fire_at + self.lasts


def assess(window: Window) -> MissedVerdict:
    """Say whether a pair was missed, once its window is over, and why not."""
    if window.last_run_fire is not None and window.last_run_fire >= window.fire_at:
        return MissedVerdict.RAN
    if window.listening_since is None or window.listening_since > window.fire_at:
        return MissedVerdict.NOT_OBSERVED
    if not window.online:
        return MissedVerdict.NOT_ONLINE
    return MissedVerdict.REPORTS_AWAITED if window.reports_awaited else MissedVerdict.DUE


def message(name: str, fire_at: datetime, lasts: timedelta) -> str:
    """`No run of nightly for 2026-11-25T02:00:00Z within 1h0m0s although online`."""
    within = format_duration(lasts)
    return f"No run of {name} for {to_rfc3339(fire_at)} within {within} although online"
