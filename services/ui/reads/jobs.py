"""Reads jobs."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from libs.common.clock import from_micros
from services.ui.reads.columns import from_json, moment
from services.ui.reads.paging import Slice, Source, Where, fetch_page, rows
from services.ui.views import JobView, Page

_JOBS = Source(
    columns="job.*, ifnull(host.name, '') AS host_name, ifnull(host.removed, 0) AS host_gone",
    tables="job LEFT JOIN host ON host.id = job.host_id",
    identity="job.id",
    sorts={
        "created_at": "job.created_at",
        "started_at": "ifnull(job.started_at, -1)",
        "finished_at": "ifnull(job.finished_at, -1)",
        "fire_time": "ifnull(job.fire_time, -1)",
        "status": "job.status",
        "kind": "job.kind",
        "origin": "job.origin",
        "host_id": "job.host_id",
        "id": "job.id",
    },
    default_sort="-created_at",
)


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs; None: any. `status` any of several."""

    host_id: str | None = None
    status: tuple[str, ...] | None = None
    kind: str | None = None
    origin: str | None = None
    schedule_id: str | None = None
    source_group_id: str | None = None
    run_id: str | None = None
    job_id: str | None = None
    attempt: int | None = None


def list_jobs(
    db: sqlite3.Connection,
    wanted: JobFilter,
    *,
    part: Slice = Slice(),  # noqa: B008  # frozen
) -> Page[JobView]:
    """Return a page of jobs, the latest first. Raises: BadInput."""
    where = Where().equal(
        job__host_id=wanted.host_id, job__status=wanted.status, job__kind=wanted.kind,
        job__origin=wanted.origin, job__schedule_id=wanted.schedule_id,
        job__source_group_id=wanted.source_group_id, job__run_id=wanted.run_id,
        job__id=wanted.job_id, job__attempt=wanted.attempt,
    )  # fmt: skip
    return fetch_page(db, _JOBS, where, part, lambda found: [_view(job) for job in found])


def find_job(db: sqlite3.Connection, job_id: str) -> JobView | None:
    found = rows(
        db,
        f"SELECT {_JOBS.columns} FROM {_JOBS.tables} WHERE job.id = ?",  # noqa: S608
        (job_id,),
    )
    return _view(found[0]) if found else None


def _view(job: sqlite3.Row) -> JobView:
    return JobView(
        id=job["id"], host_id=job["host_id"], host_name=job["host_name"], kind=job["kind"],
        status=job["status"], origin=job["origin"], attempt=job["attempt"],
        run_id=job["run_id"], schedule_id=job["schedule_id"],
        source_group_id=job["source_group_id"], fire_time=moment(job["fire_time"]),
        created_at=from_micros(job["created_at"]), started_at=moment(job["started_at"]),
        finished_at=moment(job["finished_at"]), exit_code=job["exit_code"], error=job["error"],
        stats=from_json(job["stats"]), requested_by=job["requested_by"],
        pending=bool(job["pending"]), percent=job["percent"], seconds_left=job["seconds_left"],
        arguments=from_json(job["arguments"]), bytes_done=job["bytes_done"],
        bytes_total=job["bytes_total"], files_done=job["files_done"], reason=job["reason"],
        host_gone=bool(job["host_gone"]),
    )  # fmt: skip
