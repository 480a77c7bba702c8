"""Alerting's tables of fires that must lead to a run, and of runs that were seen."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pydantic import TypeAdapter

from libs.common.clock import from_micros, to_micros
from libs.common.events.host import HostRecord, Schedule
from libs.common.loop.tx import Tx


@dataclass(frozen=True, slots=True)
class Expected:
    """The next fire of a schedule; `rule`: cron expression and zone that it was computed with."""

    schedule_id: str
    rule: str
    fire_at: datetime


_SCHEDULES = TypeAdapter(tuple[Schedule, ...])


def save_schedules(tx: Tx, record: HostRecord) -> None:
    tx.db.execute(
        "INSERT INTO host_schedules VALUES (?, ?, ?) ON CONFLICT (host_id) DO UPDATE SET "
        "timezone = excluded.timezone, schedules = excluded.schedules "
        "WHERE (timezone, schedules) != (excluded.timezone, excluded.schedules)",
        (record.id, record.timezone, _SCHEDULES.dump_json(record.schedules).decode()),
    )


def find_schedules(tx: Tx, host_id: str) -> list[Schedule]:
    """Return the schedules of a host, each with the zone in which it fires."""
    row = tx.db.execute(
        "SELECT timezone, schedules FROM host_schedules WHERE host_id = ?", (host_id,)
    ).fetchone()
    if row is None:
        return []
    found = _SCHEDULES.validate_json(row[1])
    return [one.model_copy(update={"timezone": one.timezone or row[0]}) for one in found]


def list_expected(tx: Tx, host_id: str) -> dict[str, Expected]:
    """Return the expected fires of a host by schedule."""
    rows = tx.db.execute(
        "SELECT schedule_id, rule, fire_at FROM expected_run WHERE host_id = ?", (host_id,)
    )
    return {row[0]: Expected(row[0], row[1], from_micros(row[2])) for row in rows.fetchall()}


def save_expected(tx: Tx, host_id: str, expected: Expected) -> None:
    tx.db.execute(
        "INSERT OR REPLACE INTO expected_run VALUES (?, ?, ?, ?)",
        (host_id, expected.schedule_id, expected.rule, to_micros(expected.fire_at)),
    )


def drop_expected(tx: Tx, host_id: str, schedule_id: str) -> None:
    tx.db.execute(
        "DELETE FROM expected_run WHERE host_id = ? AND schedule_id = ?", (host_id, schedule_id)
    )


def see_run(tx: Tx, host_id: str, schedule_id: str, group_id: str, fire_at: datetime) -> None:
    """Keep the latest fire of a pair for which there was a run."""
    tx.db.execute(
        "INSERT INTO seen_run VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
        "fire_at = excluded.fire_at WHERE excluded.fire_at > fire_at",
        (host_id, schedule_id, group_id, to_micros(fire_at)),
    )


def find_seen(tx: Tx, host_id: str, schedule_id: str, group_id: str) -> datetime | None:
    row = tx.db.execute(
        "SELECT fire_at FROM seen_run WHERE host_id = ? AND schedule_id = ? "
        "AND source_group_id = ?",
        (host_id, schedule_id, group_id),
    ).fetchone()
    return None if row is None else from_micros(row[0])


def was_online(tx: Tx, host_id: str, since: datetime, until: datetime) -> bool:
    """Say whether the host was online without a break in [since, until]."""
    row = tx.db.execute(
        "SELECT 1 FROM stretch WHERE host_id = ? AND online_from <= ? "
        "AND (online_to IS NULL OR online_to >= ?)",
        (host_id, to_micros(since), to_micros(until)),
    ).fetchone()
    return row is not None


def forget_host(tx: Tx, host_id: str) -> None:
    for table in ("expected_run", "seen_run", "host_schedules"):
        tx.db.execute(f"DELETE FROM {table} WHERE host_id = ?", (host_id,))  # noqa: S608
