"""Reads schedules and source groups, with how their backups went."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from datetime import datetime

from libs.common.clock import from_micros
from libs.common.events.host import HostRecord, Schedule, SourceGroup
from services.ui import policy
from services.ui.reads.columns import moment
from services.ui.reads.hosts import find_record
from services.ui.reads.paging import Slice, Source, Where, fetch_page, rows
from services.ui.views import Page, ScheduleView, SourceGroupView

_WITH_SCHEDULES = Source(
    columns="host.id, host.record",
    tables="host",
    identity="host.id",
    sorts={"name": "host.name"},
    default_sort="name",
)


def last_successes(db: sqlite3.Connection, host_id: str) -> dict[str, datetime]:
    """Return the end of the last successful backup of each source group that has one."""
    found = db.execute(
        "SELECT source_group_id, last_success_at FROM backup "
        "WHERE host_id = ? AND last_success_at IS NOT NULL",
        (host_id,),
    )
    return {group: from_micros(at) for group, at in found}


def list_schedules(db: sqlite3.Connection, host_id: str, *, now: datetime) -> list[ScheduleView]:
    """Return a host's schedules in its own order; none if the host is not known."""
    record = find_record(db, host_id)
    return [] if record is None else schedules_of(record, last_successes(db, host_id), now)


def list_source_groups(db: sqlite3.Connection, host_id: str) -> list[SourceGroupView]:
    """Return a host's source groups in its own order; none if the host is not known."""
    record = find_record(db, host_id)
    return [] if record is None else groups_of(record, _runs(db, host_id))


def list_all_schedules(
    db: sqlite3.Connection,
    *,
    now: datetime,
    part: Slice = Slice(),  # noqa: B008  # frozen
) -> Page[ScheduleView]:
    """Return the schedules of a page of hosts, by host name (`limit` counts hosts)."""

    def build(found: list[sqlite3.Row]) -> list[ScheduleView]:
        records = [HostRecord.model_validate_json(host["record"]) for host in found]
        return [
            view
            for record in records
            for view in schedules_of(record, last_successes(db, record.id), now)
        ]

    where = Where(("host.removed = 0", "host.record LIKE '%\"schedules\":[{%'"))
    return fetch_page(db, _WITH_SCHEDULES, where, part, build)


def schedules_of_record(
    db: sqlite3.Connection, record: HostRecord, *, now: datetime
) -> list[ScheduleView]:
    """Return the schedules of a record, also of one that the read model does not have yet."""
    return schedules_of(record, last_successes(db, record.id), now)


def view_of_schedule(
    db: sqlite3.Connection, record: HostRecord, schedule: Schedule, *, now: datetime
) -> ScheduleView:
    """Return a schedule of a host as the registry has just answered it."""
    others = tuple(one for one in record.schedules if one.id != schedule.id)
    newest = record.model_copy(update={"schedules": (*others, schedule)})
    return schedule_view(newest, schedule, last_successes(db, record.id), now)


def groups_of_record(db: sqlite3.Connection, record: HostRecord) -> list[SourceGroupView]:
    """Return the source groups of a record, also of one that the read model does not have yet."""
    return groups_of(record, _runs(db, record.id))


def view_of_group(db: sqlite3.Connection, host_id: str, group: SourceGroup) -> SourceGroupView:
    """Return a source group as the registry has just answered it."""
    return group_view(host_id, group, _runs(db, host_id).get(group.id))


def schedules_of(
    record: HostRecord, last: Mapping[str, datetime], now: datetime
) -> list[ScheduleView]:
    return [schedule_view(record, schedule, last, now) for schedule in record.schedules]


def schedule_view(
    record: HostRecord, schedule: Schedule, last: Mapping[str, datetime], now: datetime
) -> ScheduleView:
    overdue_from = policy.overdue_from(record, schedule, last)
    overdue = overdue_from is not None and overdue_from <= now
    successes = [last[group] for group in schedule.source_group_ids if group in last]
    return ScheduleView(
        id=schedule.id, host_id=record.id, host_name=record.name, name=schedule.name,
        cron=schedule.cron, timezone=schedule.timezone,
        zone=policy.schedule_zone(record, schedule), enabled=schedule.enabled,
        catch_up=schedule.catch_up.value, source_group_ids=schedule.source_group_ids,
        next_fire=policy.next_fire_of(record, schedule, now),
        last_success_at=min(successes, default=None), overdue=overdue,
        overdue_since=overdue_from if overdue else None,
    )  # fmt: skip


def groups_of(record: HostRecord, runs: Mapping[str, sqlite3.Row]) -> list[SourceGroupView]:
    return [group_view(record.id, group, runs.get(group.id)) for group in record.source_groups]


def group_view(host_id: str, group: SourceGroup, run: sqlite3.Row | None) -> SourceGroupView:
    return SourceGroupView(
        id=group.id, host_id=host_id, name=group.name, includes=group.includes,
        excludes=group.excludes, retention=group.retention, retry_max=group.retry_max,
        hooks=group.hooks,
        last_success_at=moment(run["last_success_at"]) if run else None,
        last_success_job_id=run["last_success_job_id"] if run else None,
        last_run_at=moment(run["last_run_at"]) if run else None,
        last_run_status=run["last_run_status"] if run else None,
        failed_runs=run["failed_runs"] if run else 0,
    )  # fmt: skip


def _runs(db: sqlite3.Connection, host_id: str) -> dict[str, sqlite3.Row]:
    found = rows(db, "SELECT * FROM backup WHERE host_id = ?", (host_id,))
    return {run["source_group_id"]: run for run in found}
