"""Reads alerts, and whom they were told."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from libs.common.clock import from_micros
from services.ui import policy
from services.ui.reads.columns import from_json, moment
from services.ui.reads.paging import Slice, Source, Where, fetch_page, rows
from services.ui.views import AlertCounts, AlertView, DeliveryView, Page

_ALERTS = Source(
    columns="alert.*, ifnull(host.name, alert.host_name) AS shown_name",
    tables="alert LEFT JOIN host ON host.id = alert.host_id",
    identity="alert.id",
    sorts={
        "raised_at": "alert.raised_at",
        "last_seen_at": "alert.last_seen_at",
        "resolved_at": "ifnull(alert.resolved_at, -1)",
        "kind": "alert.kind",
        "severity": "alert.severity",
        "state": "alert.state",
        "host_id": "ifnull(alert.host_id, '')",
        "id": "alert.id",
    },
    default_sort="-raised_at",
)


@dataclass(frozen=True, slots=True)
class AlertFilter:
    """Which alerts; None: any. `state` "open" includes acknowledged; "unacknowledged" does not."""

    state: str | None = None
    host_id: str | None = None
    kind: str | None = None
    severity: str | None = None
    silenced: bool | None = None
    fleet_wide: bool = False
    alert_id: str | None = None
    held_by: str | None = None
    acknowledged_by: str | None = None


_STATES = {
    "open": "alert.state <> 'resolved'",
    "unacknowledged": "alert.state = 'open'",
    "acknowledged": "alert.state = 'acknowledged'",
    "resolved": "alert.state = 'resolved'",
}
ALERT_STATES = tuple(_STATES)


def list_alerts(
    db: sqlite3.Connection,
    wanted: AlertFilter,
    *,
    now: datetime,
    part: Slice = Slice(),  # noqa: B008  # frozen
) -> Page[AlertView]:
    """Return a page of alerts, the latest first. What contradicts is left out. Raises: BadInput."""
    where = Where(("alert.hidden = 0",))
    if wanted.state is not None:
        where = where.plus(_STATES[wanted.state])
    if wanted.fleet_wide:
        where = where.plus("alert.host_id IS NULL")
    where = where.equal(
        alert__host_id=wanted.host_id, alert__kind=wanted.kind, alert__severity=wanted.severity,
        alert__silenced=None if wanted.silenced is None else int(wanted.silenced),
        alert__id=wanted.alert_id, alert__held_by=wanted.held_by,
        alert__acknowledged_by=wanted.acknowledged_by,
    )  # fmt: skip
    build = lambda found: [_view(alert, now) for alert in found]  # noqa: E731
    return fetch_page(db, _ALERTS, where, part, build)


def find_alert(db: sqlite3.Connection, alert_id: str, *, now: datetime) -> AlertView | None:
    found = rows(
        db,
        f"SELECT {_ALERTS.columns} FROM {_ALERTS.tables} WHERE alert.id = ?",  # noqa: S608
        (alert_id,),
    )
    return _view(found[0], now) if found else None


def alert_counts(db: sqlite3.Connection) -> AlertCounts:
    """Return how many alerts stand in each state; an index scan."""
    counts = dict(
        db.execute(
            "SELECT state, count(*) FROM alert WHERE state <> 'resolved' AND hidden = 0 "
            "GROUP BY state"
        )
    )
    (silenced,) = db.execute(
        "SELECT count(*) FROM alert WHERE state <> 'resolved' AND hidden = 0 AND silenced = 1"
    ).fetchone()
    (last,) = db.execute(
        "SELECT max(resolved_at) FROM alert WHERE resolved_at IS NOT NULL"
    ).fetchone()
    return AlertCounts(counts.get("open", 0), counts.get("acknowledged", 0), silenced, moment(last))


def deliveries_of(
    db: sqlite3.Connection, alert_ids: Sequence[str]
) -> dict[str, list[DeliveryView]]:
    """Return for each alert whom it was told, oldest first."""
    found = rows(
        db,
        "SELECT delivery_alert.alert_id, delivery.* FROM delivery_alert "
        "JOIN delivery ON delivery.id = delivery_alert.delivery_id "
        "WHERE delivery_alert.alert_id IN (SELECT value FROM json_each(?)) ORDER BY delivery.at",
        (json.dumps(list(alert_ids)),),
    )
    told: dict[str, list[DeliveryView]] = {alert_id: [] for alert_id in alert_ids}
    for one in found:
        told[one["alert_id"]].append(_delivery(one))
    return told


def latest_deliveries(db: sqlite3.Connection) -> dict[str, DeliveryView]:
    """Return the last outcome of each channel, by channel id."""
    found = rows(db, "SELECT *, max(at) FROM delivery GROUP BY channel_id")
    return {one["channel_id"]: _delivery(one) for one in found}


def _delivery(one: sqlite3.Row) -> DeliveryView:
    return DeliveryView(
        one["id"], one["channel_id"], one["channel_name"], one["event"], one["tries"],
        from_micros(one["at"]), bool(one["delivered"]), one["error"],
    )  # fmt: skip


def _view(alert: sqlite3.Row, now: datetime) -> AlertView:
    holds = alert["state"] != "resolved" and alert["kind"] in policy.HOLDING
    return AlertView(
        id=alert["id"], host_id=alert["host_id"], host_name=alert["shown_name"],
        kind=alert["kind"], severity=alert["severity"], message=alert["message"],
        state=alert["state"], raised_at=from_micros(alert["raised_at"]),
        last_seen_at=now if holds else from_micros(alert["last_seen_at"]),
        acknowledged_by=alert["acknowledged_by"],
        acknowledged_at=moment(alert["acknowledged_at"]), note=alert["note"],
        resolved_at=moment(alert["resolved_at"]), resolved_by=alert["resolved_by"],
        resolved_reason=alert["resolved_reason"], silenced=bool(alert["silenced"]),
        held_by=alert["held_by"], dedup_key=alert["dedup_key"], facts=from_json(alert["facts"]),
    )  # fmt: skip
