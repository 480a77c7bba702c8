"""One entry of the ledger."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from libs.common.events.job import ENDS, JobKind, JobOrigin, JobStatus


class Cause(StrEnum):
    """What made an attempt."""

    FIRE = "fire"
    RETRY = "retry"
    RECONNECT = "reconnect"
    ARM = "arm"
    MANUAL = "manual"
    AGENT = "agent"


@dataclass(frozen=True, slots=True)
class Job:
    """One attempt, as in the ledger; fields as in the table."""

    job_id: str
    host_id: str
    origin: JobOrigin
    cause: Cause
    status: JobStatus
    created_at: datetime
    kind: JobKind = JobKind.BACKUP
    requested_by: str = ""
    run_id: str | None = None
    attempt: int = 1
    schedule_id: str | None = None
    source_group_id: str | None = None
    fire_time: datetime | None = None
    arm_id: str | None = None
    not_before: datetime | None = None
    next_try_at: datetime | None = None
    not_in_session: str | None = None
    wait_reason: str | None = None
    tries: int = 0
    sent_session: str | None = None
    sent_at: datetime | None = None
    wants_hold: bool = False
    hold_until: datetime | None = None
    at_agent: bool = False
    seen_session: str | None = None
    dispatched_at: datetime | None = None
    started_at: datetime | None = None
    start_reported: bool = False
    end_reported: bool = False
    cancel_wanted: bool = False
    finished_at: datetime | None = None
    exit_code: int | None = None
    error: str | None = None
    reason: str | None = None
    stats: str | None = None
    arguments: str | None = None
    locks: str | None = None

    @property
    def ended(self) -> bool:
        return self.status in ENDS
