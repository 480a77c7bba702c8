"""What agents tell of jobs: accepted, started, finished, and which ones they still run.

A report may name a job that we did not send: an agent that was alone uses the same ids, so its run
becomes an entry of origin `agent`, or fills the one that waited here.
"""

from __future__ import annotations

from datetime import UTC
from typing import Any

from libs.common.events.agent import (
    AgentJobAccepted,
    AgentJobFinished,
    AgentJobReport,
    AgentJobStarted,
)
from libs.common.events.job import JobDispatched, JobOrigin, JobStarted, JobStatus
from libs.common.loop.tx import Tx
from libs.common.protocol import RunStatus
from libs.common.runs import job_id as id_of_attempt
from libs.common.runs import run_id
from services.jobs import hosts, logs, policy, store
from services.jobs.ends import End, end_job
from services.jobs.hosts import Host, Session
from services.jobs.ledger import identity, send_cancel, serve_soon, stop_sending, unlock
from services.jobs.policy import Listed
from services.jobs.records import Cause, Job
from services.jobs.settings import STATED_GRACE

STATED = "stated"
_ENDED_STATES = frozenset(status.value for status in RunStatus)


def on_accepted(tx: Tx, event: AgentJobAccepted) -> None:
    """The agent took a job; an older session's word about it is not asked for (its hello told)."""
    host, job = hosts.find_host(tx, event.host_id), store.find_job(tx, event.job_id)
    if host is None or host.live_session != event.session:
        return
    if job is None or job.host_id != event.host_id:
        tx.decide(event.host_id, "unknown_job", "accepted a job that we do not know",
                  job_id=event.job_id)  # fmt: skip
        return
    if job.dispatched_at is not None or job.at_agent or job.end_reported:
        return
    if event.state in _ENDED_STATES:
        _dispatch(tx, job, event.session)
        store.update_job(tx, job.job_id, wait_reason=event.state)
        tx.schedule(STATED, job.job_id, tx.now + STATED_GRACE)
        return
    store.update_job(tx, job.job_id, dispatched_at=tx.time)
    _dispatch(tx, job, event.session)
    if job.ended and job.cancel_wanted:
        send_cancel(tx, host, job.job_id)


def _dispatch(tx: Tx, job: Job, session: str) -> Job:
    """The agent has the job. One that was given up here stays so, but its host is not free."""
    stop_sending(tx, job)
    changes = {"at_agent": True, "seen_session": session, "sent_session": None, "wants_hold": False}
    if job.status is JobStatus.REQUESTED:
        changes["status"] = JobStatus.DISPATCHED
    job = store.update_job(tx, job.job_id, **changes)
    if job.status is JobStatus.DISPATCHED:
        tx.emit(JobDispatched(**identity(job), session=session, at=job.dispatched_at or tx.time))
    return job


def on_stated_due(tx: Tx, job_id: str, _due_at: object) -> None:
    """The agent answered `run` with an end whose report never came: its word counts."""
    job = store.find_job(tx, job_id)
    host = hosts.find_host(tx, job.host_id) if job else None
    if job is None or host is None or job.status is not JobStatus.DISPATCHED:
        return
    if job.wait_reason in _ENDED_STATES:
        error = "told by the agent when asked again; its report is lost"
        end_job(tx, host, job, End(JobStatus(job.wait_reason), tx.time - STATED_GRACE, error=error))


def on_started(tx: Tx, event: AgentJobStarted) -> None:
    host = hosts.find_host(tx, event.host_id)
    job = _find_or_enter(tx, event) if host else None
    if host is None or job is None or job.end_reported or job.start_reported:
        return
    job = _accept_by_report(tx, job, event)
    at = policy.bounded_end(
        event.at, received_at=min(event.received_at, tx.time), dispatched_at=job.dispatched_at
    )
    stop_sending(tx, job)
    changes: dict[str, Any] = {
        "at_agent": True, "start_reported": True, "started_at": at, "wants_hold": False,
    }  # fmt: skip
    if not job.ended:
        changes["status"] = JobStatus.RUNNING
    if host.session and event.session == host.session.id and at >= host.session.hello_at:
        changes["seen_session"] = event.session
    job = store.update_job(tx, job.job_id, **changes)
    if job.ended:
        tx.decide(job.host_id, "start_ignored", f"started after it was {job.status}: that stands",
                  rule="R15", job_id=job.job_id)  # fmt: skip
        if job.cancel_wanted:
            send_cancel(tx, host, job.job_id)
    else:
        tx.emit(JobStarted(**identity(job), at=at))
    if host.synced:
        reconcile(tx, host)
    serve_soon(tx, job.host_id)


def on_finished(tx: Tx, event: AgentJobFinished) -> None:
    """The agent reports an end. The first one stands, but `interrupted` gives way to another."""
    host = hosts.find_host(tx, event.host_id)
    job = _find_or_enter(tx, event) if host else None
    if host is None or job is None:
        return
    status = JobStatus(event.status.value)
    gives_way = job.status is JobStatus.INTERRUPTED and status is not JobStatus.INTERRUPTED
    if job.end_reported and not gives_way:
        return
    if status is job.status is JobStatus.INTERRUPTED:
        store.update_job(tx, job.job_id, end_reported=True)  # We had concluded it already.
        return
    job = _accept_by_report(tx, job, event)
    at = policy.bounded_end(
        event.at, received_at=min(event.received_at, tx.time), dispatched_at=job.dispatched_at
    )
    if event.log_tail:
        logs.add_tail(tx, job.job_id, event.log_tail)
    end_job(tx, host, job, End(status, at, exit_code=event.exit_code, error=event.error,
                               reason=event.reason, stats=event.stats))  # fmt: skip


def _accept_by_report(tx: Tx, job: Job, event: AgentJobReport) -> Job:
    """Who reports a job has accepted it; if it was sent in this session, not before that."""
    if job.status is not JobStatus.REQUESTED:
        return job
    if job.sent_session == event.session:
        job = store.update_job(tx, job.job_id, dispatched_at=job.sent_at)
    return _dispatch(tx, job, job.sent_session or event.session)


# -- jobs that we did not send ---------------------------------------------------------------------


def _find_or_enter(tx: Tx, event: AgentJobReport) -> Job | None:
    """Return the ledger's entry for a report, a new one if it names its run, else None."""
    job = store.find_job(tx, event.job_id)
    if job is not None and job.host_id != event.host_id:
        return None
    if job is not None and job.source_group_id is not None:
        return job
    named = _matching_fire(tx, event.host_id, event.job_id) or _named(event)
    if job is not None:
        return store.update_job(tx, job.job_id, **named) if named else job
    if named is None:
        tx.decide(event.host_id, "unknown_job", "a report about a job that we do not know: kept as "
                  "this decision only", job_id=event.job_id, report=event.type)  # fmt: skip
        return None
    return _enter(tx, event.host_id, event.job_id, named)


def _enter(tx: Tx, host_id: str, job_id: str, named: dict[str, Any]) -> Job:
    job = Job(
        job_id=job_id,
        host_id=host_id,
        origin=JobOrigin.AGENT,
        cause=Cause.AGENT,
        status=JobStatus.DISPATCHED,
        created_at=tx.time,
        **named,
    )
    store.add_job(tx, job)
    tx.decide(host_id, "run_by_agent", "the agent ran this alone", rule="R15", job_id=job_id)
    return job


def _named(event: AgentJobReport) -> dict[str, Any] | None:
    """Return the run that a report names. A job id that is not that run's belongs to no run.

    A fire time that the gateway did not believe is not there: what was backed up still was.
    """
    if not (event.schedule_id and event.source_group_id):
        return None
    if event.fire_time is None:
        return {"schedule_id": event.schedule_id, "source_group_id": event.source_group_id}
    fire_time = event.fire_time.astimezone(UTC).replace(second=0, microsecond=0)
    run = run_id(event.host_id, event.schedule_id, event.source_group_id, fire_time)
    attempt = event.attempt or 1
    return {
        "run_id": run if id_of_attempt(run, attempt) == event.job_id else None,
        "attempt": attempt,
        "schedule_id": event.schedule_id,
        "source_group_id": event.source_group_id,
        "fire_time": fire_time,
    }


def _matching_fire(tx: Tx, host_id: str, job_id: str) -> dict[str, Any] | None:
    """Return the run of a reported fire whose first attempt has this id: agents use no other."""
    fire = store.find_fire_of(tx, host_id, job_id)
    if fire is None:
        return None
    return {
        "run_id": run_id(host_id, fire.schedule_id, fire.source_group_id, fire.fire_time),
        "attempt": 1,
        "schedule_id": fire.schedule_id,
        "source_group_id": fire.source_group_id,
        "fire_time": fire.fire_time,
    }


# -- what a hello lists ----------------------------------------------------------------------------


def take_listed(tx: Tx, host_id: str, session: Session, job_id: str) -> None:
    """A hello lists a job as running: it is, whatever the ledger said."""
    job = store.find_job(tx, job_id)
    if job is not None and job.host_id != host_id:
        return
    if job is None:
        job = _enter(tx, host_id, job_id, _matching_fire(tx, host_id, job_id) or {})
    listed = policy.assess_listed(job)
    if listed is Listed.END_KNOWN:
        return
    stop_sending(tx, job)
    was = job.status
    changes = {"at_agent": True, "seen_session": session.id, "sent_session": None}
    if listed is Listed.RUNNING:
        changes |= {"status": JobStatus.RUNNING, "finished_at": None, "wants_hold": False}
    job = store.update_job(tx, job_id, **changes)
    if listed is Listed.RUNNING and was is not JobStatus.RUNNING:
        tx.emit(JobStarted(**identity(job), at=job.started_at or tx.time))
        tx.decide(host_id, "job_running", f"the agent runs it (it was {was} here)", rule="R15",
                  job_id=job_id)  # fmt: skip


def reconcile(tx: Tx, host: Host) -> None:
    """All reports are in: what the agent neither runs nor ended was interrupted."""
    session = host.session
    if session is None:
        return
    for job in store.at_agent(tx, host.record.id):
        if not policy.is_lost(
            job, session=session.id, hello_at=session.hello_at, listed=session.running
        ):
            continue
        if job.ended:
            unlock(tx, store.update_job(tx, job.job_id, at_agent=False), host)
        else:
            end_job(tx, host, job, End(JobStatus.INTERRUPTED, tx.time, reported=False))
