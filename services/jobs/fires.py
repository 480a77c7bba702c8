"""Fires that agents report: answered with `run` or `hold`, or kept as pending runs (R15, R17)."""

from __future__ import annotations

from datetime import datetime

from libs.common.events.agent import AgentScheduleFired
from libs.common.events.job import JobOrigin, JobStatus
from libs.common.loop.tx import Tx
from libs.common.runs import job_id as id_of_attempt
from libs.common.runs import run_id
from services.jobs import hosts, policy, store
from services.jobs.hosts import Host
from services.jobs.ledger import attempts_of, create
from services.jobs.policy import FireVerdict
from services.jobs.records import Cause, Job
from services.jobs.store import Fire


def on_fired(tx: Tx, event: AgentScheduleFired) -> None:
    """A schedule fired at the agent, which waits 60 s for our answer before it acts alone."""
    host = hosts.find_host(tx, event.host_id)
    if host is None:
        return
    fire_time = event.fire_time.replace(second=0, microsecond=0)
    fire = Fire(event.host_id, event.schedule_id, event.source_group_id, fire_time)
    verdict = policy.assess_fire(
        host.record,
        event.schedule_id,
        event.source_group_id,
        fire_time=event.fire_time,
        received_at=min(event.received_at, tx.time),
    )
    if verdict is FireVerdict.FUTURE:
        _decide(tx, fire, "fire_refused", verdict.value)
        return
    if not store.add_fire(tx, fire, id_of_attempt(_run(fire), 1)):
        return
    if verdict is FireVerdict.LATE:
        _decide(tx, fire, "fire_late", verdict.value)
        if host.synced and event.session == host.live_session:
            judge_fires(tx, host)
        return
    store.set_judged(tx, fire)
    if verdict is FireVerdict.UNWANTED:
        _decide(tx, fire, "fire_ignored", verdict.value)
    elif _has_attempts(tx, fire):
        _decide(tx, fire, "fire_known", "the run of this fire has its attempts already")
    else:
        _create(tx, fire, pending=False)


def judge_fires(tx: Tx, host: Host) -> None:
    """Make pending runs of the fires that nobody ran: the newest of each pair."""
    for fire in store.fires_to_judge(tx, host.record.id):
        store.set_judged(tx, fire)
        newest = store.newest_fire(tx, fire.host_id, fire.schedule_id, fire.source_group_id)
        verdict = policy.assess_fire(
            host.record,
            fire.schedule_id,
            fire.source_group_id,
            fire_time=fire.fire_time,
            received_at=tx.now,
        )
        if _has_attempts(tx, fire):
            _decide(tx, fire, "fire_known", "the run of this fire has its attempts already")
        elif newest is not None and newest > fire.fire_time:
            _decide(tx, fire, "fire_superseded", "a newer fire of the same schedule is known")
        elif verdict is FireVerdict.UNWANTED:
            _decide(tx, fire, "fire_ignored", verdict.value)
        else:
            _create(tx, fire, pending=True)
            _decide(tx, fire, "run_pending", "nobody ran this fire: it is pending")


def _has_attempts(tx: Tx, fire: Fire) -> bool:
    return bool(attempts_of(tx, _run(fire), fire))


def _run(fire: Fire) -> str:
    return run_id(fire.host_id, fire.schedule_id, fire.source_group_id, fire.fire_time)


def _create(tx: Tx, fire: Fire, *, pending: bool) -> None:
    run = _run(fire)
    job = Job(
        job_id=id_of_attempt(run, 1),
        host_id=fire.host_id,
        origin=JobOrigin.SCHEDULE,
        cause=Cause.FIRE,
        status=JobStatus.REQUESTED,
        created_at=tx.now,
        run_id=run,
        schedule_id=fire.schedule_id,
        source_group_id=fire.source_group_id,
        fire_time=fire.fire_time,
        wants_hold=not pending,
    )
    create(tx, job, pending=pending)


def _decide(tx: Tx, fire: Fire, what: str, text: str) -> None:
    tx.decide(
        fire.host_id,
        what,
        f"fire of {_shown(fire.fire_time)}: {text}",
        rule="R17",
        schedule_id=fire.schedule_id,
        source_group_id=fire.source_group_id,
        fire_time=fire.fire_time,
    )


def _shown(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%MZ")
