"""Events of jobs: the life of one attempt at a run."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, ClassVar

from pydantic import AwareDatetime

from libs.common.events.base import HostEvent
from libs.common.protocol import FailureReason


class JobKind(StrEnum):
    BACKUP = "backup"
    FORGET = "forget"
    PRUNE = "prune"
    CHECK = "check"
    UNLOCK = "unlock"
    INIT = "init"
    RESTORE = "restore"
    SNAPSHOTS = "snapshots"


class JobOrigin(StrEnum):
    """Who wanted the job."""

    SCHEDULE = "schedule"
    CATCHUP = "catchup"
    MANUAL = "manual"
    AGENT = "agent"


class JobStatus(StrEnum):
    REQUESTED = "requested"
    DISPATCHED = "dispatched"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    SUCCEEDED_WITH_WARNINGS = "succeeded_with_warnings"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"
    ABANDONED = "abandoned"


SUCCESSES = frozenset({JobStatus.SUCCEEDED, JobStatus.SUCCEEDED_WITH_WARNINGS})
ENDS = SUCCESSES | {
    JobStatus.FAILED,
    JobStatus.CANCELLED,
    JobStatus.INTERRUPTED,
    JobStatus.ABANDONED,
}


class JobEvent(HostEvent):
    """An event of one job: attempt `attempt` at run `run_id` (None: a manual job, no run).

    `arm_id` is set while a catch-up's request moves the job. Idempotent by (`job_id`, type).
    """

    job_id: str
    kind: JobKind = JobKind.BACKUP
    origin: JobOrigin
    run_id: str | None = None
    attempt: int = 1
    schedule_id: str | None = None
    source_group_id: str | None = None
    fire_time: AwareDatetime | None = None
    arm_id: str | None = None


class JobRequested(JobEvent):
    """A job exists and will be sent. `pending`: it waits for the host (R17, or when it wakes).

    `arguments`: what is asked of it beside its kind, such as the snapshot of a restore.
    """

    type: ClassVar[str] = "dormice.job.requested.v1"
    at: AwareDatetime
    requested_by: str = ""
    pending: bool = False
    arguments: dict[str, Any] | None = None


class JobDispatched(JobEvent):
    """The agent accepted the job."""

    type: ClassVar[str] = "dormice.job.dispatched.v1"
    session: str
    at: AwareDatetime


class JobUndeliverable(JobEvent):
    """The session ended, or was gone, before the agent accepted; the job is `requested` again.

    May come once per `session` and arm.
    """

    type: ClassVar[str] = "dormice.job.undeliverable.v1"
    session: str
    at: AwareDatetime
    reason: str


class JobStarted(JobEvent):
    """The job runs at the agent. `at` is the corrected start."""

    type: ClassVar[str] = "dormice.job.started.v1"
    at: AwareDatetime


class JobFinished(JobEvent):
    """The job reached an end that the agent reported, or was cancelled. The first end stands,
    but `interrupted` and `abandoned` give way to it.

    `finished_at` is the corrected end. `last_attempt`: no further attempt will follow by itself,
    so a failure of it is worth an alert. `reason`: as the agent told it (`FailureReason`).
    """

    type: ClassVar[str] = "dormice.job.finished.v1"
    status: JobStatus
    started_at: AwareDatetime | None = None
    finished_at: AwareDatetime
    last_attempt: bool = True
    reason: str | None = None
    exit_code: int | None = None
    error: str | None = None
    stats: dict[str, Any] | None = None

    @property
    def is_put_off(self) -> bool:
        """Whether nobody answered for the repository, and it is left to the catch-up that asked for
        the run to ask again."""
        unreachable = self.reason == FailureReason.REPOSITORY_UNREACHABLE
        return unreachable and self.arm_id is not None and not self.last_attempt


class JobInterrupted(JobEvent):
    """The agent no longer runs the job and never reported an end (its lid closed, it was killed),
    or it reported `interrupted`. `last_attempt` as in JobFinished."""

    type: ClassVar[str] = "dormice.job.interrupted.v1"
    at: AwareDatetime
    last_attempt: bool = False


class JobAbandoned(JobEvent):
    """A pending run was given up, after `tries`, or superseded by a newer fire of its pair."""

    type: ClassVar[str] = "dormice.job.abandoned.v1"
    at: AwareDatetime
    reason: str
    tries: int = 0
    loud: bool = True
