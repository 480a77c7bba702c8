"""Alerting's tables of hosts: their records, sessions, backups, and when they were online."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from libs.common.clock import TICK, from_micros, to_micros
from libs.common.events.agent import OfflineReason
from libs.common.events.host import (
    HostRecord,
    Thresholds,
)
from libs.common.loop.tx import Tx
from libs.common.thresholds import Subject
from services.alerting.policy import Status

KNOWN_SESSIONS_PER_HOST = 200
KEEP_STRETCHES = timedelta(days=1)
KEEP_JOB_ENDS = timedelta(days=45)

_COLUMNS = (
    "host_id", "name", "always_on", "removed", "record_version", "offline_seconds",
    "stale_seconds", "has_schedule", "group_names", "status", "session", "connection", "gateway",
    "last_seen", "offline_at", "offline_reason", "last_success_at", "synced_session", "synced_gate",
    "tags", "missed_seconds", "synced_at",
)  # fmt: skip
_SELECT = f"SELECT {', '.join(_COLUMNS)} FROM host"  # noqa: S608  our own names
_PUT = (
    f"INSERT OR REPLACE INTO host ({', '.join(_COLUMNS)}) "  # noqa: S608  our own names
    f"VALUES ({', '.join('?' * len(_COLUMNS))})"
)


@dataclass(frozen=True, slots=True)
class Host:
    """A host as alerting knows it; fields as in the table."""

    id: str
    name: str
    always_on: bool = True
    removed: bool = False
    record_version: int = 0
    offline_seconds: int | None = None
    stale_seconds: int | None = None
    has_schedule: bool = False
    group_names: Mapping[str, str] = field(default_factory=dict)
    status: Status = Status.NEVER_SEEN
    session: str | None = None
    connection: int | None = None
    gateway: str | None = None
    last_seen: datetime | None = None
    offline_at: datetime | None = None
    offline_reason: OfflineReason | None = None
    last_success_at: datetime | None = None
    synced_session: str | None = None
    synced_gate: int = 0
    tags: tuple[str, ...] = ()
    missed_seconds: int | None = None
    synced_at: datetime | None = None

    @property
    def is_away(self) -> bool:
        """Someone who should be there is not."""
        return self.always_on and not self.removed and self.status is Status.OFFLINE

    @property
    def limits(self) -> Subject:
        """What the choice of its thresholds depends on."""
        own = Thresholds(
            offline_seconds=self.offline_seconds, stale_seconds=self.stale_seconds,
            missed_seconds=self.missed_seconds,
        )  # fmt: skip
        return Subject(own, self.tags, self.always_on)


def find_host(tx: Tx, host_id: str) -> Host | None:
    """Return the host, also a removed one."""
    row = tx.db.execute(f"{_SELECT} WHERE host_id = ?", (host_id,)).fetchone()
    return _host(row) if row else None


def find_present(tx: Tx, host_id: str) -> Host | None:
    """Return the host unless it is unknown or removed."""
    host = find_host(tx, host_id)
    return None if host is None or host.removed else host


def list_hosts(tx: Tx) -> list[Host]:
    """Return every host that is not removed."""
    return [_host(row) for row in tx.db.execute(f"{_SELECT} WHERE NOT removed").fetchall()]


def list_away(tx: Tx) -> list[Host]:
    """Return the always-on hosts that are offline."""
    rows = tx.db.execute(
        f"{_SELECT} WHERE status = 'offline' AND always_on AND NOT removed ORDER BY host_id"
    )
    return [_host(row) for row in rows.fetchall()]


def _host(row: tuple[Any, ...]) -> Host:
    value = dict(zip(_COLUMNS, row, strict=True))
    for name in ("always_on", "removed", "has_schedule"):
        value[name] = bool(value[name])
    for name in ("last_seen", "offline_at", "last_success_at", "synced_at"):
        value[name] = None if value[name] is None else from_micros(value[name])
    reason = value["offline_reason"]
    value["offline_reason"] = None if reason is None else OfflineReason(reason)
    value["status"] = Status(value["status"])
    value["tags"] = tuple(json.loads(value["tags"]))
    value["group_names"] = json.loads(value["group_names"])
    return Host(id=value.pop("host_id"), **value)


def _micros(moment: datetime | None) -> int | None:
    return None if moment is None else to_micros(moment)


def save_host(tx: Tx, host: Host) -> None:
    """Insert or replace the host's row."""
    tx.db.execute(
        _PUT,
        (
            host.id, host.name, host.always_on, host.removed, host.record_version,
            host.offline_seconds, host.stale_seconds, host.has_schedule,
            json.dumps(dict(host.group_names)), host.status, host.session, host.connection,
            host.gateway, _micros(host.last_seen), _micros(host.offline_at), host.offline_reason,
            _micros(host.last_success_at), host.synced_session, host.synced_gate,
            json.dumps(host.tags), host.missed_seconds, _micros(host.synced_at),
        ),
    )  # fmt: skip


def forget_host(tx: Tx, record: HostRecord) -> None:
    """Drop all that is known of a host but that it was removed; its alerts are history."""
    for table in ("known_session", "stretch", "job_end", "untold", "mute"):
        tx.db.execute(f"DELETE FROM {table} WHERE host_id = ?", (record.id,))  # noqa: S608
    save_host(tx, Host(record.id, record.name, removed=True, record_version=record.version))


# -- sessions ------------------------------------------------------------------------------------


def is_known_session(tx: Tx, host_id: str, session: str) -> bool:
    return bool(
        tx.db.execute(
            "SELECT 1 FROM known_session WHERE host_id = ? AND session = ?", (host_id, session)
        ).fetchone()
    )


def remember_session(tx: Tx, host_id: str, session: str) -> None:
    """Remember a hello, and forget the oldest beyond KNOWN_SESSIONS_PER_HOST."""
    tx.db.execute(
        "INSERT OR IGNORE INTO known_session (host_id, session) VALUES (?, ?)", (host_id, session)
    )
    tx.db.execute(
        "DELETE FROM known_session WHERE host_id = ?1 AND row_id <= (SELECT row_id FROM "
        "known_session WHERE host_id = ?1 ORDER BY row_id DESC LIMIT 1 OFFSET ?2)",
        (host_id, KNOWN_SESSIONS_PER_HOST),
    )


# -- when hosts were online, and who left together -----------------------------------------------


def begin_stretch(tx: Tx, host_id: str, at: datetime) -> None:
    tx.db.execute(
        "INSERT INTO stretch (host_id, online_from) VALUES (?, ?)", (host_id, to_micros(at))
    )


def end_stretch(tx: Tx, host_id: str, at: datetime) -> None:
    """End the host's open stretch; drop those that no outage can ask for any more."""
    tx.db.execute(
        "UPDATE stretch SET online_to = ? WHERE host_id = ? AND online_to IS NULL",
        (to_micros(at), host_id),
    )
    tx.db.execute(
        "DELETE FROM stretch WHERE host_id = ? AND online_to < ?",
        (host_id, to_micros(at - KEEP_STRETCHES)),
    )


_OF_SITE = "(?3 = '' OR EXISTS (SELECT 1 FROM json_each(host.tags) WHERE value = ?3))"


def list_gone(
    tx: Tx, since: datetime, until: datetime, not_counted: frozenset[str], tag: str = ""
) -> list[str]:
    """Return the always-on hosts that went offline in [since, until], count, and are still away.

    `tag`: only those that have it; empty: all.
    """
    rows = tx.db.execute(
        "SELECT host_id, offline_reason FROM host WHERE status = 'offline' AND always_on "  # noqa: S608
        f"AND NOT removed AND offline_at BETWEEN ?1 AND ?2 AND {_OF_SITE} ORDER BY host_id",
        (to_micros(since), to_micros(until), tag),
    )
    return [host_id for host_id, reason in rows if reason not in not_counted]


def count_online_between(tx: Tx, since: datetime, until: datetime, tag: str = "") -> int:
    """Return how many always-on hosts (with `tag`) were online at some time in [since, until]."""
    (count,) = tx.db.execute(
        "SELECT count(DISTINCT host_id) FROM stretch JOIN host USING (host_id) "  # noqa: S608
        "WHERE always_on AND NOT removed AND online_from <= ?1 "
        f"AND (online_to IS NULL OR online_to >= ?2) AND {_OF_SITE}",
        (to_micros(until), to_micros(since), tag),
    ).fetchone()
    return int(count)


# -- thresholds ------------------------------------------------------------------------------------


def swap_fleet_thresholds(tx: Tx, floor: timedelta, stale_after: timedelta) -> bool:
    """Remember the fleet's thresholds; say whether others held before."""
    new = (floor // TICK, stale_after // TICK)
    old = tx.db.execute("SELECT floor, stale_after FROM fleet_threshold").fetchone()
    tx.db.execute("INSERT OR REPLACE INTO fleet_threshold VALUES (1, ?, ?)", new)
    return old is not None and old != new


# -- ends of jobs --------------------------------------------------------------------------------


def is_job_end_known(tx: Tx, job_id: str, what: str) -> bool:
    return bool(
        tx.db.execute(
            "SELECT 1 FROM job_end WHERE job_id = ? AND what = ?", (job_id, what)
        ).fetchone()
    )


def remember_job_end(tx: Tx, host_id: str, job_id: str, what: str) -> None:
    """Remember that an end was taken into account; forget what the log no longer holds."""
    tx.db.execute(
        "INSERT OR IGNORE INTO job_end VALUES (?, ?, ?, ?)",
        (job_id, what, host_id, to_micros(tx.now)),
    )
    tx.db.execute(
        "DELETE FROM job_end WHERE host_id = ? AND at < ?",
        (host_id, to_micros(tx.now - KEEP_JOB_ENDS)),
    )
