"""Events of catch-up: armed by a hello, due after the settle time, one request at a time."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

from pydantic import AwareDatetime

from libs.common.events.base import HostEvent


class SkipReason(StrEnum):
    """Why a catch-up, or one pair of it, got no run."""

    WENT_OFFLINE = "went_offline"
    ALWAYS_ON = "always_on"
    REMOVED = "removed"
    NOTHING_OVERDUE = "nothing_overdue"
    NO_REPOSITORY = "no_repository"
    GROUP_GONE = "group_gone"
    SCHEDULE_GONE = "schedule_gone"
    COVERED_BY = "covered_by"
    NOT_OVERDUE = "not_overdue"
    SWITCHED_OFF = "switched_off"
    REARMED = "rearmed"


class CatchupEvent(HostEvent):
    """An event of one arm. `arm_id` is the session whose hello armed it (or armed it again)."""

    arm_id: str


class CatchupArmed(CatchupEvent):
    """A catch-up will be due at `due_at`. Idempotent by `arm_id`."""

    type: ClassVar[str] = "dormice.catchup.armed.v1"
    due_at: AwareDatetime


class CatchupSkipped(CatchupEvent):
    """The arm (no pair given) or one pair of it got no run. Idempotent by (arm, pair)."""

    type: ClassVar[str] = "dormice.catchup.skipped.v1"
    reason: SkipReason
    schedule_id: str | None = None
    source_group_id: str | None = None
    detail: str = ""


class CatchupRequested(CatchupEvent):
    """Run this overdue pair now, once. Idempotent by (arm, schedule, group, `put_off`).

    `fire_time` is the latest fire not after now; `missed` how many fires this run makes up for;
    `put_off` how often this arm had to put its runs off since the repository could not be reached:
    a request that came to nothing for that reason may be made again.
    """

    type: ClassVar[str] = "dormice.catchup.requested.v1"
    schedule_id: str
    source_group_id: str
    fire_time: AwareDatetime
    missed: int = 1
    put_off: int = 0


class CatchupFinished(CatchupEvent):
    """The arm's list is done. Idempotent by `arm_id`."""

    type: ClassVar[str] = "dormice.catchup.finished.v1"
    runs: int
    succeeded: int
