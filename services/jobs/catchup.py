"""The catch-up's requests: each is one further attempt at its run, one per arm and pair."""

from __future__ import annotations

from libs.common.events.catchup import (
    CatchupEvent,
    CatchupFinished,
    CatchupRequested,
    CatchupSkipped,
    SkipReason,
)
from libs.common.events.job import JobOrigin, JobStatus
from libs.common.loop.tx import Tx
from libs.common.runs import job_id as id_of_attempt
from libs.common.runs import run_id
from services.jobs import hosts, policy, store
from services.jobs.ends import tell_finished
from services.jobs.hosts import Host
from services.jobs.ledger import abandon, attempts_of, create, serve_soon, undeliver
from services.jobs.policy import CatchupMove
from services.jobs.records import Cause, Job
from services.jobs.store import Fire

_OF_A_PAIR = frozenset(
    {
        SkipReason.GROUP_GONE,
        SkipReason.SCHEDULE_GONE,
        SkipReason.COVERED_BY,
        SkipReason.NOT_OVERDUE,
        SkipReason.SWITCHED_OFF,
    }
)


def on_requested(tx: Tx, event: CatchupRequested) -> None:
    """Meet a request: with a new attempt, the waiting one, the one under way, or a success."""
    host = hosts.find_host(tx, event.host_id)
    if host is None:
        return
    asked = (event.arm_id, event.schedule_id, event.source_group_id)
    if not store.add_request(tx, *asked, put_off=event.put_off):
        return
    fire_time = event.fire_time.replace(second=0, microsecond=0)
    run = run_id(event.host_id, event.schedule_id, event.source_group_id, fire_time)
    fire = Fire(event.host_id, event.schedule_id, event.source_group_id, fire_time)
    attempts = attempts_of(tx, run, fire)
    move, job = policy.decide_catchup(attempts)
    tx.decide(event.host_id, "catchup_met", f"catch-up: {move.value}", rule="R15",
              arm_id=event.arm_id, run_id=run, attempts=len(attempts))  # fmt: skip
    if job is None:
        attempt = max((one.attempt for one in attempts), default=0) + 1
        job = _new_attempt(tx, event, run, attempt)
    else:
        job = store.update_job(tx, job.job_id, arm_id=event.arm_id)
    if move is CatchupMove.RESTATE:
        tell_finished(tx, job, last_attempt=True)
    elif move is not CatchupMove.JOIN:
        _bring(tx, host, job, event.arm_id)


def _new_attempt(tx: Tx, event: CatchupRequested, run: str, attempt: int) -> Job:
    job = Job(
        job_id=id_of_attempt(run, attempt),
        host_id=event.host_id,
        origin=JobOrigin.CATCHUP,
        cause=Cause.ARM,
        status=JobStatus.REQUESTED,
        created_at=tx.now,
        run_id=run,
        attempt=attempt,
        schedule_id=event.schedule_id,
        source_group_id=event.source_group_id,
        fire_time=event.fire_time.replace(second=0, microsecond=0),
        arm_id=event.arm_id,
    )
    create(tx, job, pending=False)
    return job


def _bring(tx: Tx, host: Host, job: Job, arm_id: str) -> None:
    """Send the attempt in the arm's session, without any pause; if that is gone, say so."""
    if host.live_session == arm_id:
        store.update_job(tx, job.job_id, not_before=None, next_try_at=None, not_in_session=None)
        serve_soon(tx, job.host_id)
    else:
        undeliver(tx, job, session=arm_id, reason="not_connected")


def on_skipped(tx: Tx, event: CatchupSkipped) -> None:
    """The catch-up does not want a pair, or anything: nor what waited for it."""
    if event.schedule_id is not None and event.reason in _OF_A_PAIR:
        _withdraw(tx, event, (event.schedule_id, event.source_group_id))
    elif event.reason is SkipReason.NOTHING_OVERDUE:
        _withdraw(tx, event, None)


def on_finished(tx: Tx, event: CatchupFinished) -> None:
    """Its list is done: what waited for it and was not asked for is not wanted."""
    _withdraw(tx, event, None)


def _withdraw(tx: Tx, event: CatchupEvent, pair: tuple[str, str | None] | None) -> None:
    for job in store.waiting(tx, event.host_id):
        if job.origin is not JobOrigin.CATCHUP or job.arm_id == event.arm_id:
            continue
        if job.sent_session is None and pair in (None, (job.schedule_id, job.source_group_id)):
            abandon(tx, job, "withdrawn: the catch-up does not need it")
