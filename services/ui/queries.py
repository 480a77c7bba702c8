"""Everything that may be asked of the read model, in one place: what API and pages import.

Each takes the connection first, so it runs by `await site.read(lambda db: list_hosts(db, …))`: one
hop to the database thread for as many queries as the lambda makes.

    list_hosts(db, query: HostQuery, *, now, fleet: FleetDefaults, part=Slice()) -> Page[HostView]
    count_hosts(db, query, *, now) -> int                list_host_ids(db, query, *, now) -> [str]
    find_host(db, host_id, *, now, fleet) -> HostView | None
    find_record(db, host_id) -> HostRecord | None        list_tags(db) -> [str]
    list_schedules(db, host_id, *, now) -> [ScheduleView]
    list_source_groups(db, host_id) -> [SourceGroupView]
    list_all_schedules(db, *, now, part=Slice()) -> Page[ScheduleView]
    fleet_counts(db, *, now) -> FleetCounts              fleet_verdict(db, *, now) -> Verdict
    fleet_health(db, *, not_ready=()) -> FleetHealth
    list_alerts(db, AlertFilter(…), *, now, part=Slice()) -> Page[AlertView]
    find_alert(db, alert_id, *, now) -> AlertView | None
    alert_counts(db) -> AlertCounts
    deliveries_of(db, alert_ids) -> {alert_id: [DeliveryView]}
    latest_deliveries(db) -> {channel_id: DeliveryView}
    list_jobs(db, JobFilter(…), *, part=Slice()) -> Page[JobView]
    find_job(db, job_id) -> JobView | None
    find_snapshots(db, host_id) -> SnapshotsView | None
    list_audit(db, AuditFilter(…), *, part=Slice()) -> Page[AuditView]
    find_audit(db, entry_id) -> AuditView | None
    strips(db, host_ids, *, since, now) -> {host_id: Strip}
    defaults_in_force(db, fleet) -> FleetDefaults         with the thresholds of tags and modes
    observed_since(db) -> datetime | None                 None: nobody listens for agents now

`Slice(sort="-last_seen_at", cursor=…, limit=100)`; `parse_query(text)` makes a HostQuery, `str()`
its text again. All raise BadInput for what the caller wrote wrongly (sort, cursor, limit, query).
"""

from __future__ import annotations

from services.ui.reads.alerts import (
    ALERT_STATES,
    AlertFilter,
    alert_counts,
    deliveries_of,
    find_alert,
    latest_deliveries,
    list_alerts,
)
from services.ui.reads.audit import AuditFilter, find_audit, list_audit
from services.ui.reads.fleet import fleet_counts, fleet_health, fleet_verdict, observed_since
from services.ui.reads.hosts import (
    count_hosts,
    find_host,
    find_record,
    is_removed,
    list_host_ids,
    list_hosts,
    list_tags,
    view_of_record,
)
from services.ui.reads.jobs import JobFilter, find_job, list_jobs
from services.ui.reads.paging import DEFAULT_LIMIT, MAX_LIMIT, Slice
from services.ui.reads.schedules import (
    groups_of_record,
    list_all_schedules,
    list_schedules,
    list_source_groups,
    schedules_of_record,
    view_of_group,
    view_of_schedule,
)
from services.ui.reads.snapshots import find_snapshots
from services.ui.reads.strips import strips
from services.ui.reads.thresholds import defaults_in_force
from services.ui.search import HostQuery, parse_query

__all__ = [
    "ALERT_STATES",
    "DEFAULT_LIMIT",
    "MAX_LIMIT",
    "AlertFilter",
    "AuditFilter",
    "HostQuery",
    "JobFilter",
    "Slice",
    "alert_counts",
    "count_hosts",
    "defaults_in_force",
    "deliveries_of",
    "find_alert",
    "find_audit",
    "find_host",
    "find_job",
    "find_record",
    "find_snapshots",
    "fleet_counts",
    "fleet_health",
    "fleet_verdict",
    "groups_of_record",
    "is_removed",
    "latest_deliveries",
    "list_alerts",
    "list_all_schedules",
    "list_audit",
    "list_host_ids",
    "list_hosts",
    "list_jobs",
    "list_schedules",
    "list_source_groups",
    "list_tags",
    "observed_since",
    "parse_query",
    "schedules_of_record",
    "strips",
    "view_of_group",
    "view_of_record",
    "view_of_schedule",
]
