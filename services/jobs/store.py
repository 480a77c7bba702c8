"""The ledger: jobs, fires, answered requests, and what bucket `backups` holds.

Hosts are in `hosts.py`, logs in `logs.py`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import Field, dataclass, fields
from datetime import datetime
from enum import StrEnum
from typing import Any

from libs.common.clock import from_micros, to_micros
from libs.common.events.job import JobKind, JobOrigin, JobStatus
from libs.common.job_arguments import LOCKING
from libs.common.loop.tx import Tx
from services.jobs.records import Cause, Job

REPOSITORY_BUSY = "repository_busy"
"""Why a job waits that could go but for others in its repository."""

_NAMES = [field.name for field in fields(Job)]
_COLUMNS = ", ".join(_NAMES)
_ENUMS: dict[str, type[StrEnum]] = {
    "kind": JobKind,
    "origin": JobOrigin,
    "cause": Cause,
    "status": JobStatus,
}


def _reader(column: Field[Any]) -> Callable[[Any], Any] | None:
    """Return what makes a column's value of what SQLite holds; None: it is that already."""
    if "datetime" in str(column.type):
        return from_micros
    if column.name in _ENUMS:
        return {member.value: member for member in _ENUMS[column.name]}.__getitem__
    return bool if column.type == "bool" else None


_READERS = [(place, read) for place, column in enumerate(fields(Job)) if (read := _reader(column))]
"""Of the columns that SQLite holds in another form."""


def _job(row: Sequence[Any]) -> Job:
    values = list(row)
    for place, read in _READERS:
        if values[place] is not None:
            values[place] = read(values[place])
    return Job(*values)


def _written(value: Any) -> Any:
    return to_micros(value) if isinstance(value, datetime) else value


def add_job(tx: Tx, job: Job) -> None:
    marks = ", ".join("?" * len(_NAMES))
    tx.db.execute(
        f"INSERT INTO job ({_COLUMNS}) VALUES ({marks})",  # noqa: S608
        [_written(getattr(job, name)) for name in _NAMES],
    )


def update_job(tx: Tx, job_id: str, **changes: Any) -> Job:
    """Change fields of a job and return it as it is now."""
    unknown = changes.keys() - set(_NAMES)
    if unknown:
        raise TypeError(f"a job has no {sorted(unknown)}")
    sets = ", ".join(f"{name} = ?" for name in changes)
    values = [_written(value) for value in changes.values()]
    (row,) = tx.db.execute(
        f"UPDATE job SET {sets} WHERE job_id = ? RETURNING {_COLUMNS}",  # noqa: S608
        (*values, job_id),
    ).fetchall()
    return _job(row)


_OPEN = "('requested', 'dispatched', 'running')"
_LOCKING = f"({', '.join(repr(kind) for kind in sorted(LOCKING))})"


def _jobs(db: sqlite3.Connection, rest: str, *values: Any) -> list[Job]:
    rows = db.execute(f"SELECT {_COLUMNS} FROM job {rest}", values)  # noqa: S608
    return [_job(row) for row in rows]


def _first(db: sqlite3.Connection, rest: str, *values: Any) -> Job | None:
    return next(iter(_jobs(db, f"{rest} LIMIT 1", *values)), None)


def find_job(tx: Tx, job_id: str) -> Job | None:
    return _first(tx.db, "WHERE job_id = ?", job_id)


def get_job(tx: Tx, job_id: str) -> Job:
    (job,) = _jobs(tx.db, "WHERE job_id = ?", job_id)
    return job


def attempts(tx: Tx, run_id: str) -> list[Job]:
    """Return the attempts at a run, first to last."""
    return _jobs(tx.db, "WHERE run_id = ? ORDER BY attempt", run_id)


def waiting(tx: Tx, host_id: str) -> list[Job]:
    """Return the host's jobs that its agent has not accepted yet."""
    return _jobs(
        tx.db, "WHERE host_id = ? AND status = 'requested' ORDER BY created_at, job_id", host_id
    )


def has_waiting(tx: Tx, host_id: str) -> bool:
    """Say whether `waiting` would return any."""
    row = tx.db.execute(
        "SELECT 1 FROM job WHERE host_id = ? AND status = 'requested' LIMIT 1", (host_id,)
    ).fetchone()
    return row is not None


def has_work(tx: Tx, host_id: str) -> bool:
    """Say whether a job of the host waits or is at its agent, or a fire is still to be judged."""
    (found,) = tx.db.execute(
        "SELECT EXISTS (SELECT 1 FROM job WHERE host_id = ?1 AND status = 'requested') "
        "OR EXISTS (SELECT 1 FROM job WHERE host_id = ?1 AND at_agent) "
        "OR EXISTS (SELECT 1 FROM fire WHERE host_id = ?1 AND NOT judged)",
        (host_id,),
    ).fetchone()
    return bool(found)


def open_jobs(tx: Tx, host_id: str) -> list[Job]:
    return _jobs(tx.db, f"WHERE host_id = ? AND status IN {_OPEN}", host_id)


def at_agent(tx: Tx, host_id: str) -> list[Job]:
    """Return the jobs that the agent has: accepted, and not known to have ended."""
    return _jobs(tx.db, "WHERE host_id = ? AND at_agent", host_id)


def find_locking(tx: Tx, repository_id: str, but: str) -> Job | None:
    """Return a job other than `but` that locks the repository now, or is on its way to.

    One of a host that is away holds nobody up: nobody knows when it will be back.
    """
    return _first(
        tx.db,
        "WHERE locks = ? AND job_id <> ? AND (sent_session IS NOT NULL OR at_agent) "
        "AND host_id IN (SELECT host_id FROM host WHERE online)",
        repository_id, but,
    )  # fmt: skip


def find_using(tx: Tx, repository_id: str, but: str) -> Job | None:
    """Return a job other than `but` that works on the repository now, as `find_locking`."""
    return _first(
        tx.db,
        "WHERE job_id <> ? AND (sent_session IS NOT NULL OR at_agent) "  # noqa: S608
        f"AND status IN {_OPEN} AND kind IN {_LOCKING} "
        "AND host_id IN (SELECT host_id FROM host WHERE repository_id = ? AND online)",
        but, repository_id,
    )  # fmt: skip


def find_next_to_lock(tx: Tx, repository_id: str, but: str) -> Job | None:
    """Return a job that waits for nothing but the repository, which it wants for itself."""
    return _first(
        tx.db,
        "WHERE locks = ? AND job_id <> ? AND status = 'requested' AND wait_reason = ? "
        "AND host_id IN (SELECT host_id FROM host WHERE online)",
        repository_id, but, REPOSITORY_BUSY,
    )  # fmt: skip


def waiting_to_lock(tx: Tx, repository_id: str) -> set[str]:
    """Return the hosts with a waiting job that wants the repository for itself."""
    jobs = _jobs(tx.db, "WHERE locks = ? AND status = 'requested'", repository_id)
    return {job.host_id for job in jobs}


def waiting_to_use(tx: Tx, repository_id: str) -> set[str]:
    """Return the connected hosts with a waiting job, of those that share the repository."""
    rows = tx.db.execute(
        "SELECT DISTINCT host_id FROM job WHERE status = 'requested' "
        "AND host_id IN (SELECT host_id FROM host WHERE repository_id = ? AND online)",
        (repository_id,),
    )
    return {host_id for (host_id,) in rows}


def repository_of(tx: Tx, host_id: str) -> str | None:
    row = tx.db.execute("SELECT repository_id FROM host WHERE host_id = ?", (host_id,)).fetchone()
    return None if row is None else row[0]


def list_jobs(tx: Tx, *, host_id: str | None, status: str | None, limit: int) -> list[Job]:
    """Return the newest jobs first."""
    return _jobs(
        tx.db,
        "WHERE (?1 IS NULL OR host_id = ?1) AND (?2 IS NULL OR status = ?2) "
        "ORDER BY created_at DESC, job_id DESC LIMIT ?3",
        host_id, status, limit,
    )  # fmt: skip


# -- fires and requests ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Fire:
    """A fire that an agent reported."""

    host_id: str
    schedule_id: str
    source_group_id: str
    fire_time: datetime


def add_fire(tx: Tx, fire: Fire, first_job_id: str) -> bool:
    """Record a fire; say whether it is new."""
    added = tx.db.execute(
        "INSERT OR IGNORE INTO fire VALUES (?, ?, ?, ?, ?, 0)",
        (fire.host_id, fire.schedule_id, fire.source_group_id, to_micros(fire.fire_time),
         first_job_id),
    )  # fmt: skip
    return added.rowcount > 0


def set_judged(tx: Tx, fire: Fire) -> None:
    tx.db.execute(
        "UPDATE fire SET judged = 1 WHERE host_id = ? AND schedule_id = ? "
        "AND source_group_id = ? AND fire_time = ?",
        (fire.host_id, fire.schedule_id, fire.source_group_id, to_micros(fire.fire_time)),
    )


def _fires(tx: Tx, where: str, *values: Any) -> Iterator[Fire]:
    rows = tx.db.execute(
        f"SELECT host_id, schedule_id, source_group_id, fire_time FROM fire {where}",  # noqa: S608
        values,
    ).fetchall()
    for host_id, schedule_id, group_id, fire_time in rows:
        yield Fire(host_id, schedule_id, group_id, from_micros(fire_time))


def fires_to_judge(tx: Tx, host_id: str) -> list[Fire]:
    return list(_fires(tx, "WHERE host_id = ? AND NOT judged ORDER BY fire_time", host_id))


def find_fire_of(tx: Tx, host_id: str, first_job_id: str) -> Fire | None:
    """Return the fire whose first attempt has this job id."""
    where = "WHERE first_job_id = ? AND host_id = ?"
    return next(_fires(tx, where, first_job_id, host_id), None)


def newest_fire(
    tx: Tx, host_id: str, schedule_id: str | None, group_id: str | None
) -> datetime | None:
    """Return the latest fire of a pair that we know of, reported or in the ledger."""
    pair = (host_id, schedule_id, group_id)
    where = "WHERE host_id = ? AND schedule_id = ? AND source_group_id = ?"
    row = tx.db.execute(
        f"SELECT max(at) FROM (SELECT max(fire_time) AS at FROM fire {where} "  # noqa: S608
        f"UNION ALL SELECT max(fire_time) FROM job {where})",
        (*pair, *pair),
    ).fetchone()
    return None if row[0] is None else from_micros(row[0])


def add_request(tx: Tx, arm_id: str, schedule_id: str, group_id: str, *, put_off: int) -> bool:
    """Note a catch-up's request; say whether it is new: it is also after a further putting off."""
    added = tx.db.execute(
        "INSERT INTO catchup_request VALUES (?, ?, ?, ?, ?) "
        "ON CONFLICT (arm_id, schedule_id, source_group_id) DO UPDATE SET "
        "put_off = excluded.put_off, at = excluded.at "
        "WHERE excluded.put_off > catchup_request.put_off",
        (arm_id, schedule_id, group_id, to_micros(tx.now), put_off),
    )
    return added.rowcount > 0


# -- bucket `backups` ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Backup:
    """The last success and the last run of a source group."""

    host_id: str
    source_group_id: str
    last_success_at: datetime | None
    last_success_job_id: str | None
    last_run_at: datetime
    last_run_status: str
    version: int


_BACKUP = (
    "host_id, source_group_id, last_success_at, last_success_job_id, last_run_at, "
    "last_run_status, version"
)


def find_backup(tx: Tx, host_id: str, group_id: str) -> Backup | None:
    rows = _backups(tx, "WHERE host_id = ? AND source_group_id = ?", host_id, group_id)
    return rows[0] if rows else None


def backups(tx: Tx) -> list[Backup]:
    return _backups(tx, "")


def backups_of(tx: Tx, host_id: str) -> list[Backup]:
    return _backups(tx, "WHERE host_id = ?", host_id)


def _backups(tx: Tx, where: str, *values: Any) -> list[Backup]:
    rows = tx.db.execute(
        f"SELECT {_BACKUP} FROM backup {where}",  # noqa: S608
        values,
    ).fetchall()
    return [
        Backup(host, group, None if success is None else from_micros(success), job,
               from_micros(run_at), status, version)
        for host, group, success, job, run_at, status, version in rows
    ]  # fmt: skip


def save_backup(tx: Tx, backup: Backup) -> None:
    success = backup.last_success_at
    tx.db.execute(
        "INSERT OR REPLACE INTO backup VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            backup.host_id, backup.source_group_id, None if success is None else to_micros(success),
            backup.last_success_job_id, to_micros(backup.last_run_at), backup.last_run_status,
            backup.version,
        ),
    )  # fmt: skip


def delete_backups(tx: Tx, host_id: str) -> None:
    tx.db.execute("DELETE FROM backup WHERE host_id = ?", (host_id,))
