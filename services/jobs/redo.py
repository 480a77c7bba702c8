"""What a file that is made anew takes from our own events: what deadlines and calls decided. What
agents say tells the rest. What is done with it is what was done then; nothing of it is sent."""

from __future__ import annotations

import json

from libs.common.events.job import (
    JobAbandoned,
    JobEvent,
    JobFinished,
    JobInterrupted,
    JobOrigin,
    JobRequested,
    JobStatus,
)
from libs.common.loop.tx import Tx
from services.jobs import hosts, policy_kinds, store
from services.jobs.ends import End, end_job
from services.jobs.ledger import abandon, create
from services.jobs.records import Cause, Job


def on_requested(tx: Tx, event: JobRequested) -> None:
    """Enter the job. What follows from what agents say was entered already, nearly as it was."""
    if store.find_job(tx, event.job_id) is not None:
        store.update_job(tx, event.job_id, created_at=event.at)
        return
    host = hosts.find_host(tx, event.host_id)
    asked = event.arguments
    job = Job(
        job_id=event.job_id,
        host_id=event.host_id,
        kind=event.kind,
        origin=event.origin,
        cause=_cause(event),
        status=JobStatus.REQUESTED,
        created_at=event.at,
        requested_by=event.requested_by,
        run_id=event.run_id,
        attempt=event.attempt,
        schedule_id=event.schedule_id,
        source_group_id=event.source_group_id,
        fire_time=event.fire_time,
        arm_id=event.arm_id,
        arguments=None if asked is None else json.dumps(asked, sort_keys=True),
        locks=policy_kinds.locked_by(event.kind, host.record) if host else None,
    )
    create(tx, job, pending=event.pending)


def _cause(event: JobRequested) -> Cause:
    if event.origin is JobOrigin.MANUAL:
        return Cause.MANUAL
    return Cause.ARM if event.origin is JobOrigin.CATCHUP else Cause.RETRY


def on_finished(tx: Tx, event: JobFinished) -> None:
    cancelled = event.status is JobStatus.CANCELLED
    end = End(event.status, event.finished_at, reported=not cancelled, exit_code=event.exit_code,
              error=event.error, reason=event.reason, stats=event.stats)  # fmt: skip
    job = _find_open(tx, event)
    if job is not None and cancelled:
        job = store.update_job(tx, job.job_id, cancel_wanted=True)
    _end(tx, job, end)


def on_interrupted(tx: Tx, event: JobInterrupted) -> None:
    _end(tx, _find_open(tx, event), End(JobStatus.INTERRUPTED, event.at, reported=False))


def on_abandoned(tx: Tx, event: JobAbandoned) -> None:
    job = _find_open(tx, event)
    if job is not None:
        job = store.update_job(tx, job.job_id, tries=event.tries)
        abandon(tx, job, event.reason, loud=event.loud)


def _find_open(tx: Tx, event: JobEvent) -> Job | None:
    """Return the job, if it has not ended as far as we know."""
    job = store.find_job(tx, event.job_id)
    return None if job is None or job.ended else job


def _end(tx: Tx, job: Job | None, end: End) -> None:
    host = hosts.find_host(tx, job.host_id) if job else None
    if job is not None and host is not None:
        end_job(tx, host, job, end)
