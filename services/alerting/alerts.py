"""The life of an alert: raised, acknowledged, resolved; each step published and explained.

    (none) ──raise──▶ open ──acknowledge──▶ acknowledged ──┐
                        └───────────────────────────────────┴──resolve──▶ resolved (history)

Beside that an alert is silenced or not, from its raise on or later (silences.py), and one of
staleness climbs its ladder: reminded at 2, 4 and 12 times the threshold.
Bucket `alerts` holds what is not resolved; it is put before the event that tells of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import structlog

from libs.common.clock import to_rfc3339
from libs.common.events.alert import (
    Alert,
    AlertAcknowledged,
    AlertKind,
    AlertRaised,
    AlertReminded,
    AlertResolved,
    AlertSilenced,
    AlertState,
    AlertUnsilenced,
    Severity,
)
from libs.common.events.host import Actor
from libs.common.loop.tx import Tx
from services.alerting import coverage
from services.alerting import store_alerts as store
from services.alerting.policy_silence import Silence, covers_until
from services.alerting.store import Host

log = structlog.get_logger()
BUCKET = "alerts"
FLEET = "fleet"

SEVERITY = {
    AlertKind.AGENT_OFFLINE: Severity.WARNING,
    AlertKind.STALE_SCHEDULE: Severity.WARNING,
    AlertKind.BACKUP_FAILED: Severity.WARNING,
    AlertKind.FORGET_FAILED: Severity.WARNING,
    AlertKind.CHECK_FAILED: Severity.CRITICAL,
    AlertKind.PRUNE_FAILED: Severity.CRITICAL,
    AlertKind.FLEET_OUTAGE: Severity.CRITICAL,
    AlertKind.PENDING_RUN_ABANDONED: Severity.WARNING,
    AlertKind.BACKUP_NOT_SUCCEEDING: Severity.WARNING,
    AlertKind.SCHEDULE_MISSED: Severity.WARNING,
}

HOLDING = frozenset({
    AlertKind.AGENT_OFFLINE, AlertKind.STALE_SCHEDULE, AlertKind.FLEET_OUTAGE,
    AlertKind.BACKUP_NOT_SUCCEEDING,
})  # fmt: skip
"""Conditions that last until something ends them; the others are occurrences."""


class ResolveReason(StrEnum):
    """What ended an alert."""

    HOST_RETURNED = "host_returned"
    HOST_REMOVED = "host_removed"
    GROUP_REMOVED = "group_removed"
    MODE_CHANGED = "mode_changed"
    BACKUP_SUCCEEDED = "backup_succeeded"
    JOB_SUCCEEDED = "job_succeeded"
    SCHEDULE_DISABLED = "schedule_disabled"
    RUN_PRODUCED = "run_produced"
    THRESHOLD_CHANGED = "threshold_changed"
    OPERATOR = "operator"
    ALL_RETURNED = "all_returned"
    FEW_AWAY = "few_away"
    TOO_LONG = "too_long"


@dataclass(frozen=True, slots=True)
class Finding:
    """A condition that someone should know of."""

    kind: AlertKind
    message: str
    rule: str
    host_id: str | None = None
    host_name: str = ""
    dedup_key: str = ""
    held_by: str | None = None
    rung: int = 0
    facts: dict[str, Any] = field(default_factory=dict)


def raise_alert(tx: Tx, finding: Finding) -> Alert:
    """Raise an alert, or move `last_seen_at` of the one that is open for the condition (R7)."""
    known = store.find_open(tx, finding.host_id, finding.kind, finding.dedup_key)
    if known is not None:
        return _see_again(tx, known, finding)
    cover = coverage.find_cover_of_new(tx, finding)
    alert = Alert(
        id=tx.new_id(),
        host_id=finding.host_id,
        host_name=finding.host_name,
        kind=finding.kind,
        dedup_key=finding.dedup_key,
        severity=SEVERITY[finding.kind],
        message=finding.message,
        state=AlertState.OPEN,
        raised_at=tx.now,
        last_seen_at=tx.now,
        silenced=cover is not None,
        held_by=finding.held_by,
        rung=finding.rung,
        facts=finding.facts,
    )
    _save(tx, alert)
    tx.emit(AlertRaised(alert=alert))
    _decide(tx, alert, "alert_raised", finding.message, finding.rule, **finding.facts)
    if alert.held_by:
        text = "told with the mass outage that it is part of, not by itself"
        _decide(tx, alert, "alert_held", text, "R5", held_by=alert.held_by)
    if cover is not None:
        _explain_cover(tx, alert, cover)
    log.info("alert_raised", host_id=alert.host_id, kind=alert.kind, alert_id=alert.id)
    return alert


def _see_again(tx: Tx, known: Alert, finding: Finding) -> Alert:
    seen = known.model_copy(update={"last_seen_at": tx.now})
    _save(tx, seen)
    text = f"the same condition again, nobody is notified: {finding.message}"
    _decide(tx, seen, "same_condition", text, "R7", **finding.facts)
    return seen


def remind(tx: Tx, alert: Alert, rung: int, message: str) -> None:
    """A rung of the ladder is reached: it is told again, unless the alert is silenced."""
    told = alert.model_copy(update={"rung": rung, "last_seen_at": seen_at(tx, alert)})
    _save(tx, told)
    tx.emit(AlertReminded(alert=told, message=message))
    text = f"{rung} times the threshold: {message}"
    text += ", and nobody is told: it is silenced" if told.silenced else ""
    _decide(tx, told, "alert_reminded", text, "R7", rung=rung)
    log.info("alert_reminded", host_id=told.host_id, kind=told.kind, alert_id=told.id, rung=rung)


def acknowledge(tx: Tx, alert: Alert, actor: Actor, note: str | None) -> Alert:
    """Note that someone took an open alert."""
    taken = alert.model_copy(
        update={
            "state": AlertState.ACKNOWLEDGED,
            "acknowledged_by": actor.name,
            "acknowledged_at": tx.now,
            "last_seen_at": seen_at(tx, alert),
            "note": note,
        }
    )
    _save(tx, taken)
    tx.emit(AlertAcknowledged(alert=taken))
    _decide(tx, taken, "alert_acknowledged", f"{actor.name} took it", "", note=note)
    return taken


def resolve(
    tx: Tx, alert: Alert, reason: ResolveReason, *, by: str | None = None,
    still_away: Iterable[str] = (), rule: str = "",
) -> Alert:  # fmt: skip
    """End an alert."""
    ended = alert.model_copy(
        update={
            "state": AlertState.RESOLVED,
            "resolved_at": tx.now,
            "resolved_by": by,
            "last_seen_at": seen_at(tx, alert),
        }
    )
    store.save_alert(tx, ended)
    store.drop_old_history(tx)
    tx.put(BUCKET, ended.id, None)
    tx.emit(AlertResolved(alert=ended, reason=reason, still_away=tuple(still_away)))
    text = f"{ended.kind.words} is over: {_WORDS[reason]}"
    _decide(tx, ended, "alert_resolved", text, rule, reason=reason, by=by)
    log.info("alert_resolved", host_id=ended.host_id, kind=ended.kind, reason=reason)
    return ended


def resolve_open(
    tx: Tx, host_id: str, kind: AlertKind, reason: ResolveReason, *, key: str = "", rule: str = ""
) -> None:
    """End the open alert of a condition, if there is one."""
    alert = store.find_open(tx, host_id, kind, key)
    if alert is not None:
        resolve(tx, alert, reason, rule=rule)


def end(
    tx: Tx, host: Host, kind: AlertKind, reason: ResolveReason, *, key: str = "", rule: str = ""
) -> None:
    """End what is open of a condition of a host, its mute too; mostly there is neither."""
    if host.may_have.mutes:
        store.unmute(tx, host.id, kind)
    if host.may_have.alerts:
        resolve_open(tx, host.id, kind, reason, key=key, rule=rule)


def release(tx: Tx, alert: Alert) -> None:
    """Hold an alert back no longer. The resolved mass outage tells of it, no event of its own."""
    _save(tx, alert.model_copy(update={"held_by": None}))
    _decide(tx, alert, "alert_released", "the mass outage is over, and this host is still away",
            "R5", held_by=alert.held_by)  # fmt: skip


def change_silenced(tx: Tx, alert: Alert, cover: Silence | None) -> None:
    """An open alert is covered by a silence from now on, or (None) by none any more."""
    changed = alert.model_copy(
        update={
            "silenced": cover is not None,
            "silence_changes": alert.silence_changes + 1,
            "last_seen_at": seen_at(tx, alert),
        }
    )
    _save(tx, changed)
    if cover is not None:
        tx.emit(AlertSilenced(alert=changed))
        _explain_cover(tx, changed, cover)
        return
    tx.emit(AlertUnsilenced(alert=changed))
    text = "no silence covers it any more, and it still holds: who was not told is told now"
    _decide(tx, changed, "alert_unsilenced", text, "")


def _explain_cover(tx: Tx, alert: Alert, cover: Silence) -> None:
    until = covers_until(cover, tx.now)
    text = (
        f"{alert.kind.words} is silenced ({coverage.describe(cover.scope)}): nobody is told before "
        f"{to_rfc3339(until)}"
    )
    _decide(tx, alert, "alert_silenced", text, "", silence_id=cover.id, until=until)


def seen_at(tx: Tx, alert: Alert) -> Any:
    """When the condition was last seen: now, while it holds."""
    return tx.now if alert.kind in HOLDING else alert.last_seen_at


def shown(tx: Tx, alert: Alert) -> Alert:
    """The alert as it is to be read now."""
    if alert.state is AlertState.RESOLVED:
        return alert
    return alert.model_copy(update={"last_seen_at": seen_at(tx, alert)})


def _save(tx: Tx, alert: Alert) -> None:
    store.save_alert(tx, alert)
    tx.put(BUCKET, alert.id, alert)


def _decide(tx: Tx, alert: Alert, what: str, text: str, rule: str, **facts: Any) -> None:
    whom = alert.host_id or FLEET
    tx.decide(whom, what, text, rule=rule, kind=alert.kind, alert_id=alert.id, **facts)


_WORDS = {
    ResolveReason.HOST_RETURNED: "the host is back",
    ResolveReason.HOST_REMOVED: "the host was removed",
    ResolveReason.GROUP_REMOVED: "its source group was removed",
    ResolveReason.MODE_CHANGED: "the mode of the host changed",
    ResolveReason.BACKUP_SUCCEEDED: "a backup succeeded",
    ResolveReason.JOB_SUCCEEDED: "the job succeeded",
    ResolveReason.RUN_PRODUCED: "the schedule produced a run",
    ResolveReason.SCHEDULE_DISABLED: "no schedule is enabled any more",
    ResolveReason.THRESHOLD_CHANGED: "the threshold is longer now",
    ResolveReason.OPERATOR: "an operator resolved it",
    ResolveReason.ALL_RETURNED: "all hosts are back",
    ResolveReason.FEW_AWAY: "fewer than 10 % are away, and none has returned for 60 s",
    ResolveReason.TOO_LONG: "it has lasted for an hour",
}
