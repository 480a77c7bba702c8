"""How a job ends, what is told of it, and which attempt follows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from libs.common.clock import to_rfc3339
from libs.common.events.job import (
    SUCCESSES,
    JobFinished,
    JobInterrupted,
    JobKind,
    JobOrigin,
    JobStatus,
)
from libs.common.loop.tx import Tx
from libs.common.runs import job_id as id_of_attempt
from services.jobs import policy, store
from services.jobs.hosts import Host
from services.jobs.ledger import (
    abandon,
    create,
    identity,
    serve_soon,
    stop_sending,
    title,
    unlock,
)
from services.jobs.policy import Next
from services.jobs.records import Cause, Job
from services.jobs.store import Backup

BACKUPS = "backups"


@dataclass(frozen=True, slots=True)
class End:
    """The end of a job. `reported`: by the agent, so it stands for good."""

    status: JobStatus
    at: datetime
    reported: bool = True
    exit_code: int | None = None
    error: str | None = None
    reason: str | None = None
    stats: dict[str, Any] | None = None


def end_job(tx: Tx, host: Host, job: Job, end: End) -> None:
    """End a job, tell of it, and make the next attempt if one follows."""
    stop_sending(tx, job)
    job = store.update_job(
        tx,
        job.job_id,
        status=end.status,
        finished_at=end.at,
        exit_code=end.exit_code,
        error=end.error,
        reason=end.reason,
        stats=None if end.stats is None else json.dumps(end.stats),
        end_reported=end.reported,
        at_agent=False,
        sent_session=None,
        wants_hold=False,
    )
    run = store.attempts(tx, job.run_id) if job.run_id else []
    if end.status is not JobStatus.INTERRUPTED and _withdraw_next(tx, job, run):
        run = store.attempts(tx, job.run_id or "")
    following = policy.decide_next(
        job, end.status, run, retry_max=_retry_max(host, job), always_on=host.record.always_on
    )
    if end.reported or end.status is JobStatus.INTERRUPTED:
        _note_backup(tx, job)
    last = policy.is_last(job, end.status, following)
    if end.status is JobStatus.INTERRUPTED:
        tx.emit(JobInterrupted(**identity(job), at=end.at, last_attempt=last))
    else:
        tell_finished(tx, job, last_attempt=last)
    ended = f"attempt {job.attempt} {end.status.replace('_', ' ')}"
    tx.decide(job.host_id, f"job_{end.status}",
              f"{title(host, job)}: {ended}; {following.value}",
              rule="R15", job_id=job.job_id, error=end.error)  # fmt: skip
    _make_next(tx, host, job, run, following)
    unlock(tx, job, host)
    serve_soon(tx, job.host_id)


def tell_finished(tx: Tx, job: Job, *, last_attempt: bool) -> None:
    tx.emit(
        JobFinished(
            **identity(job),
            status=job.status,
            started_at=job.started_at,
            finished_at=job.finished_at or tx.now,
            last_attempt=last_attempt,
            exit_code=job.exit_code,
            reason=job.reason,
            error=job.error,
            stats=json.loads(job.stats) if job.stats else None,
        )
    )


def _withdraw_next(tx: Tx, job: Job, run: Sequence[Job]) -> bool:
    """A real end: an attempt of the same run that no agent has accepted is not wanted any more.
    Say whether there was one."""
    unwanted = [
        other for other in run if other.status is JobStatus.REQUESTED and other.job_id != job.job_id
    ]
    for other in unwanted:
        abandon(tx, other, "withdrawn: an earlier attempt has ended")
    return bool(unwanted)


def _retry_max(host: Host, job: Job) -> int:
    groups = (group for group in host.record.source_groups if group.id == job.source_group_id)
    return next((group.retry_max for group in groups), 0)


def _make_next(tx: Tx, host: Host, job: Job, run: list[Job], following: Next) -> None:
    if job.run_id is None or following not in (Next.RETRY, Next.RECONNECT):
        return
    attempt = max(one.attempt for one in run) + 1
    origin = JobOrigin.CATCHUP if job.origin is JobOrigin.CATCHUP else JobOrigin.SCHEDULE
    next_job = Job(
        job_id=id_of_attempt(job.run_id, attempt),
        host_id=job.host_id,
        origin=origin,
        cause=Cause.RETRY,
        status=JobStatus.REQUESTED,
        created_at=tx.now,
        run_id=job.run_id,
        attempt=attempt,
        schedule_id=job.schedule_id,
        source_group_id=job.source_group_id,
        fire_time=job.fire_time,
        arm_id=job.arm_id,
    )
    if following is Next.RETRY:
        pause = policy.retry_pause(policy.retries(run))
        next_job = replace(next_job, not_before=tx.now + pause)
    else:
        same = host.live_session if job.seen_session == host.live_session else None
        next_job = replace(next_job, cause=Cause.RECONNECT, not_in_session=same)
    create(tx, next_job, pending=True)


# -- bucket `backups` ------------------------------------------------------------------------------


def _note_backup(tx: Tx, job: Job) -> None:
    """Keep last success and last run of the group; the bucket first, then the event."""
    at = job.finished_at
    if job.kind is not JobKind.BACKUP or job.source_group_id is None or at is None:
        return
    known = store.find_backup(tx, job.host_id, job.source_group_id) or Backup(
        job.host_id, job.source_group_id, None, None, at, job.status, 0
    )
    if at >= known.last_run_at:
        known = replace(known, last_run_at=at, last_run_status=job.status)
    earlier = known.last_success_at
    if job.status in SUCCESSES and (earlier is None or at > earlier):
        known = replace(known, last_success_at=at, last_success_job_id=job.job_id)
    known = replace(known, version=known.version + 1)
    store.save_backup(tx, known)
    put_backup(tx, known)


def put_backup(tx: Tx, backup: Backup) -> None:
    success = backup.last_success_at
    tx.put(
        BACKUPS,
        f"{backup.host_id}.{backup.source_group_id}",
        {
            "host_id": backup.host_id,
            "source_group_id": backup.source_group_id,
            "last_success_at": None if success is None else to_rfc3339(success),
            "last_success_job_id": backup.last_success_job_id,
            "last_run_at": to_rfc3339(backup.last_run_at),
            "last_run_status": backup.last_run_status,
            "version": backup.version,
        },
    )
