"""The list of alerts: what is asked for it, and its columns."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from cli import words
from cli.client import Client
from cli.finding import find_host, short
from cli.output import Listing
from cli.table import Column, Row, Table
from cli.times import moment, since
from libs.common.clock import SystemClock

FIELDS = (
    "id", "host_id", "host_name", "kind", "severity", "message", "state", "raised_at",
    "last_seen_at", "acknowledged_by", "note", "resolved_at", "resolved_by", "silenced", "held_by",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class AlertFilter:
    """Which alerts; None: any. `host` as a person says it."""

    state: str | None
    host: str | None
    kind: str | None
    limit: int


def fetch_alerts(client: Client, wanted: AlertFilter) -> Listing:
    host_id = find_host(client, wanted.host)["id"] if wanted.host else None
    rows = list(
        client.items("/alerts", wanted.limit, state=wanted.state, host_id=host_id, kind=wanted.kind)
    )
    now = SystemClock().now()
    return Listing(alert_table(now), rows, _summary(rows), _next_step(rows))


def alert_table(now: datetime) -> Table:
    columns = (
        Column("STATE", words.alert_state),
        Column("SEVERITY", lambda alert: str(alert["severity"]), keep=3),
        Column("HOST", _whose, keep=8, least=12),
        Column("SINCE", lambda alert: _ago(alert["raised_at"], now), keep=5),
        Column("MESSAGE", lambda alert: str(alert["message"]), keep=7, least=24),
        Column("KIND", lambda alert: str(alert["kind"]), keep=2, wide=True),
        Column("BY", lambda alert: alert["acknowledged_by"] or "-", keep=2, wide=True),
        Column("NOTE", lambda alert: alert["note"] or "", keep=2, wide=True),
        Column("RESOLVED", lambda alert: _ago(alert["resolved_at"], now), keep=2, wide=True),
        Column("ID", lambda alert: short(alert["id"]), keep=8),
    )
    return Table(columns, FIELDS, "Nothing needs you.")


def _whose(alert: Row) -> str:
    """Return the host; of a mass outage the site, or `fleet`."""
    site = alert["dedup_key"] if alert["host_id"] is None else None
    return str(site or alert["host_name"] or "fleet")


def _ago(text: str | None, now: datetime) -> str:
    at = moment(text)
    return since(at, now) if at else "-"


def _summary(rows: list[Row]) -> str:
    if not rows:
        return ""
    open_now = sum(alert["state"] == "open" for alert in rows)
    taken = sum(alert["state"] == "acknowledged" for alert in rows)
    count = f"{len(rows)} alert{'' if len(rows) == 1 else 's'}"
    quiet = sum(alert["state"] == "open" and alert["silenced"] for alert in rows)
    held = sum(alert["state"] == "open" and alert["held_by"] is not None for alert in rows)
    more = f", {quiet} silenced" * bool(quiet) + f", {held} held" * bool(held)
    return f"{count}: {open_now} open{more}, {taken} acknowledged"


def _next_step(rows: list[Row]) -> str:
    """Of what is told to somebody: the worst, the newest of those."""
    loud = [one for one in rows if one["state"] == "open" and not one["silenced"]]
    told = [one for one in loud if not one["held_by"]] or loud
    worst = [one for one in told if one["severity"] == "critical"]
    first = next(iter(worst or told), None)
    return f"dormice alert ack {short(first['id'])}" if first else ""
