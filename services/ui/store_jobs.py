"""Writes jobs, and how the last backups of each source group went.

    requested → dispatched → running → an end         undeliverable: dispatched → requested

An end stands; but `interrupted` and `abandoned` give way to an end that the agent reported.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from libs.common.clock import to_micros
from libs.common.events.job import SUCCESSES, JobEvent, JobFinished, JobStatus
from libs.common.loop.tx import Tx
from services.ui.reads.columns import to_json

WAITING = ("requested", "dispatched")
GIVES_WAY = (*WAITING, "running", "interrupted", "abandoned")
_SUCCEEDED = frozenset(status.value for status in SUCCESSES)


@dataclass(frozen=True, slots=True)
class Known:
    """What decides whether an event about a job is news. As it stands: the job is new."""

    status: str = "requested"
    session: str | None = None
    lost_session: str | None = None
    started_at: int | None = None
    is_new: bool = True


def find(tx: Tx, job_id: str) -> Known:
    """Return what is known of a job, if only that it is new."""
    found = tx.db.execute(
        "SELECT status, session, lost_session, started_at FROM job WHERE id = ?", (job_id,)
    ).fetchone()
    if found is None:
        return Known()
    status, session, lost_session, started_at = found
    return Known(status, session, lost_session, started_at, is_new=False)


def write(tx: Tx, event: JobEvent, known: Known, at: datetime, **columns: Any) -> None:
    """Set columns of the job that `event` is about; one that is new is made of it, as of `at`."""
    if not known.is_new:
        update(tx, event.job_id, **columns)
        return
    made = {
        "id": event.job_id,
        "host_id": event.host_id,
        "kind": event.kind.value,
        "status": known.status,
        "origin": event.origin.value,
        "attempt": event.attempt,
        "run_id": event.run_id,
        "schedule_id": event.schedule_id,
        "source_group_id": event.source_group_id,
        "fire_time": None if event.fire_time is None else to_micros(event.fire_time),
        "created_at": to_micros(at),
        **columns,
    }
    marks = ", ".join("?" * len(made))
    tx.db.execute(
        f"INSERT INTO job ({', '.join(made)}) VALUES ({marks})",  # noqa: S608  our own names
        tuple(made.values()),
    )


def update(tx: Tx, job_id: str, **columns: Any) -> None:
    changes = ", ".join(f"{name} = ?" for name in columns)
    tx.db.execute(
        f"UPDATE job SET {changes} WHERE id = ?",  # noqa: S608  our own names
        (*columns.values(), job_id),
    )


PROGRESS = ("percent", "seconds_left", "bytes_done", "bytes_total", "files_done")


def save_progress(tx: Tx, job_id: str, told: Mapping[str, Any]) -> bool:
    """Note how far a running job is; say whether it runs."""
    changes = ", ".join(f"{name} = ?" for name in PROGRESS)
    done = tx.db.execute(
        f"UPDATE job SET {changes} WHERE id = ? AND status = 'running'",  # noqa: S608  our names
        (*(told.get(name) for name in PROGRESS), job_id),
    )
    return bool(done.rowcount)


def finish(tx: Tx, event: JobFinished) -> bool:
    """Note the end of a job and what it means for its source group; say whether it was news."""
    known = find(tx, event.job_id)
    if known.status not in GIVES_WAY:
        return False
    started = to_micros(event.started_at) if event.started_at else known.started_at
    write(
        tx, event, known, event.started_at or event.finished_at, status=event.status.value,
        started_at=started, pending=0, finished_at=to_micros(event.finished_at),
        exit_code=event.exit_code, error=event.error, stats=to_json(event.stats),
        reason=event.reason, percent=None, seconds_left=None,
    )  # fmt: skip
    if event.kind == "backup" and event.source_group_id is not None and not event.is_put_off:
        save_run(
            tx, event.host_id, event.source_group_id, event.job_id, event.status.value,
            to_micros(event.finished_at),
        )  # fmt: skip
    return True


def take_answer(tx: Tx, job_id: str, answer: Mapping[str, Any] | None) -> None:
    """Take what the owner answered about a job; None: it knows nothing of it any more."""
    if answer is None:
        update(tx, job_id, status=JobStatus.ABANDONED.value, finished_at=to_micros(tx.now))
        return
    update(
        tx, job_id, status=answer["status"], started_at=_moment(answer.get("started_at")),
        finished_at=_moment(answer.get("finished_at")), exit_code=answer.get("exit_code"),
        error=answer.get("error"), reason=answer.get("reason"), stats=to_json(answer.get("stats")),
    )  # fmt: skip


def _moment(text: str | None) -> int | None:
    return None if text is None else _micros(text)


def save_run(  # one argument per column
    tx: Tx, host_id: str, group_id: str, job_id: str, status: str, at: int
) -> None:
    """Note the end of a backup. Ends may come out of order: the latest of each kind is kept."""
    if status == JobStatus.CANCELLED:
        return  # Nobody failed; the last result stands.
    sql = _SAVE_SUCCESS if status in _SUCCEEDED else _SAVE_FAILURE
    tx.db.execute(
        sql,
        {"host": host_id, "group": group_id, "job": job_id, "status": status, "at": at},
    )


_SAVE_RUN = (
    "ON CONFLICT (host_id, source_group_id) DO UPDATE SET "
    "last_run_at = max(ifnull(last_run_at, 0), :at), "
    "last_run_status = iif(ifnull(last_run_at, 0) <= :at, :status, last_run_status), "
)
_SAVE_SUCCESS = (
    "INSERT INTO backup (host_id, source_group_id, last_run_at, last_run_status, "  # noqa: S608
    f"last_success_at, last_success_job_id) VALUES (:host, :group, :at, :status, :at, :job) "
    f"{_SAVE_RUN} last_success_at = max(ifnull(last_success_at, 0), :at), "
    "last_success_job_id = iif(ifnull(last_success_at, 0) < :at, :job, last_success_job_id), "
    "failed_runs = iif(ifnull(last_success_at, 0) < :at, 0, failed_runs)"
)
_SAVE_FAILURE = (
    "INSERT INTO backup (host_id, source_group_id, last_run_at, last_run_status, failed_runs) "  # noqa: S608
    f"VALUES (:host, :group, :at, :status, 1) {_SAVE_RUN} "
    "failed_runs = failed_runs + (ifnull(last_success_at, 0) < :at)"
)


def load_backup(tx: Tx, value: Mapping[str, Any]) -> None:
    """Take a record of bucket `backups`; a success or run that is known to be later stands."""
    host_id, group_id = value["host_id"], value["source_group_id"]
    if value.get("last_success_at"):
        at = _micros(value["last_success_at"])
        save_run(tx, host_id, group_id, value.get("last_success_job_id") or "", "succeeded", at)
    if value.get("last_run_at") and value.get("last_run_status"):
        tx.db.execute(
            "INSERT OR IGNORE INTO backup (host_id, source_group_id) VALUES (?, ?)",
            (host_id, group_id),
        )
        tx.db.execute(
            "UPDATE backup SET last_run_at = ?1, last_run_status = ?2 "
            "WHERE host_id = ?3 AND source_group_id = ?4 AND ifnull(last_run_at, 0) <= ?1",
            (_micros(value["last_run_at"]), value["last_run_status"], host_id, group_id),
        )


def _micros(text: str) -> int:
    return to_micros(datetime.fromisoformat(text))
