"""Sessions of agents: what their hello, their `synced` and their end mean for jobs."""

from __future__ import annotations

from collections.abc import Sequence

from libs.common.events.agent import AgentHello, AgentOffline, AgentSynced
from libs.common.loop.tx import Tx
from libs.common.sessions import HelloVerdict, assess_hello
from services.jobs import hosts, store
from services.jobs.fires import judge_fires
from services.jobs.hosts import Session
from services.jobs.ledger import send_cancel, serve_soon, undeliver, unlock
from services.jobs.records import Job
from services.jobs.reports import reconcile, take_listed


def on_hello(tx: Tx, event: AgentHello) -> None:
    """A new session. What it lists is running; what the old one did not accept is undeliverable."""
    host = hosts.find_host(tx, event.host_id)
    if host is None:
        return
    known = not hosts.note_session(tx, event.host_id, event.session)
    current = host.connection_before(event.session)
    if assess_hello(current, event.connection, known=known) is not HelloVerdict.NEWER:
        return
    session = Session(event.session, event.connection, event.gateway, tx.time, event.running)
    hosts.begin_session(tx, event.host_id, session)
    for job_id in event.running:
        take_listed(tx, event.host_id, session, job_id)
    waiting = store.waiting(tx, event.host_id)
    if host.live_session not in (None, event.session):  # A bucket may have named this one already.
        _lose_session(tx, waiting, host.live_session, "replaced")
    for job in waiting:
        if job.next_try_at is not None:
            store.update_job(tx, job.job_id, next_try_at=None)  # Tried on hello (R17).


def on_synced(tx: Tx, event: AgentSynced) -> None:
    """The reports have arrived: what is missing now was interrupted; then work goes on."""
    is_news = hosts.set_synced(tx, event.host_id, event.session)
    if not is_news or not store.has_work(tx, event.host_id):
        return
    host = hosts.get_host(tx, event.host_id)
    reconcile(tx, host)
    judge_fires(tx, host)
    for job in store.at_agent(tx, event.host_id):
        if job.cancel_wanted:
            send_cancel(tx, host, job.job_id)
    serve_soon(tx, event.host_id)


def on_offline(tx: Tx, event: AgentOffline) -> None:
    host = hosts.find_host(tx, event.host_id)
    if host is None or host.live_session != event.session:
        return
    hosts.end_session(tx, event.host_id)
    waiting = store.waiting(tx, event.host_id)
    for job in (*store.at_agent(tx, event.host_id), *waiting):
        unlock(tx, job, host)
    _lose_session(tx, waiting, event.session, event.reason.value)


def _lose_session(tx: Tx, waiting: Sequence[Job], session: str, reason: str) -> None:
    """What was sent there, or was to be sent there for its catch-up, is undeliverable."""
    for job in waiting:
        was_sent = job.sent_session is not None
        was_asked = job.arm_id == session and job.not_in_session != session
        if was_sent or was_asked:
            undeliver(tx, job, session=session, reason=reason)
