"""What every part of jobs does with the ledger: tell of a job, create it, give it up, call a host.

Commands are effects of kind `send_command`, one per key: the job's id for `run`, `hold:` or
`cancel:` before it for the others. Their payload is {gateway, host_id, session, frame}.
"""

from __future__ import annotations

import json
from typing import Any

from libs.common.events.host import SYSTEM, Audit
from libs.common.events.job import (
    JobAbandoned,
    JobKind,
    JobRequested,
    JobStatus,
    JobUndeliverable,
)
from libs.common.loop.tx import Tx
from libs.common.protocol import Cancel, Frame
from libs.common.runs import job_id as id_of_attempt
from services.jobs import store
from services.jobs.hosts import Host
from services.jobs.records import Job
from services.jobs.store import Fire

SERVE = "serve"
ANSWER = "answer"
SEND = "send_command"


def serve_soon(tx: Tx, host_id: str) -> None:
    """Look what can be sent to the host, once the log has been read. If nothing waits there is
    nothing to look at: a job that comes later has it looked at by itself (`create`)."""
    if store.has_waiting(tx, host_id):
        tx.schedule(SERVE, host_id, tx.now)


def identity(job: Job) -> dict[str, Any]:
    """Return what every event of the job says of it."""
    return {
        "host_id": job.host_id,
        "job_id": job.job_id,
        "kind": job.kind,
        "origin": job.origin,
        "run_id": job.run_id,
        "attempt": job.attempt,
        "schedule_id": job.schedule_id,
        "source_group_id": job.source_group_id,
        "fire_time": job.fire_time,
        "arm_id": job.arm_id,
    }


def title(host: Host | None, job: Job) -> str:
    """Return what the job is about, for people: the source group's name, or `check`."""
    groups = host.record.source_groups if host else ()
    names = (group.name for group in groups if group.id == job.source_group_id)
    name = next(names, job.source_group_id)
    if job.kind is JobKind.BACKUP:
        return name or "a job"
    return f"{job.kind} of {name}" if name else str(job.kind)


def create(tx: Tx, job: Job, *, pending: bool) -> None:
    """Enter a job that will be sent, and tell of it."""
    store.add_job(tx, job)
    tx.emit(
        JobRequested(
            **identity(job),
            at=job.created_at,
            requested_by=job.requested_by,
            pending=pending,
            arguments=None if job.arguments is None else json.loads(job.arguments),
        )
    )
    tx.schedule(SERVE, job.host_id, tx.now)


def attempts_of(tx: Tx, run: str, fire: Fire) -> list[Job]:
    """Return the attempts at the run of a fire, first to last.

    A job that a hello listed as running had only its id: who asks for its run gives it its run.
    """
    listed = store.find_job(tx, id_of_attempt(run, 1))
    if listed is not None and listed.run_id is None and listed.host_id == fire.host_id:
        store.update_job(
            tx, listed.job_id, run_id=run, schedule_id=fire.schedule_id,
            source_group_id=fire.source_group_id, fire_time=fire.fire_time,
        )  # fmt: skip
    return store.attempts(tx, run)


def command(tx: Tx, host: Host, key: str, frame: Frame) -> None:
    """Have a frame written to the host's live session."""
    if host.session is None:
        return
    payload = {
        "gateway": host.session.gateway,
        "host_id": host.record.id,
        "session": host.session.id,
        "frame": frame.model_dump(mode="json", exclude_none=True),
    }
    tx.start_effect(SEND, key, payload)


def send_cancel(tx: Tx, host: Host, job_id: str) -> None:
    if host.live_session:
        command(tx, host, f"cancel:{job_id}", Cancel(job_id=job_id))


def unlock(tx: Tx, job: Job, host: Host | None = None) -> None:
    """The job is no more in its repository's way: who waits for that may go. `host`: the job's, if
    it is at hand."""
    shared = store.repository_of(tx, job.host_id) if host is None else host.record.repository_id
    repository = job.locks or shared
    if repository is None:
        return
    find = store.waiting_to_lock if job.locks is None else store.waiting_to_use
    for host_id in find(tx, repository):
        serve_soon(tx, host_id)


def stop_sending(tx: Tx, job: Job) -> None:
    """Forget commands about a job that are out of date, and the wait for its answer.

    Of one that its agent ran by itself there are none.
    """
    if job.sent_at is None and job.hold_until is None:
        return
    tx.drop_effect(SEND, job.job_id, f"hold:{job.job_id}")
    tx.unschedule(ANSWER, job.job_id)


def undeliver(tx: Tx, job: Job, *, session: str, reason: str) -> None:
    """The session ended, or was gone, before the agent accepted: the job is `requested` again.

    Nothing more is sent in that session, so this is told once per session and arm.
    """
    stop_sending(tx, job)
    job = store.update_job(tx, job.job_id, sent_session=None, not_in_session=session)
    unlock(tx, job)
    tx.emit(JobUndeliverable(**identity(job), session=session, at=tx.now, reason=reason))
    tx.decide(job.host_id, "job_undeliverable", f"not delivered ({reason}): next hello",
              rule="R16", job_id=job.job_id, session=session)  # fmt: skip


def abandon(tx: Tx, job: Job, reason: str, *, loud: bool = False, cancel: bool = True) -> None:
    """Give a waiting job up. Quietly: it is not wanted any more, so if its agent takes it after all
    (`cancel`), it is cancelled there. Loudly: nobody took it, and someone should know."""
    stop_sending(tx, job)
    job = store.update_job(
        tx,
        job.job_id,
        status=JobStatus.ABANDONED,
        finished_at=tx.now,
        error=reason,
        sent_session=None,
        wants_hold=False,
        cancel_wanted=cancel and not loud,
    )
    unlock(tx, job)
    tx.emit(JobAbandoned(**identity(job), at=tx.now, reason=reason, tries=job.tries, loud=loud))
    if loud:
        tx.emit(
            Audit(
                service="jobs",
                target=job.job_id,
                action="job.abandoned",
                actor=SYSTEM,
                at=tx.now,
                host_id=job.host_id,
                after={"reason": reason, "tries": job.tries},
            )
        )
    what = "job_abandoned" if loud else "job_withdrawn"
    tx.decide(job.host_id, what, f"given up: {reason}", rule="R17", job_id=job.job_id,
              tries=job.tries)  # fmt: skip
