"""The verbs `backup` and `start`: someone asks for a job by hand."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel

from libs.common.events.host import Actor
from libs.common.events.job import JobKind, JobOrigin, JobStatus
from libs.common.loop.tx import Tx
from services.jobs import hosts, policy_kinds, store
from services.jobs.audits import audit
from services.jobs.errors import Busy, NotConnected
from services.jobs.hosts import Host
from services.jobs.ledger import create, title
from services.jobs.policy_sending import next_to_send
from services.jobs.records import Cause, Job
from services.jobs.sending import not_locked_out


class BackupOf(BaseModel):
    """Arguments of `backup`. `when_it_wakes`: wait for a host that is away or busy."""

    host_id: str
    source_group_id: str
    when_it_wakes: bool = False


class StartOf(BaseModel):
    """Arguments of `start`: a job of any kind. `arguments`: see `libs/common/job_arguments`."""

    host_id: str
    kind: JobKind
    source_group_id: str | None = None
    arguments: dict[str, Any] | None = None
    when_it_wakes: bool = False


def on_backup(tx: Tx, actor: Actor, asked: BackupOf) -> dict[str, Any]:
    """Request a manual backup. Raises as `on_start`."""
    return on_start(tx, actor, StartOf(kind=JobKind.BACKUP, **asked.model_dump()))


def on_start(tx: Tx, actor: Actor, asked: StartOf) -> dict[str, Any]:
    """Request a job; the same one that waits for its host already is not asked for twice.

    Returns {job_id, host_id}: a prune or check asked of a laptop may go to a server that shares
    its repository.

    Raises: HostNotFound, BadInput, GroupNotFound, NoRepository, NoRetention, NotConnected, Busy.
    """
    named = hosts.get_host(tx, asked.host_id)
    group_id = asked.source_group_id
    arguments = policy_kinds.check_request(named.record, asked.kind, group_id, asked.arguments)
    sharing = hosts.sharing(tx, named.record.repository_id)
    host = policy_kinds.choose_host(asked.kind, named, sharing)
    if not asked.when_it_wakes:
        _check_free(tx, host)
    written = None if arguments is None else json.dumps(arguments, sort_keys=True)
    waits = _waiting_already(tx, host, asked, written) if asked.when_it_wakes else None
    if waits is None:
        waits = _request(tx, actor, host, asked, written)
    return {"job_id": waits.job_id, "host_id": host.record.id}


def _request(tx: Tx, actor: Actor, host: Host, asked: StartOf, arguments: str | None) -> Job:
    job = Job(
        job_id=tx.new_id(),
        host_id=host.record.id,
        kind=asked.kind,
        origin=JobOrigin.MANUAL,
        cause=Cause.MANUAL,
        status=JobStatus.REQUESTED,
        created_at=tx.now,
        requested_by=actor.name,
        source_group_id=asked.source_group_id,
        arguments=arguments,
        locks=policy_kinds.locked_by(asked.kind, host.record),
    )
    create(tx, job, pending=host.live_session is None)
    after = {"source_group_id": asked.source_group_id, "when_it_wakes": asked.when_it_wakes}
    if arguments is not None:
        after["arguments"] = json.loads(arguments)
    audit(tx, actor, job, f"{asked.kind}.requested", after)
    moved = "" if host.record.id == asked.host_id else f" of {asked.host_id}, which shares with it"
    tx.decide(job.host_id, f"{asked.kind}_requested",
              f"{title(host, job)}: asked for by {actor.name}{moved}",
              job_id=job.job_id)  # fmt: skip
    return job


def _check_free(tx: Tx, host: Host) -> None:
    """Refuse if a job runs on the host, is on its way there, or is about to be sent."""
    session = host.live_session
    if session is None:
        raise NotConnected
    waiting = store.waiting(tx, host.record.id)
    always_on = host.record.always_on
    free = not_locked_out(tx, host, waiting)
    ready = next_to_send(free, session=session, always_on=always_on, now=tx.now) is not None
    under_way = any(job.sent_session for job in waiting)
    if ready or under_way or store.at_agent(tx, host.record.id):
        raise Busy


def _waiting_already(tx: Tx, host: Host, asked: StartOf, arguments: str | None) -> Job | None:
    wanted = (JobOrigin.MANUAL, asked.kind, asked.source_group_id, arguments)
    same = (
        job
        for job in store.waiting(tx, host.record.id)
        if (job.origin, job.kind, job.source_group_id, job.arguments) == wanted
    )
    return next(same, None)
