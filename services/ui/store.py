"""Writes hosts: the registry's record, presence, power, and what follows from the rest.

`refresh` works the derived columns out again, so that reading needs no join and no rule in SQL.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from libs.common.clock import from_micros, to_micros
from libs.common.events.host import HostRecord
from libs.common.loop.tx import Tx
from services.ui import policy
from services.ui.reads.paging import row, rows
from services.ui.reads.schedules import last_successes


def save_record(tx: Tx, record: HostRecord) -> bool:
    """Keep a record if it is newer than the one that is known; say whether it was."""
    known = tx.db.execute("SELECT version FROM host WHERE id = ?", (record.id,)).fetchone()
    if known is not None and known[0] >= record.version:
        return False
    _upsert(
        tx, record.id, name=record.name, version=record.version, record=record.model_dump_json(),
        removed=int(record.removed), always_on=int(record.always_on), timezone=record.timezone,
        os=record.os, arch=record.arch, agent_version=record.agent_version,
        enrolled_at=to_micros(record.enrolled_at),
    )  # fmt: skip
    drop_tags(tx, record.id)
    if not record.removed:
        tx.db.executemany(
            "INSERT INTO host_tag VALUES (?, ?)", [(tag, record.id) for tag in set(record.tags)]
        )
    return True


def drop_tags(tx: Tx, host_id: str) -> None:
    tx.db.execute("DELETE FROM host_tag WHERE host_id = ?", (host_id,))


def _upsert(tx: Tx, host_id: str, **columns: Any) -> None:
    names = ", ".join(columns)
    marks = ", ".join("?" * len(columns))
    changes = ", ".join(f"{name} = excluded.{name}" for name in columns)
    tx.db.execute(
        f"INSERT INTO host (id, {names}) VALUES (?, {marks}) "  # noqa: S608  our own names
        f"ON CONFLICT (id) DO UPDATE SET {changes}",
        (host_id, *columns.values()),
    )


def update(tx: Tx, host_id: str, **columns: Any) -> bool:
    """Set columns of a host; say whether it is known."""
    changes = ", ".join(f"{name} = ?" for name in columns)
    done = tx.db.execute(
        f"UPDATE host SET {changes} WHERE id = ?",  # noqa: S608  our own names
        (*columns.values(), host_id),
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
    """Work out the derived columns of a host again, after anything about it has changed."""
    host = find(tx, host_id)
    if host is None:
        return
    record = HostRecord.model_validate_json(host["record"])
    last = last_successes(tx.db, host_id)
    _hide_contradictions(tx, host, last)
    open_alerts = _count(
        tx, "alert WHERE host_id = ? AND state <> 'resolved' AND hidden = 0", host_id
    )
    failing = _failing(tx, host_id, record)
    update(
        tx, host_id,
        display=policy.display_of(host["status"], always_on=record.always_on).value,
        has_schedule=int(policy.has_schedule(record)),
        next_fire_at=_micros(policy.host_next_fire(record, tx.now)),
        overdue_at=_micros(policy.host_overdue_from(record, last)),
        last_backup_at=_micros(max(last.values(), default=None)),
        open_alerts=open_alerts, failing=failing,
        attention=int(policy.needs_attention(open_alerts, failing)),
        current_job_id=_current_job(tx, host_id),
        pending_jobs=_count(
            tx, "job WHERE host_id = ? AND status = 'requested' AND pending = 1", host_id
        ),
    )  # fmt: skip
    tx.signal("host", host_id)


def refresh_all(tx: Tx) -> None:
    for (host_id,) in tx.db.execute("SELECT id FROM host").fetchall():
        refresh(tx, host_id)


def _hide_contradictions(tx: Tx, host: Mapping[str, Any], last: Mapping[str, datetime]) -> None:
    """Show only what does not contradict the host's mode, presence and last backup as known now."""
    newest = max(last.values(), default=None)
    open_ones = rows(
        tx.db,
        "SELECT id, kind, dedup_key, raised_at, hidden FROM alert "
        "WHERE host_id = ? AND state <> 'resolved'",
        (host["id"],),
    )
    for alert in open_ones:
        success = last.get(alert["dedup_key"]) if alert["dedup_key"] else newest
        facts = policy.HostFacts(
            bool(host["always_on"]), host["status"], bool(host["removed"]), success
        )
        raised_at = from_micros(alert["raised_at"])
        showing = policy.assess_showing(alert["kind"], raised_at, facts)
        hidden = int(showing is not policy.Showing.SHOWN)
        if hidden != alert["hidden"]:
            tx.db.execute("UPDATE alert SET hidden = ? WHERE id = ?", (hidden, alert["id"]))
            tx.signal("alert", alert["id"])


def _failing(tx: Tx, host_id: str, record: HostRecord) -> int:
    present = {group.id for group in record.source_groups}
    failed = tx.db.execute(
        "SELECT source_group_id FROM backup WHERE host_id = ? AND last_run_status = 'failed'",
        (host_id,),
    )
    return sum(group in present for (group,) in failed)


def _current_job(tx: Tx, host_id: str) -> str | None:
    """The one that runs, else the one that the agent has accepted."""
    found = tx.db.execute(
        "SELECT id FROM job WHERE host_id = ? AND status IN ('running', 'dispatched') "
        "ORDER BY status DESC, created_at DESC LIMIT 1",
        (host_id,),
    ).fetchone()
    return found[0] if found else None


def _count(tx: Tx, what: str, *parameters: str) -> int:
    return int(tx.db.execute(f"SELECT count(*) FROM {what}", parameters).fetchone()[0])  # noqa: S608


def _micros(at: datetime | None) -> int | None:
    return None if at is None else to_micros(at)
