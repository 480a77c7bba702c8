"""Alerting's tables of hosts: their records, sessions, backups, and when they were online."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

from libs.common.clock import TICK, micros_or_none, moment_or_none, to_micros
from libs.common.events.agent import OfflineReason
from libs.common.events.host import (
    HostRecord,
    Thresholds,
)
from libs.common.loop.tx import Tx
from libs.common.thresholds import Subject
from services.alerting.policy import Status

KEEP_JOB_ENDS = timedelta(days=45)

_COLUMNS = (
    "host_id", "name", "always_on", "removed", "record_version", "offline_seconds",
    "stale_seconds", "has_schedule", "group_names", "status", "session", "connection", "gateway",
    "last_seen", "offline_at", "offline_reason", "last_success_at", "synced_session", "synced_gate",
    "tags", "missed_seconds", "synced_at",
)  # fmt: skip
_SELECT = f"SELECT {', '.join(_COLUMNS)} FROM host"  # noqa: S608  our own names


class MayHave(NamedTuple):
    """Whether tables that mostly hold nothing of a host may: its row tells, so that who has it need
    not look into each. What was not asked for may be there."""

    alerts: bool = True
    mutes: bool = True
    untold: bool = True
    chances: bool = True
    expected: bool = True
    outage: bool = True
    old_job_ends: bool = True


ANYTHING = MayHave()

_MAY_HAVE = ", ".join(
    f"EXISTS (SELECT 1 FROM {rest})"  # noqa: S608
    for rest in (
        "alert WHERE alert.host_id = host.host_id AND state != 'resolved'",
        "mute WHERE mute.host_id = host.host_id",
        "untold WHERE untold.host_id = host.host_id",
        "chance WHERE chance.host_id = host.host_id",
        "expected_run WHERE expected_run.host_id = host.host_id",
        "outage_member WHERE outage_member.host_id = host.host_id",
        "job_end WHERE job_end.host_id = host.host_id AND at < :old",
    )
)
WITH_ALL = f"{', '.join(_COLUMNS)}, {_MAY_HAVE}"
"""Columns from which `read_host` makes a host that knows what it may have; needs `:old`."""
_PUT = (
    f"INSERT OR REPLACE INTO host ({', '.join(_COLUMNS)}) "  # noqa: S608  our own names
    f"VALUES ({', '.join('?' * len(_COLUMNS))})"
)


@dataclass(frozen=True, slots=True)
class Host:
    """A host as alerting knows it; fields as in the table. `groups`: `group_names` as JSON."""

    id: str
    name: str
    always_on: bool = True
    removed: bool = False
    record_version: int = 0
    offline_seconds: int | None = None
    stale_seconds: int | None = None
    has_schedule: bool = False
    groups: str = "{}"
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
    may_have: MayHave = ANYTHING

    @property
    def group_names(self) -> Mapping[str, str]:
        """The names of its source groups by their ids."""
        names: dict[str, str] = json.loads(self.groups)
        return names

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
    row = tx.db.execute(
        f"SELECT {WITH_ALL} FROM host WHERE host_id = :host",  # noqa: S608
        {"host": host_id, "old": old_job_ends(tx)},
    ).fetchone()
    return read_host(row) if row else None


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


def _host(row: tuple[Any, ...], may_have: MayHave = ANYTHING) -> Host:
    """Make a host of its columns: one by one, since every event does it."""
    return Host(
        row[0], row[1], bool(row[2]), bool(row[3]), row[4], row[5], row[6], bool(row[7]),
        row[8], Status(row[9]), row[10], row[11], row[12], moment_or_none(row[13]),
        moment_or_none(row[14]), None if row[15] is None else OfflineReason(row[15]),
        moment_or_none(row[16]),
        row[17], row[18], _tags(row[19]), row[20], moment_or_none(row[21]), may_have,
    )  # fmt: skip


def read_host(row: tuple[Any, ...]) -> Host:
    """Return the host of a row that begins with `WITH_ALL`."""
    own = len(_COLUMNS)
    return _host(row, MayHave(*map(bool, row[own : own + len(MayHave._fields)])))


@lru_cache(maxsize=1024)
def _tags(text: str) -> tuple[str, ...]:
    """Return tags that the table holds as JSON; many hosts have the same."""
    return tuple(json.loads(text))


def save_host(tx: Tx, host: Host) -> None:
    """Insert or replace the host's row."""
    tx.db.execute(
        _PUT,
        (
            host.id, host.name, host.always_on, host.removed, host.record_version,
            host.offline_seconds, host.stale_seconds, host.has_schedule,
            host.groups, host.status, host.session, host.connection,
            host.gateway, micros_or_none(host.last_seen), micros_or_none(host.offline_at),
            host.offline_reason,
            micros_or_none(host.last_success_at), host.synced_session, host.synced_gate,
            json.dumps(host.tags), host.missed_seconds, micros_or_none(host.synced_at),
        ),
    )  # fmt: skip


def save_record(tx: Tx, host: Host) -> None:
    """Keep what a record says of a host whose row is there."""
    tx.db.execute(
        "UPDATE host SET name = ?, always_on = ?, record_version = ?, offline_seconds = ?, "
        "stale_seconds = ?, has_schedule = ?, group_names = ?, tags = ?, missed_seconds = ? "
        "WHERE host_id = ?",
        (
            host.name, host.always_on, host.record_version, host.offline_seconds,
            host.stale_seconds, host.has_schedule, host.groups,
            json.dumps(host.tags), host.missed_seconds, host.id,
        ),
    )  # fmt: skip


def save_success(tx: Tx, host_id: str, at: datetime) -> None:
    """Keep when the host's last successful backup was."""
    tx.db.execute("UPDATE host SET last_success_at = ? WHERE host_id = ?", (to_micros(at), host_id))


def forget_host(tx: Tx, record: HostRecord) -> None:
    """Drop all that is known of a host but that it was removed; its alerts are history."""
    for table in ("known_session", "stretch", "job_end", "untold", "mute"):
        tx.db.execute(f"DELETE FROM {table} WHERE host_id = ?", (record.id,))  # noqa: S608
    save_host(tx, Host(record.id, record.name, removed=True, record_version=record.version))


# -- who left together ----------------------------------------------------------------------------


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


def old_job_ends(tx: Tx) -> int:
    """Return before when the log no longer holds an end of a job, as the tables keep times."""
    return to_micros(tx.now - KEEP_JOB_ENDS)


def remember_job_end(tx: Tx, host: Host, job_id: str, what: str) -> bool:
    """Remember that an end was taken into account, and forget what the log no longer holds; say
    whether it is news."""
    noted = tx.db.execute(
        "INSERT OR IGNORE INTO job_end VALUES (?, ?, ?, ?)",
        (job_id, what, host.id, to_micros(tx.now)),
    )
    if noted.rowcount and host.may_have.old_job_ends:
        tx.db.execute(
            "DELETE FROM job_end WHERE host_id = ? AND at < ?", (host.id, old_job_ends(tx))
        )
    return noted.rowcount > 0
