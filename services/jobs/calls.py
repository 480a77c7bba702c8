"""The verbs: backup, cancel, log, get_job, list_jobs; and log lines as they come."""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import BaseModel, Field, ValidationError

from libs.common.clock import to_rfc3339
from libs.common.errors import HostNotFound
from libs.common.events.host import Actor, Audit
from libs.common.events.job import JobOrigin, JobStatus
from libs.common.loop.machine import Verb
from libs.common.loop.tx import Tx
from services.jobs import hosts, logs, store
from services.jobs.ends import End, end_job
from services.jobs.errors import (
    AlreadyEnded,
    Busy,
    GroupNotFound,
    JobNotFound,
    NoRepository,
    NotConnected,
)
from services.jobs.hosts import Host
from services.jobs.ledger import create, send_cancel, title
from services.jobs.policy_sending import next_to_send
from services.jobs.records import Cause, Job


class BackupOf(BaseModel):
    """Arguments of `backup`. `when_it_wakes`: wait for a host that is away or busy."""

    host_id: str
    source_group_id: str
    when_it_wakes: bool = False


class JobOf(BaseModel):
    """Arguments of `cancel`, `log` and `get_job`."""

    job_id: str


class JobsOf(BaseModel):
    """Arguments of `list_jobs`; None: any."""

    host_id: str | None = None
    status: JobStatus | None = None
    limit: Annotated[int, Field(ge=1, le=1000)] = 100


def on_backup(tx: Tx, actor: Actor, asked: BackupOf) -> dict[str, Any]:
    """Request a manual backup; a group that waits for its host already is not asked for twice.

    Raises: HostNotFound, GroupNotFound, NoRepository, NotConnected, Busy.
    """
    host = _host(tx, asked.host_id)
    if not any(group.id == asked.source_group_id for group in host.record.source_groups):
        raise GroupNotFound
    if host.record.repository_id is None:
        raise NoRepository
    if not asked.when_it_wakes:
        _check_free(tx, host)
    waits = _waiting_already(tx, asked) if asked.when_it_wakes else None
    if waits is not None:
        return {"job_id": waits.job_id}
    job = Job(
        job_id=tx.new_id(),
        host_id=asked.host_id,
        origin=JobOrigin.MANUAL,
        cause=Cause.MANUAL,
        status=JobStatus.REQUESTED,
        created_at=tx.now,
        requested_by=actor.name,
        source_group_id=asked.source_group_id,
    )
    create(tx, job, pending=host.live_session is None)
    after = {"source_group_id": asked.source_group_id, "when_it_wakes": asked.when_it_wakes}
    _audit(tx, actor, job, "backup.requested", after)
    tx.decide(job.host_id, "backup_requested", f"{title(host, job)}: asked for by {actor.name}",
              job_id=job.job_id)  # fmt: skip
    return {"job_id": job.job_id}


def _host(tx: Tx, host_id: str) -> Host:
    host = hosts.find_host(tx, host_id)
    if host is None:
        raise HostNotFound
    return host


def _check_free(tx: Tx, host: Host) -> None:
    """Refuse if a job runs on the host, is on its way there, or is about to be sent."""
    session = host.live_session
    if session is None:
        raise NotConnected
    waiting = store.waiting(tx, host.record.id)
    always_on = host.record.always_on
    ready = next_to_send(waiting, session=session, always_on=always_on, now=tx.now) is not None
    under_way = any(job.sent_session for job in waiting)
    if ready or under_way or store.at_agent(tx, host.record.id):
        raise Busy


def _waiting_already(tx: Tx, asked: BackupOf) -> Job | None:
    same = (
        job
        for job in store.waiting(tx, asked.host_id)
        if job.origin is JobOrigin.MANUAL and job.source_group_id == asked.source_group_id
    )
    return next(same, None)


def on_cancel(tx: Tx, actor: Actor, asked: JobOf) -> dict[str, Any]:
    """Cancel a job: at once if no agent accepted it, else by asking its agent.

    Raises: JobNotFound, HostNotFound, AlreadyEnded.
    """
    job = _job(tx, asked.job_id)
    host = _host(tx, job.host_id)
    if job.ended:
        raise AlreadyEnded(f"the job has ended: {job.status}")
    before = {"status": job.status}
    if job.status is JobStatus.REQUESTED:
        told_agent = job.sent_session is not None or job.hold_until is not None
        end = End(JobStatus.CANCELLED, tx.now, reported=False, error=f"cancelled by {actor.name}")
        store.update_job(tx, job.job_id, cancel_wanted=True)
        end_job(tx, host, store.get_job(tx, job.job_id), end)
        if told_agent:
            send_cancel(tx, host, job.job_id)
    else:
        store.update_job(tx, job.job_id, cancel_wanted=True)
        send_cancel(tx, host, job.job_id)
        tx.decide(job.host_id, "job_cancel_asked", f"{title(host, job)}: the agent is to stop it",
                  job_id=job.job_id)  # fmt: skip
    job = store.get_job(tx, job.job_id)
    _audit(tx, actor, job, "job.cancelled", {"status": job.status}, before)
    return {"status": job.status}


def _audit(
    tx: Tx, actor: Actor, job: Job, action: str, after: dict[str, Any],
    before: dict[str, Any] | None = None,
) -> None:  # fmt: skip
    tx.emit(
        Audit(
            service="jobs",
            target=job.job_id,
            action=action,
            actor=actor,
            at=tx.now,
            host_id=job.host_id,
            before=before,
            after=after,
        )
    )


def _job(tx: Tx, job_id: str) -> Job:
    job = store.find_job(tx, job_id)
    if job is None:
        raise JobNotFound
    return job


def on_log(tx: Tx, _actor: Actor, asked: JobOf) -> dict[str, Any]:
    """Return {text, complete}: complete once the job has ended and nothing is known to be missing.

    Raises: JobNotFound.
    """
    job = _job(tx, asked.job_id)
    text, whole = logs.read(tx, job.job_id)
    return {"text": text, "complete": whole and job.ended}


def on_get_job(tx: Tx, _actor: Actor, asked: JobOf) -> dict[str, Any]:
    """Return the job as the API shows it. Raises JobNotFound."""
    return _shown(_job(tx, asked.job_id))


def on_list_jobs(tx: Tx, _actor: Actor, asked: JobsOf) -> list[dict[str, Any]]:
    """Return the newest jobs first."""
    found = store.list_jobs(tx, host_id=asked.host_id, status=asked.status, limit=asked.limit)
    return [_shown(job) for job in found]


def _shown(job: Job) -> dict[str, Any]:
    moments = {
        name: None if moment is None else to_rfc3339(moment)
        for name, moment in [
            ("fire_time", job.fire_time),
            ("created_at", job.created_at),
            ("started_at", job.started_at),
            ("finished_at", job.finished_at),
        ]
    }
    return {
        "id": job.job_id,
        "host_id": job.host_id,
        "kind": job.kind,
        "status": job.status,
        "origin": job.origin,
        "attempt": job.attempt,
        "schedule_id": job.schedule_id,
        "source_group_id": job.source_group_id,
        **moments,
        "exit_code": job.exit_code,
        "error": job.error,
        "stats": None if job.stats is None else json.loads(job.stats),
    }


VERBS = {
    "backup": Verb(on_backup, BackupOf, role="operator"),
    "cancel": Verb(on_cancel, JobOf, role="operator"),
    "log": Verb(on_log, JobOf),
    "get_job": Verb(on_get_job, JobOf),
    "list_jobs": Verb(on_list_jobs, JobsOf),
}


# -- live log lines --------------------------------------------------------------------------------


class _Lines(BaseModel):
    host_id: str
    job_id: str
    offset: Annotated[int, Field(ge=0, le=2**53)]
    text: Annotated[str, Field(max_length=256 * 1024)]


def on_live(tx: Tx, _subject: str, data: dict[str, Any]) -> None:
    """Keep log lines of a job that we know; progress is for who watches."""
    if data.get("kind") != "log":
        return
    try:
        lines = _Lines.model_validate(data)
    except ValidationError:
        return
    job = store.find_job(tx, lines.job_id)
    if job is not None and job.host_id == lines.host_id:
        logs.add_lines(tx, lines.job_id, lines.offset, lines.text)
