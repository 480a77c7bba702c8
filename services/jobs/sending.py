"""Sends jobs to agents, one at a time per host, and follows what becomes of each send (R16, R17).

`serve` looks at one host: it gives up what is no longer wanted, sends the first job that may go,
and holds the agent back from starting the others by itself.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from libs.common.events.agent import AgentConfigApplied, AgentJobDeclined
from libs.common.events.job import JobKind, JobStatus
from libs.common.job_arguments import EXCLUSIVE, LOCKING
from libs.common.loop.tx import Tx
from libs.common.protocol import Hold, Run
from services.jobs import hosts, policy, store
from services.jobs.hosts import Host
from services.jobs.ledger import (
    ANSWER,
    SERVE,
    abandon,
    command,
    send_cancel,
    serve_soon,
    title,
    undeliver,
    unlock,
)
from services.jobs.policy_kinds import locked_by
from services.jobs.policy_sending import (
    AfterTry,
    Keep,
    Try,
    assess_waiting,
    decide_after_try,
    next_look,
    next_to_send,
    why_declined,
)
from services.jobs.records import Job
from services.jobs.settings import (
    ANSWER_TIMEOUT,
    HOLD_FOR,
    HOLD_RENEWED,
    UNKNOWN_PAUSE,
    JobsSettings,
)

CANCEL = "cancel"
STALE_CONFIG = "stale_config"
SESSION_GONE = frozenset({"not_connected", "other_session"})


class Sending:
    """The deadline, outcome and event handlers of sending."""

    def __init__(self, settings: JobsSettings) -> None:
        self._settings = settings

    def on_serve(self, tx: Tx, host_id: str, _due_at: datetime) -> None:
        """Send what can be sent to a host whose reports have all arrived."""
        requested = store.waiting(tx, host_id)
        host = hosts.find_host(tx, host_id) if requested else None
        if host is None:
            return
        waiting = [job for job in requested if _is_wanted(tx, host, job)]
        session = host.live_session
        if session is None or not host.synced:
            return
        resting = [job for job in waiting if job.sent_session != session]
        looks: list[datetime | None] = []
        if len(resting) == len(waiting) and not store.at_agent(tx, host_id):
            always_on = host.record.always_on
            free = not_locked_out(tx, host, resting)
            chosen = next_to_send(free, session=session, always_on=always_on, now=tx.now)
            if chosen is None:
                looks.append(next_look(resting, session=session, always_on=always_on, now=tx.now))
            else:
                self._send(tx, host, chosen)
                resting.remove(chosen)
        held = [store.get_job(tx, job.job_id) for job in resting if job.wants_hold]
        looks.extend(_hold(tx, host, job) for job in held)
        _look_again(tx, host_id, looks)

    def _send(self, tx: Tx, host: Host, job: Job) -> None:
        store.update_job(
            tx,
            job.job_id,
            sent_session=host.live_session,
            sent_at=job.sent_at or tx.now,
            next_try_at=None,
            wait_reason=None,
            locks=locked_by(job.kind, host.record),
        )
        frame = Run(
            job_id=job.job_id,
            kind=job.kind,
            schedule_id=job.schedule_id,
            source_group_id=job.source_group_id,
            fire_time=job.fire_time,
            config_version=host.record.config_version,
            attempt=job.attempt,
            arguments=None if job.arguments is None else json.loads(job.arguments),
            timeout_seconds=self._settings.job_timeouts[job.kind].total_seconds(),
        )
        command(tx, host, job.job_id, frame)
        tx.decide(host.record.id, "job_sent", f"{title(host, job)}: attempt {job.attempt} sent",
                  rule="R15", job_id=job.job_id, session=host.live_session)  # fmt: skip

    def on_outcome(
        self, tx: Tx, key: str, payload: dict[str, Any], outcome: dict[str, Any]
    ) -> None:
        """A command was written, refused, or nobody knows."""
        frame, session = payload["frame"], payload["session"]
        if frame["type"] == "cancel":
            if "ok" not in outcome:
                tx.schedule(CANCEL, frame["job_id"], tx.now + ANSWER_TIMEOUT)
            return
        job = store.find_job(tx, key) if frame["type"] == "run" else None
        if job is None or job.status is not JobStatus.REQUESTED or job.sent_session != session:
            return
        reason = outcome.get("reason", "")
        if outcome.get("ok"):
            tx.schedule(ANSWER, job.job_id, tx.now + ANSWER_TIMEOUT)
        elif "ok" not in outcome:
            tx.schedule(ANSWER, job.job_id, tx.now + UNKNOWN_PAUSE)
        elif reason in SESSION_GONE:
            undeliver(tx, job, session=session, reason=reason)
            serve_soon(tx, job.host_id)
        else:
            self._tried(tx, job, Try.NOT_ACCEPTING, reason)

    def on_answer_due(self, tx: Tx, job_id: str, _due_at: datetime) -> None:
        """No answer: unknown, so the same job id is sent again."""
        job = store.find_job(tx, job_id)
        host = hosts.find_host(tx, job.host_id) if job else None
        if job is None or host is None or job.status is not JobStatus.REQUESTED:
            return
        if job.sent_session is not None and job.sent_session == host.live_session:
            self._tried(tx, job, Try.NO_ANSWER, "no_answer")

    def on_declined(self, tx: Tx, event: AgentJobDeclined) -> None:
        host, job = hosts.find_host(tx, event.host_id), store.find_job(tx, event.job_id)
        if host is None or job is None or job.host_id != event.host_id:
            return
        if job.status is JobStatus.REQUESTED and job.sent_session == event.session:
            self._tried(tx, job, why_declined(event.reason), event.reason)

    def _tried(self, tx: Tx, job: Job, why: Try, reason: str) -> None:
        """A send led to nothing while the host stayed connected: count it (R17)."""
        tx.unschedule(ANSWER, job.job_id)
        tries = job.tries + 1
        after = decide_after_try(why, tries)
        pause = policy.backoff(
            tries, first=self._settings.pending_retry, cap=self._settings.pending_retry_cap
        )
        later = tx.now + pause if after is AfterTry.BACK_OFF else None
        job = store.update_job(
            tx, job.job_id, tries=tries, sent_session=None, wait_reason=reason, next_try_at=later
        )
        unlock(tx, job)
        if after is AfterTry.ABANDON:
            times = "" if tries == 1 else f", {tries} times"
            # Who asked for another kind by hand sees it; a backup is missed by others, too.
            abandon(tx, job, f"{why.value} ({reason}){times}", loud=job.kind is JobKind.BACKUP)
        else:
            tx.decide(job.host_id, "job_not_accepted", f"{why.value} ({reason}): {after.value}",
                      rule="R17", job_id=job.job_id, tries=tries, next_try_at=later)  # fmt: skip
        serve_soon(tx, job.host_id)

    def on_config_applied(self, tx: Tx, event: AgentConfigApplied) -> None:
        """What was declined for an old configuration may go at once."""
        waiting = store.waiting(tx, event.host_id)
        host = hosts.find_host(tx, event.host_id) if waiting else None
        if host is None or host.live_session != event.session or event.error is not None:
            return
        if event.version < host.record.config_version:
            return
        for job in waiting:
            if job.wait_reason == STALE_CONFIG and job.sent_session is None:
                store.update_job(tx, job.job_id, next_try_at=None, wait_reason=None)
        serve_soon(tx, event.host_id)

    def on_cancel_due(self, tx: Tx, job_id: str, _due_at: datetime) -> None:
        """Nobody knows whether a `cancel` was written: send it again."""
        job = store.find_job(tx, job_id)
        host = hosts.find_host(tx, job.host_id) if job else None
        if job is not None and host is not None and job.at_agent and job.cancel_wanted:
            send_cancel(tx, host, job_id)


def _is_wanted(tx: Tx, host: Host, job: Job) -> bool:
    """Give up a resting job that is superseded or not wanted any more; say whether it stays.

    One that is under way to the agent is left alone until its answer is known.
    """
    if job.sent_session is not None:
        return True
    newest = store.newest_fire(tx, job.host_id, job.schedule_id, job.source_group_id)
    keep = assess_waiting(job, host.record, newest if job.schedule_id else None)
    if keep is Keep.KEEP:
        return True
    abandon(tx, job, keep.value)
    return False


def not_locked_out(tx: Tx, host: Host, waiting: Sequence[Job]) -> list[Job]:
    """Return the jobs without those that must wait until their repository is free."""
    return [job for job in waiting if not _is_locked_out(tx, host, job)]


def _is_locked_out(tx: Tx, host: Host, job: Job) -> bool:
    """Say whether others are in a job's way. Who wants the repository for itself waits for all
    that use it, and whoever comes meanwhile waits behind: it would only meet the lock."""
    repository = host.record.repository_id
    if repository is None or job.kind not in LOCKING:
        return False
    holder = store.find_locking(tx, repository, job.job_id)
    if holder is None and job.kind in EXCLUSIVE:
        holder = store.find_using(tx, repository, job.job_id)
    elif holder is None:
        holder = store.find_next_to_lock(tx, repository, job.job_id)
    if holder is None:
        return False
    if job.wait_reason != store.REPOSITORY_BUSY:
        store.update_job(tx, job.job_id, wait_reason=store.REPOSITORY_BUSY)
        tx.decide(host.record.id, "job_waits", f"{title(host, job)}: waits for the {holder.kind} "
                  "of the same repository", job_id=job.job_id, holder=holder.job_id)  # fmt: skip
    return True


def _hold(tx: Tx, host: Host, job: Job) -> datetime:
    """Tell the agent not to start its fire alone while we cannot start it; return when to look."""
    held_until = job.hold_until
    if held_until is None or held_until - HOLD_RENEWED <= tx.now:
        held_until = tx.now + HOLD_FOR
        reason = "busy" if store.at_agent(tx, host.record.id) else job.wait_reason or "busy"
        store.update_job(tx, job.job_id, hold_until=held_until)
        command(tx, host, f"hold:{job.job_id}",
                Hold(job_id=job.job_id, reason=reason, until=held_until))  # fmt: skip
        tx.decide(host.record.id, "fire_held", f"{title(host, job)}: held ({reason})",
                  rule="R17", job_id=job.job_id, until=held_until)  # fmt: skip
    return held_until - HOLD_RENEWED


def _look_again(tx: Tx, host_id: str, looks: Sequence[datetime | None]) -> None:
    due = min((look for look in looks if look is not None), default=None)
    if due is not None:
        tx.schedule(SERVE, host_id, due)
