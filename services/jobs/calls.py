"""The verbs: cancel, log, get_job, list_jobs; and log lines as they come."""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import BaseModel, Field, ValidationError

from libs.common.clock import to_rfc3339
from libs.common.events.host import Actor
from libs.common.events.job import JobStatus
from libs.common.loop.machine import Verb
from libs.common.loop.tx import Tx
from services.jobs import hosts, logs, store
from services.jobs.audits import audit
from services.jobs.ends import End, end_job
from services.jobs.errors import AlreadyEnded, JobNotFound
from services.jobs.ledger import send_cancel, title
from services.jobs.records import Job
from services.jobs.starting import BackupOf, StartOf, on_backup, on_start


class JobOf(BaseModel):
    """Arguments of `cancel`, `log` and `get_job`."""

    job_id: str


class JobsOf(BaseModel):
    """Arguments of `list_jobs`; None: any."""

    host_id: str | None = None
    status: JobStatus | None = None
    limit: Annotated[int, Field(ge=1, le=1000)] = 100


def on_cancel(tx: Tx, actor: Actor, asked: JobOf) -> dict[str, Any]:
    """Cancel a job: at once if no agent accepted it, else by asking its agent.

    Raises: JobNotFound, HostNotFound, AlreadyEnded.
    """
    job = _job(tx, asked.job_id)
    host = hosts.get_host(tx, job.host_id)
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
    audit(tx, actor, job, "job.cancelled", {"status": job.status}, before)
    return {"status": job.status}


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
        "reason": job.reason,
        "error": job.error,
        "stats": None if job.stats is None else json.loads(job.stats),
        "arguments": None if job.arguments is None else json.loads(job.arguments),
    }


VERBS = {
    "backup": Verb(on_backup, BackupOf, role="operator"),
    "start": Verb(on_start, StartOf, role="operator"),
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
