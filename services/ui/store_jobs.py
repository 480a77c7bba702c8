"""Writes jobs, and how the last backups of each source group went.

    requested → dispatched → running → an end         undeliverable: dispatched → requested

An end stands; but `interrupted` and `abandoned` give way to an end that the agent reported.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from libs.common.clock import to_micros
from libs.common.events.job import SUCCESSES, JobEvent, JobFinished, JobStatus
from libs.common.loop.tx import Tx
from services.ui.reads.columns import to_json
from services.ui.reads.paging import row

WAITING = ("requested", "dispatched")
GIVES_WAY = (*WAITING, "running", "interrupted", "abandoned")
_SUCCEEDED = frozenset(status.value for status in SUCCESSES)


def ensure(tx: Tx, event: JobEvent, at: datetime) -> Mapping[str, Any]:
    """Return the job that an event is about; what was not known before is made of the event."""
    tx.db.execute(
        "INSERT OR IGNORE INTO job (id, host_id, kind, status, origin, attempt, run_id, "
        "schedule_id, source_group_id, fire_time, created_at) "
        "VALUES (?, ?, ?, 'requested', ?, ?, ?, ?, ?, ?, ?)",
        (
            event.job_id, event.host_id, event.kind.value, event.origin.value, event.attempt,
            event.run_id, event.schedule_id, event.source_group_id,
            None if event.fire_time is None else to_micros(event.fire_time), to_micros(at),
        ),
    )  # fmt: skip
    job = row(tx.db, "SELECT * FROM job WHERE id = ?", (event.job_id,))
    assert job is not None
    return dict(job)


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
    job = ensure(tx, event, event.started_at or event.finished_at)
    if job["status"] not in GIVES_WAY:
        return False
    started = to_micros(event.started_at) if event.started_at else job["started_at"]
    update(
        tx, event.job_id, status=event.status.value, started_at=started, pending=0,
        finished_at=to_micros(event.finished_at), exit_code=event.exit_code, error=event.error,
        stats=to_json(event.stats), reason=event.reason, percent=None, seconds_left=None,
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
    tx.db.execute(
        "INSERT OR IGNORE INTO backup (host_id, source_group_id) VALUES (?, ?)", (host_id, group_id)
    )
    key = (host_id, group_id)
    tx.db.execute(
        "UPDATE backup SET last_run_at = ?1, last_run_status = ?2 "
        "WHERE host_id = ?3 AND source_group_id = ?4 AND ifnull(last_run_at, 0) <= ?1",
        (at, status, *key),
    )
    if status in _SUCCEEDED:
        tx.db.execute(
            "UPDATE backup SET last_success_at = ?1, last_success_job_id = ?2, failed_runs = 0 "
            "WHERE host_id = ?3 AND source_group_id = ?4 AND ifnull(last_success_at, 0) < ?1",
            (at, job_id, *key),
        )
    else:
        tx.db.execute(
            "UPDATE backup SET failed_runs = failed_runs + 1 "
            "WHERE host_id = ? AND source_group_id = ? AND ifnull(last_success_at, 0) < ?",
            (*key, at),
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
