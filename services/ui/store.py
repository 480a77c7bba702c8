"""Writes hosts: the registry's record, presence, power, and what follows from the rest.

`refresh` has the derived columns worked out again: reading needs no join and no rule in SQL.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from libs.common.clock import from_micros, micros_or_none, to_micros
from libs.common.events.host import HostRecord, read_record
from libs.common.loop.tx import Tx
from services.ui import policy
from services.ui.reads.paging import row, rows


def save_record(tx: Tx, record: HostRecord) -> bool:
    """Keep a record if it is newer than the one that is known; say whether it was."""
    known = row(tx.db, _KNOWN_RECORD, (record.id,))
    if known is not None and known["version"] >= record.version:
        return False
    columns = _columns_of(record)
    if known is None:
        _insert(tx, record.id, **columns)
    else:
        update(tx, record.id, **{name: value for name, value in columns.items()
                                 if name == "record" or known[name] != value})  # fmt: skip
        if known["is_tagged"]:
            drop_tags(tx, record.id)
    if not record.removed:
        tx.db.executemany(
            "INSERT INTO host_tag VALUES (?, ?)", [(tag, record.id) for tag in set(record.tags)]
        )
    return True


_KNOWN_RECORD = (
    "SELECT name, version, removed, always_on, timezone, os, arch, agent_version, enrolled_at, "
    "EXISTS (SELECT 1 FROM host_tag WHERE host_id = host.id) AS is_tagged FROM host WHERE id = ?"
)


def _columns_of(record: HostRecord) -> dict[str, Any]:
    return {
        "name": record.name, "version": record.version, "record": record.model_dump_json(),
        "removed": int(record.removed), "always_on": int(record.always_on),
        "timezone": record.timezone, "os": record.os, "arch": record.arch,
        "agent_version": record.agent_version, "enrolled_at": to_micros(record.enrolled_at),
    }  # fmt: skip


def drop_tags(tx: Tx, host_id: str) -> None:
    tx.db.execute("DELETE FROM host_tag WHERE host_id = ?", (host_id,))


def _insert(tx: Tx, host_id: str, **columns: Any) -> None:
    marks = ", ".join("?" * len(columns))
    tx.db.execute(
        f"INSERT INTO host (id, {', '.join(columns)}) VALUES (?, {marks})",  # noqa: S608  our names
        (host_id, *columns.values()),
    )


NOT_ENDED = (
    "NOT EXISTS (SELECT 1 FROM stretch "
    "WHERE host_id = host.id AND session = :ended AND state = 'offline')"
)
"""A condition in SQL: the end of session `:ended` of the host is not known."""


def update(tx: Tx, host_id: str, *, unless_ended: str | None = None, **columns: Any) -> bool:
    """Set columns of a host; say whether it is known, and the end of session `unless_ended` is
    not. Only what changes should be named: each index that has a column is written again."""
    changes = ", ".join(f"{name} = :{name}" for name in columns)
    condition = "" if unless_ended is None else f"AND {NOT_ENDED}"
    done = tx.db.execute(
        f"UPDATE host SET {changes} WHERE id = :host {condition}",  # noqa: S608  our own names
        {**columns, "host": host_id, "ended": unless_ended},
    )
    return bool(done.rowcount)


def set_config_version(tx: Tx, host_id: str, version: int) -> bool:
    """Note which configuration the agent has applied; say whether it is a newer one."""
    done = tx.db.execute(
        "UPDATE host SET config_version = ?1 WHERE id = ?2 AND config_version < ?1",
        (version, host_id),
    )
    return bool(done.rowcount)


def arm(tx: Tx, host_id: str, arm_id: str, due_at: datetime) -> bool:
    """Show a catch-up that settles, unless it or its session is known to be over; say whether."""
    done = tx.db.execute(
        "UPDATE host SET arm_id = :arm, arm_state = 'settling', arm_due_at = :due "  # noqa: S608
        f"WHERE id = :host AND (arm_id IS NOT :arm OR arm_state IS NOT NULL) AND {NOT_ENDED}",
        {"host": host_id, "arm": arm_id, "ended": arm_id, "due": to_micros(due_at)},
    )
    return bool(done.rowcount)


def find(tx: Tx, host_id: str) -> Mapping[str, Any] | None:
    """Return a host's columns, also of a removed one."""
    found = row(tx.db, "SELECT * FROM host WHERE id = ?", (host_id,))
    return dict(found) if found else None


def heard_of(tx: Tx, host_ids: list[str], at: datetime) -> None:
    """Note a sign of life of hosts that are online."""
    tx.db.executemany(
        "UPDATE host SET last_seen_at = ? "
        "WHERE id = ? AND status = 'online' AND ifnull(last_seen_at, 0) < ?",
        [(to_micros(at), host_id, to_micros(at)) for host_id in host_ids],
    )


# --- What follows from the rest -------------------------------------------------------------------


def refresh(tx: Tx, host_id: str) -> None:
    """Have the derived columns of a host worked out again, after anything about it has changed:
    once, when all else of the step is done."""
    tx.before_commit(_work_out, host_id)


def refresh_all(tx: Tx) -> None:
    for (host_id,) in tx.db.execute("SELECT id FROM host").fetchall():
        _work_out(tx, host_id)


_UNFINISHED = "status IN ('requested', 'dispatched', 'running')"
_DERIVED = (
    "display", "has_schedule", "next_fire_at", "overdue_at", "last_backup_at", "open_alerts",
    "failing", "attention", "current_job_id", "pending_jobs",
)  # fmt: skip
_PRESENT = (
    f"SELECT id, record, status, always_on, removed, {', '.join(_DERIVED)}, "  # noqa: S608
    "EXISTS (SELECT 1 FROM backup WHERE host_id = host.id) AS has_backups, "
    "EXISTS (SELECT 1 FROM alert WHERE host_id = host.id AND state <> 'resolved') AS has_alerts, "
    f"EXISTS (SELECT 1 FROM job WHERE host_id = host.id AND {_UNFINISHED}) AS has_jobs "
    "FROM host WHERE id = ?"
)


def _work_out(tx: Tx, host_id: str) -> None:
    host = row(tx.db, _PRESENT, (host_id,))
    if host is None:
        return
    record = read_record(host["record"])
    last, failing = _backups(tx, record) if host["has_backups"] else ({}, 0)
    open_alerts = _show_alerts(tx, host, last) if host["has_alerts"] else 0
    current, pending = _jobs(tx, host_id) if host["has_jobs"] else (None, 0)
    derived: dict[str, Any] = {
        "display": policy.display_of(host["status"], always_on=record.always_on).value,
        "has_schedule": int(policy.has_schedule(record)),
        "next_fire_at": micros_or_none(policy.host_next_fire(record, tx.now)),
        "overdue_at": micros_or_none(policy.host_overdue_from(record, last)),
        "last_backup_at": micros_or_none(max(last.values(), default=None)),
        "open_alerts": open_alerts,
        "failing": failing,
        "attention": int(policy.needs_attention(open_alerts, failing)),
        "current_job_id": current,
        "pending_jobs": pending,
    }
    changed = {name: value for name, value in derived.items() if host[name] != value}
    if changed:
        update(tx, host_id, **changed)
    tx.signal("host", host_id)


def _show_alerts(tx: Tx, host: sqlite3.Row, last: Mapping[str, datetime]) -> int:
    """Show only what does not contradict the host's mode, presence and last backup as known now;
    return how many open alerts are shown."""
    newest = max(last.values(), default=None)
    open_ones = rows(
        tx.db,
        "SELECT id, kind, dedup_key, raised_at, hidden FROM alert "
        "WHERE host_id = ? AND state <> 'resolved'",
        (host["id"],),
    )
    shown = 0
    for alert in open_ones:
        success = last.get(alert["dedup_key"]) if alert["dedup_key"] else newest
        facts = policy.HostFacts(
            bool(host["always_on"]), host["status"], bool(host["removed"]), success
        )
        raised_at = from_micros(alert["raised_at"])
        showing = policy.assess_showing(alert["kind"], raised_at, facts)
        hidden = int(showing is not policy.Showing.SHOWN)
        shown += not hidden
        if hidden != alert["hidden"]:
            tx.db.execute("UPDATE alert SET hidden = ? WHERE id = ?", (hidden, alert["id"]))
            tx.signal("alert", alert["id"])
    return shown


def _backups(tx: Tx, record: HostRecord) -> tuple[dict[str, datetime], int]:
    """Return the end of the last success of each source group that has one, and how many of the
    groups that are there failed last."""
    present = {group.id for group in record.source_groups}
    found = tx.db.execute(
        "SELECT source_group_id, last_success_at, last_run_status FROM backup WHERE host_id = ?",
        (record.id,),
    ).fetchall()
    last = {group: from_micros(at) for group, at, _ in found if at is not None}
    return last, sum(group in present and status == "failed" for group, _, status in found)


def _jobs(tx: Tx, host_id: str) -> tuple[str | None, int]:
    """Return the job that runs, else the one that the agent has accepted, and how many are
    pending."""
    found = tx.db.execute(
        "SELECT id, status, pending FROM job "  # noqa: S608
        f"WHERE host_id = ? AND {_UNFINISHED} ORDER BY status DESC, created_at DESC",
        (host_id,),
    ).fetchall()
    current = (job_id for job_id, status, _ in found if status != "requested")
    return next(current, None), sum(
        pending == 1 for _, status, pending in found if status == "requested"
    )
