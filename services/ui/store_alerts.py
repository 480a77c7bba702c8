"""Writes alerts and what became of their notifications."""

from __future__ import annotations

import json

from libs.common.clock import to_micros
from libs.common.events.alert import Alert, AlertKind, NotificationEvent
from libs.common.events.job import JobEvent
from libs.common.loop.tx import Tx
from services.ui import policy


def save_alert(tx: Tx, alert: Alert, reason: str | None = None) -> bool:
    """Keep an alert as it is now; never back to an earlier state. Say whether anything was kept."""
    known = tx.db.execute(
        "SELECT state, silence_changes FROM alert WHERE id = ?", (alert.id,)
    ).fetchone()
    state, silence_changes = known or (None, 0)
    if not policy.may_follow(alert.state.value, state) or alert.silence_changes < silence_changes:
        return False
    tx.db.execute(
        "INSERT INTO alert (id, host_id, host_name, kind, dedup_key, severity, message, state, "
        "raised_at, last_seen_at, acknowledged_by, acknowledged_at, note, resolved_at, "
        "resolved_by, resolved_reason, silenced, silence_changes, held_by, facts) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (id) DO UPDATE SET message = excluded.message, state = excluded.state, "
        "last_seen_at = max(last_seen_at, excluded.last_seen_at), "
        "acknowledged_by = excluded.acknowledged_by, acknowledged_at = excluded.acknowledged_at, "
        "note = excluded.note, resolved_at = excluded.resolved_at, "
        "resolved_by = excluded.resolved_by, "
        "resolved_reason = ifnull(excluded.resolved_reason, resolved_reason), "
        "silenced = excluded.silenced, silence_changes = excluded.silence_changes, "
        "held_by = excluded.held_by, facts = excluded.facts",
        (
            alert.id, alert.host_id, alert.host_name, alert.kind.value, alert.dedup_key,
            alert.severity.value, alert.message, alert.state.value, to_micros(alert.raised_at),
            to_micros(alert.last_seen_at), alert.acknowledged_by,
            to_micros(alert.acknowledged_at) if alert.acknowledged_at else None, alert.note,
            to_micros(alert.resolved_at) if alert.resolved_at else None, alert.resolved_by,
            reason, int(alert.silenced), alert.silence_changes, alert.held_by,
            json.dumps(alert.facts, default=str),
        ),
    )  # fmt: skip
    if alert.state == "resolved":
        _let_go(tx, alert)
    tx.signal("alert", alert.id)
    return True


def see_again(tx: Tx, event: JobEvent, kind: str) -> None:
    """What `event` tells is seen again, if its alert is open; no other event says so (R7)."""
    seen = tx.db.execute(
        "UPDATE alert SET last_seen_at = max(last_seen_at, ?) WHERE host_id = ? AND kind = ? "
        "AND dedup_key = ? AND state <> 'resolved' RETURNING id",
        (to_micros(tx.time), event.host_id, kind, event.source_group_id or ""),
    )
    for (alert_id,) in seen.fetchall():
        tx.signal("alert", alert_id)


def _let_go(tx: Tx, alert: Alert) -> None:
    """A resolved alert contradicts nothing; a resolved outage holds no notification back."""
    tx.db.execute("UPDATE alert SET hidden = 0 WHERE id = ?", (alert.id,))
    if alert.kind is AlertKind.FLEET_OUTAGE:
        tx.db.execute("UPDATE alert SET held_by = NULL WHERE held_by = ?", (alert.id,))


def end_unknown(tx: Tx, alert_id: str) -> None:
    """Its owner knows nothing of this alert any more: it is over, nobody knows since when."""
    tx.db.execute(
        "UPDATE alert SET state = 'resolved', resolved_at = ?, resolved_reason = 'unknown' "
        "WHERE id = ?",
        (to_micros(tx.now), alert_id),
    )
    tx.signal("alert", alert_id)


def save_delivery(tx: Tx, event: NotificationEvent, *, delivered: bool, error: str | None) -> None:
    """Keep the outcome of a delivery, once."""
    tx.db.execute(
        "INSERT OR IGNORE INTO delivery VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            event.delivery_id, event.channel_id, event.channel_name, event.event, event.tries,
            to_micros(event.at), int(delivered), error,
        ),
    )  # fmt: skip
    tx.db.executemany(
        "INSERT OR IGNORE INTO delivery_alert VALUES (?, ?)",
        [(alert_id, event.delivery_id) for alert_id in event.alert_ids],
    )
