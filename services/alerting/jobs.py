"""The part of alerting's machine that hears how jobs ended.

A success counts at once. A failure is told once the log has been read to its end: if a success
stands there already, nobody needs to hear of it (R10).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from libs.common.clock import to_rfc3339
from libs.common.events.alert import AlertKind
from libs.common.events.job import (
    SUCCESSES,
    JobAbandoned,
    JobEvent,
    JobFinished,
    JobInterrupted,
    JobKind,
    JobOrigin,
    JobStatus,
)
from libs.common.loop.tx import Tx
from services.alerting import alerts, chances, missed, store
from services.alerting import store_alerts as rows
from services.alerting.alerts import Finding, ResolveReason
from services.alerting.conditions import STALE, Conditions
from services.alerting.hosts import UNTOLD
from services.alerting.store import Host
from services.alerting.store_alerts import Untold

FAILURES = {
    JobKind.BACKUP: AlertKind.BACKUP_FAILED,
    JobKind.FORGET: AlertKind.FORGET_FAILED,
    JobKind.CHECK: AlertKind.CHECK_FAILED,
    JobKind.PRUNE: AlertKind.PRUNE_FAILED,
}
ENDED_BY_BACKUP = (AlertKind.BACKUP_FAILED, AlertKind.PENDING_RUN_ABANDONED)
"""What a successful backup of the same source group ends."""

LONGEST_ERROR = 300


class Jobs:
    """Handlers for the ends of jobs."""

    def __init__(self, conditions: Conditions) -> None:
        self._conditions = conditions

    def on_finished(self, tx: Tx, event: JobFinished) -> None:
        """Idempotent by `job_id`: the first reported end stands."""
        host = self._news(tx, event, "finished")
        if host is None:
            return
        missed.see_run(tx, host, event)
        if event.status in SUCCESSES:
            self._succeed(tx, host, event)
        elif event.status is JobStatus.FAILED:
            reason = _short(event.error) or f"exit code {event.exit_code}"
            self._fail(tx, host, event, f"failed: {reason}", last=event.last_attempt)

    def on_interrupted(self, tx: Tx, event: JobInterrupted) -> None:
        """Idempotent by `job_id`; a reported end, whenever it comes, counts instead."""
        if store.is_job_end_known(tx, event.job_id, "finished"):
            return
        host = self._news(tx, event, "interrupted")
        if host is None:
            return
        if event.origin is JobOrigin.MANUAL:
            text = f"a manual {event.kind} was interrupted: who asked sees it"
            tx.decide(host.id, "no_alert", text, rule="R9", job_id=event.job_id)
            return
        times = "once" if event.attempt == 1 else f"{event.attempt} times"
        self._fail(tx, host, event, f"was interrupted {times}", last=event.last_attempt)

    def on_abandoned(self, tx: Tx, event: JobAbandoned) -> None:
        """A pending run was given up. Superseded by a newer fire, it is nobody's loss (R17)."""
        if store.is_job_end_known(tx, event.job_id, "finished"):
            return
        host = self._news(tx, event, "abandoned")
        if host is None:
            return
        if not event.loud:
            tx.decide(host.id, "no_alert", "a pending run was superseded by a newer one",
                      rule="R17", job_id=event.job_id, reason=event.reason)  # fmt: skip
            return
        message = (
            f"Pending run of {_group(host, event)} abandoned after {event.tries} tries: "
            f"{_short(event.reason)}"
        )
        self._tell_later(tx, host, AlertKind.PENDING_RUN_ABANDONED, event, message)

    def _news(self, tx: Tx, event: JobEvent, what: str) -> Host | None:
        host = store.find_present(tx, event.host_id)
        if host is None or not store.remember_job_end(tx, host, event.job_id, what):
            return None
        return host

    # -- success ----------------------------------------------------------------------------------

    def _succeed(self, tx: Tx, host: Host, event: JobFinished) -> None:
        kind = FAILURES.get(event.kind)
        if kind is None:
            return
        key = event.source_group_id or ""
        if event.kind is not JobKind.BACKUP:
            _end_failure(tx, host, kind, key, ResolveReason.JOB_SUCCEEDED)
            return
        for told in ENDED_BY_BACKUP:
            _end_failure(tx, host, told, key, ResolveReason.BACKUP_SUCCEEDED)
        self._freshen(tx, host, min(event.finished_at, tx.time))

    def _freshen(self, tx: Tx, host: Host, success_at: datetime) -> None:
        """The host has a backup of `success_at`. One that is old itself ends no staleness (R6)."""
        if host.last_success_at is None or success_at > host.last_success_at:
            host = replace(host, last_success_at=success_at)
            store.save_success(tx, host.id, success_at)
            chances.on_success(tx, host, success_at)
        sight = self._conditions.look_at(tx, host)
        if tx.now - success_at < sight.stale_after.value:
            alerts.end(tx, host, STALE, ResolveReason.BACKUP_SUCCEEDED, rule="R9")
            self._conditions.look_when_stale(tx, host, sight)
        else:
            tx.schedule(STALE, host.id, tx.now)

    # -- failure ----------------------------------------------------------------------------------

    def _fail(self, tx: Tx, host: Host, event: JobEvent, how: str, *, last: bool) -> None:
        kind = FAILURES.get(event.kind)
        if kind is None:
            return
        if not last:
            tx.decide(host.id, "no_alert", f"a {event.kind} {how}; another attempt follows",
                      rule="R9", job_id=event.job_id, attempt=event.attempt)  # fmt: skip
            return
        what = f"{event.kind.capitalize()} of {_group(host, event)} {how}"
        self._tell_later(tx, host, kind, event, what)

    def _tell_later(
        self, tx: Tx, host: Host, kind: AlertKind, event: JobEvent, message: str
    ) -> None:
        facts: dict[str, Any] = {
            "job_id": event.job_id,
            "source_group_id": event.source_group_id,
            "schedule_id": event.schedule_id,
            "fire_time": to_rfc3339(event.fire_time) if event.fire_time else None,
            "attempt": event.attempt,
            "happened_at": to_rfc3339(tx.time),
        }
        key = event.source_group_id or ""
        rows.save_untold(tx, Untold(host.id, kind, key, message, facts))
        tx.schedule(UNTOLD, host.id, tx.now)

    def on_untold_due(self, tx: Tx, host_id: str, _: datetime) -> None:
        """The log has been read to its end, and these failures stand."""
        host = store.find_present(tx, host_id)
        for untold in rows.take_untold(tx, host_id):
            if host is not None:
                rule = "R17" if untold.kind is AlertKind.PENDING_RUN_ABANDONED else "R9"
                alerts.raise_alert(
                    tx,
                    Finding(
                        kind=untold.kind,
                        message=untold.message,
                        rule=rule,
                        host_id=host_id,
                        host_name=host.name,
                        dedup_key=untold.dedup_key,
                        facts=untold.facts,
                    ),
                )


def _end_failure(tx: Tx, host: Host, kind: AlertKind, key: str, reason: ResolveReason) -> None:
    """A success ends what was told, or is to be told, of a failure."""
    if host.may_have.untold:
        rows.drop_untold(tx, host.id, kind, key)
    if host.may_have.alerts:
        alerts.resolve_open(tx, host.id, kind, reason, key=key, rule="R9")


def _group(host: Host, event: JobEvent) -> str:
    """What was to be backed up, as people call it."""
    if event.source_group_id is None:
        return host.name
    return host.group_names.get(event.source_group_id, event.source_group_id)


def _short(text: str | None) -> str:
    """The first line of an error, cut."""
    line = (text or "").strip().partition("\n")[0]
    return line if len(line) <= LONGEST_ERROR else line[: LONGEST_ERROR - 1] + "…"
