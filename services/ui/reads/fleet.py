"""Reads the fleet as a whole: its counts, its health, the verdict, what could not be observed."""

from __future__ import annotations

import sqlite3
from datetime import datetime

from libs.common.clock import to_micros
from services.ui import wording
from services.ui.reads.columns import moment
from services.ui.reads.paging import rows
from services.ui.search import OVERDUE
from services.ui.views import FleetCounts, FleetHealth, Verdict

PROBLEMS_SHOWN = 5


def fleet_counts(db: sqlite3.Connection, *, now: datetime) -> FleetCounts:
    """Return the fleet in numbers. Each is a scan of a small index."""
    display = dict(
        db.execute("SELECT display, count(*) FROM host WHERE removed = 0 GROUP BY display")
    )
    return FleetCounts(
        total=sum(display.values()),
        **{str(name): count for name, count in display.items()},
        backing_up=_count(db, "host WHERE removed = 0 AND current_job_id IS NOT NULL"),
        catching_up=_count(db, "host WHERE removed = 0 AND arm_state IS NOT NULL"),
        attention=_count(db, "host WHERE removed = 0 AND attention = 1"),
        overdue=_count(db, f"host WHERE removed = 0 AND {OVERDUE}", to_micros(now)),
        alerts=_count(db, "alert WHERE state <> 'resolved' AND hidden = 0"),
    )


def _count(db: sqlite3.Connection, what: str, *parameters: int) -> int:
    return int(db.execute(f"SELECT count(*) FROM {what}", parameters).fetchone()[0])  # noqa: S608


def fleet_health(db: sqlite3.Connection, *, not_ready: tuple[str, ...] = ()) -> FleetHealth:
    """Return ok, degraded or failing, with reasons. `not_ready`: what the system lacks now."""
    found = rows(
        db,
        "SELECT alert.host_id, alert.severity, alert.message, alert.silenced, "
        "ifnull(host.name, alert.host_name) AS host_name, host.display "
        "FROM alert LEFT JOIN host ON host.id = alert.host_id "
        "WHERE alert.state <> 'resolved' AND alert.hidden = 0 ORDER BY alert.raised_at",
    )
    alerts = [
        wording.AlertFacts(
            alert["host_name"] if alert["host_id"] else None, alert["severity"], alert["message"],
            alert["display"], bool(alert["silenced"]),
        )
        for alert in found
    ]  # fmt: skip
    return wording.fleet_health(alerts, not_ready, _broken_channels(db))


def _broken_channels(db: sqlite3.Connection) -> list[str]:
    """Return the names of the channels whose latest notification could not be delivered.

    One that was removed is nobody's trouble any more.
    """
    sql = (
        "SELECT channel_name, delivered, max(at) FROM delivery WHERE channel_id NOT IN "
        "(SELECT target FROM audit WHERE action = 'channel.deleted') "
        "GROUP BY channel_id ORDER BY channel_name"
    )
    return [name for name, delivered, _ in db.execute(sql) if not delivered]


def fleet_verdict(db: sqlite3.Connection, *, now: datetime) -> Verdict:
    """Return the fleet page's first line: a sentence, then the hosts that need someone."""
    found = rows(
        db,
        "SELECT id, name, display, last_seen_at, last_backup_at, failing, open_alerts "
        "FROM host WHERE removed = 0 AND attention = 1 ORDER BY display = 'offline' DESC, name "
        "LIMIT ?",
        (PROBLEMS_SHOWN,),
    )
    kinds = _open_kinds(db, [host["id"] for host in found])
    troubles = [
        wording.Trouble(
            host["id"], host["name"], moment(host["last_seen_at"]), moment(host["last_backup_at"]),
            host["failing"], kinds.get(host["id"], ()),
        )
        for host in found
    ]  # fmt: skip
    never = _count(db, "host WHERE removed = 0 AND ifnull(last_backup_at, -1) = -1")
    return wording.verdict(fleet_counts(db, now=now), troubles, now, never_backed_up=never)


def _open_kinds(db: sqlite3.Connection, host_ids: list[str]) -> dict[str, tuple[str, ...]]:
    kinds: dict[str, tuple[str, ...]] = {}
    for host_id in host_ids:
        found = db.execute(
            "SELECT kind FROM alert WHERE host_id = ? AND state <> 'resolved' AND hidden = 0 "
            "ORDER BY raised_at",
            (host_id,),
        )
        kinds[host_id] = tuple(kind for (kind,) in found)
    return kinds


def observed_since(db: sqlite3.Connection) -> datetime | None:
    """Return since when a gateway has listened without a break; None: none does."""
    listening = db.execute("SELECT 1 FROM gateway WHERE ended_at IS NULL LIMIT 1").fetchone()
    (since,) = db.execute("SELECT max(ended_at) FROM unobserved").fetchone()
    return moment(since) if listening else None
