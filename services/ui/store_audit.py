"""Writes the audit log, and deletes what is too old to be kept."""

from __future__ import annotations

from datetime import datetime, timedelta

from libs.common.clock import to_micros
from libs.common.events.host import Audit
from libs.common.loop.tx import Tx
from services.ui.reads.columns import to_json

KEEP_HISTORY = timedelta(days=90)
"""Jobs, stretches of presence, deliveries."""

KEEP_RECORDS = timedelta(days=400)
"""Resolved alerts and the audit log."""


def add_audit(tx: Tx, event: Audit) -> None:
    """Keep an entry, once."""
    tx.db.execute(
        "INSERT OR IGNORE INTO audit (event_id, at, service, target, action, actor_kind, actor_id, "
        "actor_name, actor_role, host_id, before, after) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            tx.event_id, to_micros(event.at), event.service, event.target, event.action,
            event.actor.kind, event.actor.id, event.actor.name, event.actor.role, event.host_id,
            to_json(event.before), to_json(event.after),
        ),
    )  # fmt: skip


_HISTORY = (
    "DELETE FROM job WHERE finished_at < ?",
    "DELETE FROM delivery WHERE at < ?",
    # The last gap says since when we have seen without a break, however old it is; the last stretch
    # of a host how it is now.
    "DELETE FROM unobserved WHERE ended_at < ? AND started_at < "
    "(SELECT max(started_at) FROM unobserved)",
    "DELETE FROM stretch WHERE started_at < ? AND started_at < "
    "(SELECT max(newer.started_at) FROM stretch AS newer WHERE newer.host_id = stretch.host_id)",
)
_RECORDS = (
    "DELETE FROM alert WHERE resolved_at < ?",
    "DELETE FROM audit WHERE at < ?",
)


def prune(tx: Tx, now: datetime) -> None:
    """Delete what is older than it is kept."""
    for sql in _HISTORY:
        tx.db.execute(sql, (to_micros(now - KEEP_HISTORY),))
    for sql in _RECORDS:
        tx.db.execute(sql, (to_micros(now - KEEP_RECORDS),))
    tx.db.execute("DELETE FROM delivery_alert WHERE delivery_id NOT IN (SELECT id FROM delivery)")
    tx.db.execute("DELETE FROM web_session WHERE expires_at < ?", (to_micros(now),))
