"""The part of alerting's machine that reads its own alerts back from the log.

In normal running everything read here is known already. A rebuild replays the log without judging
anything: then this is where raises, mutes and outages come from.
"""

from __future__ import annotations

from datetime import datetime

from libs.common.events.alert import (
    Alert,
    AlertEvent,
    AlertKind,
    AlertReminded,
    AlertSilenced,
    AlertState,
    AlertUnsilenced,
)
from libs.common.loop.tx import Tx
from services.alerting import outage
from services.alerting import store_alerts as rows

_ORDER = {AlertState.OPEN: 0, AlertState.ACKNOWLEDGED: 1, AlertState.RESOLVED: 2}


def on_alert(tx: Tx, event: AlertEvent) -> None:
    """Idempotent by (alert id, state): an alert only moves forward.

    A replay resolves as of an event's time, a little before it was resolved: the log knows when.
    """
    alert = event.alert
    known = rows.find_alert(tx, alert.id)
    if known is not None and _ORDER[alert.state] <= _ORDER[known.state]:
        if alert.state is AlertState.RESOLVED and alert != known:
            rows.save_alert(tx, alert)
        return
    if alert.state is AlertState.RESOLVED:
        rows.save_alert(tx, alert)
        _follow_end(tx, alert)
    elif known is None:
        take(tx, alert)
    else:
        rows.save_alert(tx, alert)


def on_reminded(tx: Tx, event: AlertReminded) -> None:
    """Idempotent by (alert id, rung), which only grows."""
    alert, known = event.alert, rows.find_alert(tx, event.alert.id)
    if known is None:
        take(tx, alert)
    elif known.state is not AlertState.RESOLVED and alert.rung > known.rung:
        passed = {"rung": alert.rung, "last_seen_at": max(alert.last_seen_at, known.last_seen_at)}
        rows.save_alert(tx, known.model_copy(update=passed))


def on_silenced(tx: Tx, event: AlertSilenced | AlertUnsilenced) -> None:
    """Idempotent by (alert id, `silence_changes`), which only grows."""
    alert, known = event.alert, rows.find_alert(tx, event.alert.id)
    if known is None:
        take(tx, alert)
    elif known.state is not AlertState.RESOLVED and alert.silence_changes > known.silence_changes:
        rows.save_alert(tx, alert)


def take(tx: Tx, alert: Alert) -> None:
    """Take an alert that is not resolved, and that is new to us."""
    rows.save_alert(tx, alert)
    if alert.kind is AlertKind.FLEET_OUTAGE:
        outage.restore(tx, alert)
    elif alert.held_by and alert.host_id:
        rows.add_members(tx, alert.held_by, [alert.host_id])


def _follow_end(tx: Tx, alert: Alert) -> None:
    if alert.kind is AlertKind.FLEET_OUTAGE:
        outage.let_go(tx, alert)
    until = alert.facts.get("muted_until")
    if until and alert.host_id:
        moment = datetime.fromisoformat(until)
        rows.mute(tx, alert.host_id, alert.kind, moment)
        tx.schedule(alert.kind, alert.host_id, moment)
