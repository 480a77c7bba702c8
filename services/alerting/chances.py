"""The part of alerting's machine that judges `backup_not_succeeding`: chances that went by.

What counts is kept with each begin and end of a session; the deadline is where the present session
can make it due.
"""

from __future__ import annotations

from datetime import datetime

from libs.common.clock import to_rfc3339
from libs.common.events.alert import AlertKind
from libs.common.loop.tx import Tx
from services.alerting import alerts, mutes, policy, policy_chances, store
from services.alerting import store_alerts as rows
from services.alerting import store_chances as kept
from services.alerting.alerts import Finding, ResolveReason
from services.alerting.facts import Facts
from services.alerting.policy_chances import Chances, ChanceVerdict
from services.alerting.store import Host
from services.alerting.store_watch import get_gate

NOT_SUCCEEDING = AlertKind.BACKUP_NOT_SUCCEEDING


# -- what counts -----------------------------------------------------------------------------------


def on_expected(tx: Tx, host: Host) -> None:
    """Judged by its chances or not: only an intermittent host with an enabled schedule is."""
    judged, known = host.has_schedule and not host.always_on, _find(tx, host)
    if judged and known is None:
        kept.save_chances(tx, host.id, Chances())
    elif not judged:
        if known is not None:
            kept.drop_chances(tx, host.id)
        tx.unschedule(NOT_SUCCEEDING, host.id)
        reason = ResolveReason.MODE_CHANGED if host.always_on else ResolveReason.SCHEDULE_DISABLED
        alerts.end(tx, host, NOT_SUCCEEDING, reason, rule="R8")


def _find(tx: Tx, host: Host) -> Chances | None:
    return kept.find_chances(tx, host.id) if host.may_have.chances else None


def on_removed(tx: Tx, host_id: str) -> None:
    kept.drop_chances(tx, host_id)
    tx.unschedule(NOT_SUCCEEDING, host_id)


def on_online(tx: Tx, host: Host, at: datetime) -> None:
    known = _find(tx, host)
    if known is not None:
        _keep(tx, host.id, policy_chances.begin(known, at))


def on_offline(tx: Tx, host: Host, last_seen: datetime) -> None:
    """Awake it was until it was last seen. What that makes due is due now."""
    known = _find(tx, host)
    if known is None or known.since is None:
        return
    ended = policy_chances.end(known, last_seen)
    kept.save_chances(tx, host.id, ended)
    tx.unschedule(NOT_SUCCEEDING, host.id)
    if policy_chances.assess(ended, tx.now) is ChanceVerdict.DUE:
        tx.schedule(NOT_SUCCEEDING, host.id, tx.now)


def on_success(tx: Tx, host: Host, success_at: datetime) -> None:
    """The host has a newer backup than any that we knew of; an alert may have known of it."""
    known = _find(tx, host)
    if known is not None:
        _keep(tx, host.id, policy_chances.after_success(known, success_at))
    if host.may_have.mutes:
        rows.unmute(tx, host.id, NOT_SUCCEEDING)
    alert = rows.find_open(tx, host.id, NOT_SUCCEEDING) if host.may_have.alerts else None
    before = alert.facts["last_success_at"] if alert is not None else None
    if alert is not None and (before is None or datetime.fromisoformat(before) < success_at):
        alerts.resolve(tx, alert, ResolveReason.BACKUP_SUCCEEDED, rule="R9")


def on_period(tx: Tx, since: datetime, dark_from: datetime | None) -> None:
    """Somebody listens again `since`: the time without is no chance that anyone saw (R10)."""
    for host_id, known in kept.list_awake(tx):
        _keep(tx, host_id, policy_chances.without_blackout(known, dark_from, since))


def _keep(tx: Tx, host_id: str, chances: Chances) -> None:
    kept.save_chances(tx, host_id, chances)
    at = policy_chances.next_look(chances)
    if at is None:
        tx.unschedule(NOT_SUCCEEDING, host_id)
    else:
        tx.schedule(NOT_SUCCEEDING, host_id, max(at, tx.now))


# -- what follows ----------------------------------------------------------------------------------


class ChanceJudge(Facts):
    """Judges the chances when they may be enough."""

    def assess(self, tx: Tx, host: Host, chances: Chances | None) -> ChanceVerdict:
        """Return the verdict at `tx.now`."""
        if host.always_on:
            return ChanceVerdict.ALWAYS_ON
        if chances is None:
            return ChanceVerdict.NO_SCHEDULE
        waits = self.waits_for_reports(tx, self.look_at(tx, host))
        return ChanceVerdict.REPORTS_AWAITED if waits else policy_chances.assess(chances, tx.now)

    def on_due(self, tx: Tx, host_id: str, _: datetime) -> None:
        host = store.find_present(tx, host_id)
        if host is None or rows.find_open(tx, host_id, NOT_SUCCEEDING) is not None:
            return
        chances = kept.find_chances(tx, host_id)
        verdict = self.assess(tx, host, chances)
        if verdict is ChanceVerdict.DUE and chances is not None:
            found = policy_chances.so_far(chances, tx.now)
            mutes.unless_muted(tx, host, NOT_SUCCEEDING, lambda: _raise(tx, host, found))
            return
        tx.decide(host_id, "no_alert", verdict.value, rule="R6", kind=NOT_SUCCEEDING,
                  last_success_at=host.last_success_at)  # fmt: skip
        if verdict is ChanceVerdict.REPORTS_AWAITED:
            until = policy.reports_awaited_until(get_gate(tx).watch, tx.now)
            tx.schedule(NOT_SUCCEEDING, host_id, until)
        elif chances is not None and (at := policy_chances.next_look(chances)) is not None:
            tx.schedule(NOT_SUCCEEDING, host_id, max(at, tx.now + policy.LOOK_AGAIN))

    def holds(self, tx: Tx, host: Host) -> bool:
        """Say whether it would be raised now, or will be but for its awaited reports."""
        verdict = self.assess(tx, host, kept.find_chances(tx, host.id))
        return verdict in (ChanceVerdict.DUE, ChanceVerdict.REPORTS_AWAITED)


def on_synced(tx: Tx, host_id: str) -> None:
    """Its reports have arrived after a long blackout: it can be judged now."""
    if kept.find_chances(tx, host_id) is not None:
        tx.schedule(NOT_SUCCEEDING, host_id, tx.now)


def _raise(tx: Tx, host: Host, found: Chances) -> None:
    success = host.last_success_at
    alerts.raise_alert(
        tx,
        Finding(
            kind=NOT_SUCCEEDING,
            message=policy_chances.message(found),
            rule="R6",
            host_id=host.id,
            host_name=host.name,
            facts={
                "sessions": found.sessions,
                "awake_seconds": found.awake.total_seconds(),
                "last_success_at": None if success is None else to_rfc3339(success),
            },
        ),
    )
