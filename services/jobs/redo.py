"""What a file that is made anew takes from our own events: what deadlines and calls decided. What
agents say tells the rest."""

from __future__ import annotations

import json
from typing import Any

from libs.common.events.job import (
    JobAbandoned,
    JobFinished,
    JobInterrupted,
    JobOrigin,
    JobRequested,
    JobStatus,
)
from libs.common.loop.tx import Tx
from services.jobs import hosts, policy_kinds, store
from services.jobs.records import Cause, Job


def on_requested(tx: Tx, event: JobRequested) -> None:
    """Enter the job. What agents caused was entered already, by the same clock or nearly so."""
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
    store.add_job(tx, job)


def _cause(event: JobRequested) -> Cause:
    if event.origin is JobOrigin.MANUAL:
        return Cause.MANUAL
    return Cause.ARM if event.origin is JobOrigin.CATCHUP else Cause.RETRY


def on_finished(tx: Tx, event: JobFinished) -> None:
    _end(
        tx, event.job_id, event.status,
        finished_at=event.finished_at, exit_code=event.exit_code, error=event.error,
        reason=event.reason, stats=None if event.stats is None else json.dumps(event.stats),
        cancel_wanted=event.status is JobStatus.CANCELLED,
    )  # fmt: skip


def on_interrupted(tx: Tx, event: JobInterrupted) -> None:
    _end(tx, event.job_id, JobStatus.INTERRUPTED, finished_at=event.at)


def on_abandoned(tx: Tx, event: JobAbandoned) -> None:
    _end(tx, event.job_id, JobStatus.ABANDONED, finished_at=event.at, error=event.reason,
         tries=event.tries, cancel_wanted=not event.loud)  # fmt: skip


def _end(tx: Tx, job_id: str, status: JobStatus, **said: Any) -> None:
    """End a job that goes on, as far as we know."""
    job = store.find_job(tx, job_id)
    if job is not None and not job.ended:
        store.update_job(tx, job_id, status=status, at_agent=False, sent_session=None,
                         wants_hold=False, **said)  # fmt: skip
