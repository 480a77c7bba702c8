"""Alerting's tables of alerts: open ones, history, mutes, outages, failures not yet told."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from libs.common.clock import from_micros, to_micros
from libs.common.events.alert import Alert, AlertKind, AlertState
from libs.common.loop.tx import Tx

KEEP_HISTORY = timedelta(days=400)


def find_alert(tx: Tx, alert_id: str) -> Alert | None:
    row = tx.db.execute("SELECT body FROM alert WHERE alert_id = ?", (alert_id,)).fetchone()
    return Alert.model_validate_json(row[0]) if row else None


def find_open(tx: Tx, host_id: str | None, kind: AlertKind, dedup_key: str = "") -> Alert | None:
    """Return the one open (or acknowledged) alert of a condition (R7)."""
    row = tx.db.execute(
        "SELECT body FROM alert WHERE host_id = ? AND kind = ? AND dedup_key = ? "
        "AND state != 'resolved'",
        (host_id or "", kind, dedup_key),
    ).fetchone()
    return Alert.model_validate_json(row[0]) if row else None


def list_open(tx: Tx, host_id: str | None = None) -> list[Alert]:
    """Return open and acknowledged alerts, of one host or (None) all."""
    rows = tx.db.execute(
        "SELECT body FROM alert WHERE state != 'resolved' AND (?1 IS NULL OR host_id = ?1) "
        "ORDER BY alert_id",
        (host_id,),
    )
    return [Alert.model_validate_json(body) for (body,) in rows.fetchall()]


@dataclass(frozen=True, slots=True)
class Query:
    """Which alerts to list; None: whatever it is. `open` includes acknowledged."""

    state: AlertState | None = None
    host_id: str | None = None
    kind: AlertKind | None = None
    limit: int = 100


def list_alerts(tx: Tx, query: Query) -> list[Alert]:
    """Return alerts, newest first."""
    rows = tx.db.execute(
        "SELECT body FROM alert WHERE (?1 IS NULL OR state = ?1 OR (?1 = 'open' AND state != "
        "'resolved')) AND (?2 IS NULL OR host_id = ?2) AND (?3 IS NULL OR kind = ?3) "
        "ORDER BY alert_id DESC LIMIT ?4",
        (query.state, query.host_id, query.kind, query.limit),
    )
    return [Alert.model_validate_json(body) for (body,) in rows.fetchall()]


def save_alert(tx: Tx, alert: Alert) -> None:
    """Insert an alert, or update it. A second open one of its condition is an error (R7)."""
    resolved_at = None if alert.resolved_at is None else to_micros(alert.resolved_at)
    tx.db.execute(
        "INSERT INTO alert VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (alert_id) DO UPDATE SET "
        "state = excluded.state, resolved_at = excluded.resolved_at, body = excluded.body",
        (
            alert.id, alert.host_id or "", alert.kind, alert.dedup_key, alert.state, resolved_at,
            alert.model_dump_json(),
        ),
    )  # fmt: skip


def drop_old_history(tx: Tx) -> None:
    tx.db.execute(
        "DELETE FROM alert WHERE state = 'resolved' AND resolved_at < ?",
        (to_micros(tx.now - KEEP_HISTORY),),
    )


# -- mutes ---------------------------------------------------------------------------------------


def mute(tx: Tx, host_id: str, kind: AlertKind, until: datetime) -> None:
    tx.db.execute("INSERT OR REPLACE INTO mute VALUES (?, ?, ?)", (host_id, kind, to_micros(until)))


def unmute(tx: Tx, host_id: str, kind: AlertKind) -> None:
    tx.db.execute("DELETE FROM mute WHERE host_id = ? AND kind = ?", (host_id, kind))


def find_mute(tx: Tx, host_id: str, kind: AlertKind) -> datetime | None:
    """Return until when a condition is muted, if it still is."""
    row = tx.db.execute(
        "SELECT until FROM mute WHERE host_id = ? AND kind = ? AND until > ?",
        (host_id, kind, to_micros(tx.now)),
    ).fetchone()
    return from_micros(row[0]) if row else None


# -- failures to be told -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Untold:
    """A failure that will be told once the log has been read to its end."""

    host_id: str
    kind: AlertKind
    dedup_key: str
    message: str
    facts: dict[str, Any]


def save_untold(tx: Tx, untold: Untold) -> None:
    tx.db.execute(
        "INSERT OR REPLACE INTO untold (host_id, kind, dedup_key, message, facts) "
        "VALUES (?, ?, ?, ?, ?)",
        (untold.host_id, untold.kind, untold.dedup_key, untold.message, json.dumps(untold.facts)),
    )


def drop_untold(tx: Tx, host_id: str, kind: AlertKind, dedup_key: str) -> None:
    tx.db.execute(
        "DELETE FROM untold WHERE host_id = ? AND kind = ? AND dedup_key = ?",
        (host_id, kind, dedup_key),
    )


def take_untold(tx: Tx, host_id: str) -> list[Untold]:
    """Return, and forget, what is to be told of a host, in the order in which it happened."""
    rows = tx.db.execute(
        "SELECT host_id, kind, dedup_key, message, facts FROM untold WHERE host_id = ? "
        "ORDER BY row_id",
        (host_id,),
    ).fetchall()
    tx.db.execute("DELETE FROM untold WHERE host_id = ?", (host_id,))
    return [Untold(row[0], AlertKind(row[1]), row[2], row[3], json.loads(row[4])) for row in rows]


# -- mass outages --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OutageRow:
    alert_id: str
    raised_at: datetime
    last_return_at: datetime | None


def save_outage(tx: Tx, outage: OutageRow) -> None:
    returned = None if outage.last_return_at is None else to_micros(outage.last_return_at)
    tx.db.execute(
        "INSERT OR REPLACE INTO outage VALUES (?, ?, ?)",
        (outage.alert_id, to_micros(outage.raised_at), returned),
    )


def find_outage(tx: Tx, alert_id: str) -> OutageRow | None:
    row = tx.db.execute("SELECT * FROM outage WHERE alert_id = ?", (alert_id,)).fetchone()
    if row is None:
        return None
    return OutageRow(row[0], from_micros(row[1]), None if row[2] is None else from_micros(row[2]))


def end_outage(tx: Tx, alert_id: str) -> None:
    tx.db.execute("DELETE FROM outage WHERE alert_id = ?", (alert_id,))
    tx.db.execute("DELETE FROM outage_member WHERE alert_id = ?", (alert_id,))


def add_members(tx: Tx, alert_id: str, host_ids: Iterable[str]) -> None:
    tx.db.executemany(
        "INSERT OR IGNORE INTO outage_member VALUES (?, ?)",
        [(alert_id, host_id) for host_id in host_ids],
    )


def drop_member(tx: Tx, host_id: str) -> None:
    tx.db.execute("DELETE FROM outage_member WHERE host_id = ?", (host_id,))


def find_outage_of(tx: Tx, host_id: str) -> str | None:
    """Return the mass outage that a host is part of, or None."""
    row = tx.db.execute(
        "SELECT alert_id FROM outage_member WHERE host_id = ?", (host_id,)
    ).fetchone()
    return row[0] if row else None


def count_members(tx: Tx, alert_id: str) -> int:
    (count,) = tx.db.execute(
        "SELECT count(*) FROM outage_member WHERE alert_id = ?", (alert_id,)
    ).fetchone()
    return int(count)


def list_away(tx: Tx, alert_id: str) -> list[str]:
    """Return the members of a mass outage that are away: always-on, and offline."""
    rows = tx.db.execute(
        "SELECT host_id FROM outage_member JOIN host USING (host_id) WHERE alert_id = ? "
        "AND status = 'offline' AND always_on AND NOT removed ORDER BY host_id",
        (alert_id,),
    )
    return [host_id for (host_id,) in rows]


def list_held_by(tx: Tx, alert_id: str) -> list[Alert]:
    """Return the open alerts that a mass outage holds back."""
    return [alert for alert in list_open(tx) if alert.held_by == alert_id]
