"""The life of a job, and what may be sent when: pure decisions.

    requested ─accepted─▶ dispatched ─started─▶ running ─▶ succeeded | succeeded_with_warnings
        │ ▲                  │  │                 │          | failed | cancelled  (reported: final)
        │ └──undeliverable───┘  └──not listed─────┴────────▶ interrupted ─▶ next attempt
        └─▶ abandoned | cancelled

A job is one attempt at a run (host, schedule, source group, fire time); a manual job has no run.
`interrupted` and `abandoned` are our own conclusions: they give way to an end that the agent
reports. Attempts of a run never overlap, and none follows a success (R15).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import Enum

from libs.common.events.host import HostRecord
from libs.common.events.job import SUCCESSES, JobKind, JobStatus
from libs.common.protocol import FailureReason
from services.jobs.records import Cause, Job
from services.jobs.settings import (
    FUTURE_FIRE,
    LIVE_FIRE,
    MAX_ATTEMPTS,
    RETRY_CAP,
    RETRY_FIRST,
)

# -- sessions --------------------------------------------------------------------------------------


class Listed(Enum):
    """What it means that a hello lists a job as running."""

    RUNNING = "it is running, whatever the ledger said"
    CANCEL_AGAIN = "it was cancelled here: the agent must hear of it"
    END_KNOWN = "the agent reported its end; only the acknowledgement was lost"


def assess_listed(job: Job) -> Listed:
    if job.end_reported:
        return Listed.END_KNOWN
    return Listed.CANCEL_AGAIN if job.status is JobStatus.CANCELLED else Listed.RUNNING


def is_lost(job: Job, *, session: str, hello_at: datetime, listed: Sequence[str]) -> bool:
    """Say whether the agent no longer has `job`, given that all its reports have arrived.

    Listed: it runs. Else it is lost, unless it began after that hello was said.
    """
    if job.job_id in listed:
        return False
    began_since = job.seen_session == session and (
        (job.started_at is not None and job.start_reported and job.started_at >= hello_at)
        or (job.dispatched_at is not None and job.dispatched_at >= hello_at)
    )
    return not began_since


# -- fires -----------------------------------------------------------------------------------------


class FireVerdict(Enum):
    """What a reported fire calls for."""

    RUN = "a fire of this minute: run it now, or hold it"
    LATE = "older than 60 s: a pending run, unless the agent ran it itself"
    FUTURE = "more than 5 min ahead: not believed"
    UNWANTED = "its schedule or source group is gone or switched off"


def assess_fire(
    record: HostRecord, schedule_id: str, group_id: str, *, fire_time: datetime,
    received_at: datetime,
) -> FireVerdict:  # fmt: skip
    """Say what to do with a fire that the gateway received at `received_at`."""
    if fire_time > received_at + FUTURE_FIRE:
        return FireVerdict.FUTURE
    if not is_wanted(record, schedule_id, group_id):
        return FireVerdict.UNWANTED
    return FireVerdict.LATE if received_at - fire_time > LIVE_FIRE else FireVerdict.RUN


def is_wanted(record: HostRecord, schedule_id: str | None, group_id: str | None) -> bool:
    """Say whether the schedule and source group that a job is about are there and enabled."""
    if group_id is not None and not any(group.id == group_id for group in record.source_groups):
        return False
    return schedule_id is None or any(
        schedule.id == schedule_id and schedule.enabled and group_id in schedule.source_group_ids
        for schedule in record.schedules
    )


# -- ends ------------------------------------------------------------------------------------------


def bounded_end(at: datetime, *, received_at: datetime, dispatched_at: datetime | None) -> datetime:
    """Return a reported time as far as we believe it: nothing later than its receipt, and for a run
    sent live nothing before it was accepted (DESIGN section 6)."""
    if dispatched_at is not None:
        at = max(at, dispatched_at)
    return min(at, received_at)


class Next(Enum):
    """What follows an end."""

    NOTHING = "no attempt follows"
    SUCCEEDED = "another attempt has succeeded"
    UNDER_WAY = "another attempt is under way"
    RETRY = "it failed: again after a pause"
    RECONNECT = "it was interrupted: again after a reconnect"
    PUT_OFF = "its repository could not be reached: the catch-up asks again later"


def decide_next(
    job: Job, status: JobStatus, run: Sequence[Job], *, retry_max: int, always_on: bool
) -> Next:
    """Decide what follows the end of `job`, one of the attempts `run` of its run.

    What a catch-up asked for is outside both limits. What it asked for in vain, since nobody
    answered at the repository's address, it asks for again, as long as the host may sleep.
    """
    if job.run_id is None or job.cancel_wanted or job.kind is not JobKind.BACKUP:
        return Next.NOTHING
    others = [other for other in run if other.job_id != job.job_id]
    if any(other.status in SUCCESSES for other in others):
        return Next.SUCCEEDED
    if any(not other.ended for other in others):
        return Next.UNDER_WAY
    if is_put_off(job, status, always_on=always_on):
        return Next.PUT_OFF
    if status is JobStatus.FAILED:
        return Next.RETRY if retries(run) < retry_max else Next.NOTHING
    if status is JobStatus.INTERRUPTED:
        counted = [one for one in run if one.cause not in _UNCOUNTED and not _withdrawn(one)]
        return Next.RECONNECT if len(counted) < MAX_ATTEMPTS else Next.NOTHING
    return Next.NOTHING


def is_put_off(job: Job, status: JobStatus, *, always_on: bool) -> bool:
    unreachable = job.reason == FailureReason.REPOSITORY_UNREACHABLE
    return status is JobStatus.FAILED and unreachable and job.arm_id is not None and not always_on


_UNCOUNTED = frozenset({Cause.ARM, Cause.RETRY})


def is_last(job: Job, status: JobStatus, following: Next) -> bool:
    """Say whether no attempt follows, so that an end without success is worth telling.

    An interrupted manual job has no next attempt, and nobody is told.
    """
    if status is JobStatus.INTERRUPTED and job.run_id is None:
        return False
    return following is Next.NOTHING


def retries(run: Sequence[Job]) -> int:
    """Return how many attempts of a run were made because one had failed."""
    return sum(one.cause is Cause.RETRY and not _withdrawn(one) for one in run)


def _withdrawn(job: Job) -> bool:
    return job.status is JobStatus.ABANDONED and job.sent_at is None


def backoff(tries: int, *, first: timedelta, cap: timedelta) -> timedelta:
    """Return the pause after the `tries`-th try: doubling from `first`, at most `cap`."""
    factor: int = 2 ** min(tries - 1, 30)
    return min(first * factor, cap)


def retry_pause(retries_so_far: int) -> timedelta:
    """1 min, doubling."""
    return backoff(retries_so_far + 1, first=RETRY_FIRST, cap=RETRY_CAP)


class CatchupMove(Enum):
    """How a catch-up's request is met."""

    NEW_ATTEMPT = "a further attempt"
    TAKE_OVER = "the waiting attempt is sent for it"
    JOIN = "an attempt is under way: its end is the answer"
    RESTATE = "the run has succeeded already: no attempt after a success"


def decide_catchup(run: Sequence[Job]) -> tuple[CatchupMove, Job | None]:
    """Decide how to meet a request for a run with these attempts (R15)."""
    for job in run:
        if job.status in SUCCESSES:
            return CatchupMove.RESTATE, job
    for job in run:
        if job.at_agent or job.status in (JobStatus.DISPATCHED, JobStatus.RUNNING):
            return CatchupMove.JOIN, job
    for job in run:
        if job.status is JobStatus.REQUESTED:
            return CatchupMove.TAKE_OVER, job
    return CatchupMove.NEW_ATTEMPT, None
