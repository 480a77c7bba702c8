"""Reads hosts: rows of the fleet, one host, its schedules and source groups."""

from __future__ import annotations

import json
import sqlite3
from datetime import datetime, timedelta

from libs.common.clock import from_micros, to_micros
from libs.common.events.host import HostRecord
from services.ui import policy, search
from services.ui.reads.columns import flag, moment
from services.ui.reads.fleet import observed_since
from services.ui.reads.paging import Slice, Source, Where, fetch_page, row, rows
from services.ui.reads.thresholds import defaults_in_force
from services.ui.search import HostQuery
from services.ui.views import (
    CatchUpView,
    Display,
    FleetDefaults,
    HostView,
    Page,
    PowerView,
    RunningJob,
)

MATCHES_LIMIT = 100_000
LONGEST_MUTE = timedelta(seconds=60)

_HOSTS = Source(
    columns="host.*, job.kind AS job_kind, job.status AS job_status, job.percent, job.seconds_left",
    tables="host LEFT JOIN job ON job.id = host.current_job_id",
    identity="host.id",
    sorts={
        "name": "host.name",
        "display": "host.display",
        "status": "host.status",
        "last_seen_at": "ifnull(host.last_seen_at, -1)",
        "last_backup_at": "ifnull(host.last_backup_at, -1)",
        "overdue": "ifnull(host.overdue_at, 9000000000000000000)",
        "open_alerts": "host.open_alerts",
        "enrolled_at": "host.enrolled_at",
        "os": "host.os",
        "arch": "host.arch",
        "agent_version": "host.agent_version",
        "timezone": "host.timezone",
        "always_on": "host.always_on",
        "id": "host.id",
    },
    default_sort="name",
)


def list_hosts(
    db: sqlite3.Connection,
    query: HostQuery,
    *,
    now: datetime,
    fleet: FleetDefaults,
    part: Slice = Slice(),  # noqa: B008  # frozen
) -> Page[HostView]:
    """Return a page of the hosts that match. Raises: BadInput."""
    found = search.to_sql(query, now)
    where = Where((found.sql,), found.parameters)
    build = lambda page: _views(db, page, now, fleet)  # noqa: E731
    return fetch_page(db, _HOSTS, where, part, build)


def count_hosts(db: sqlite3.Connection, query: HostQuery, *, now: datetime) -> int:
    """Return how many hosts match."""
    found = search.to_sql(query, now)
    sql = f"SELECT count(*) FROM host WHERE {found.sql}"  # noqa: S608
    return int(db.execute(sql, found.parameters).fetchone()[0])


def list_host_ids(db: sqlite3.Connection, query: HostQuery, *, now: datetime) -> list[str]:
    """Return the ids of all hosts that match ("select all 11 that match"), by name."""
    found = search.to_sql(query, now)
    sql = f"SELECT id FROM host WHERE {found.sql} ORDER BY name LIMIT {MATCHES_LIMIT}"  # noqa: S608
    return [str(value) for (value,) in db.execute(sql, found.parameters)]


def list_tags(db: sqlite3.Connection) -> list[str]:
    """Return every tag in use, sorted."""
    return [str(tag) for (tag,) in db.execute("SELECT DISTINCT tag FROM host_tag ORDER BY tag")]


def find_host(
    db: sqlite3.Connection, host_id: str, *, now: datetime, fleet: FleetDefaults
) -> HostView | None:
    """Return the host, or None if it is not known here or was removed."""
    found = rows(
        db,
        f"SELECT {_HOSTS.columns} FROM {_HOSTS.tables} WHERE host.id = ? AND removed = 0",  # noqa: S608
        (host_id,),
    )
    return _views(db, found, now, fleet)[0] if found else None


def find_record(db: sqlite3.Connection, host_id: str) -> HostRecord | None:
    """Return the registry's record of a host that is in the fleet, else None."""
    found = row(db, "SELECT record FROM host WHERE id = ? AND removed = 0", (host_id,))
    return HostRecord.model_validate_json(found["record"]) if found else None


def is_removed(db: sqlite3.Connection, host_id: str) -> bool:
    """Say whether a host was in the fleet and left it, for ever."""
    return row(db, "SELECT 1 FROM host WHERE id = ? AND removed = 1", (host_id,)) is not None


def view_of_record(record: HostRecord, *, now: datetime, fleet: FleetDefaults) -> HostView:
    """Return how a host is shown of which the read model has heard nothing yet: never seen."""
    overdue_from = policy.host_overdue_from(record, {})
    return HostView(
        id=record.id, name=record.name, always_on=record.always_on, status="never_seen",
        display=Display.NEVER_SEEN, since=None, offline_reason=None, last_seen_at=None,
        last_backup_at=None, current_job=None, pending_jobs=0, timezone=record.timezone,
        tags=record.tags, os=record.os, arch=record.arch, agent_version=record.agent_version,
        power=None, clock_offset_seconds=None, catch_up=None, overdue=overdue_from is not None,
        overdue_since=overdue_from, next_fire_at=policy.host_next_fire(record, now),
        open_alerts=0, failing=0, failed_runs=0, told=frozenset(), attention=False,
        has_schedule=policy.has_schedule(record),
        thresholds=policy.thresholds_of(record, fleet), next_alert=None,
        enrolled_at=record.enrolled_at, has_repository=record.repository_id is not None,
        version=record.version, config_version=0,
    )  # fmt: skip


# --- Building views -------------------------------------------------------------------------------


def _views(
    db: sqlite3.Connection, found: list[sqlite3.Row], now: datetime, fleet: FleetDefaults
) -> list[HostView]:
    ids = [host["id"] for host in found]
    told, failed, since = _told(db, ids), _failed_runs(db, ids), observed_since(db)
    muted, fleet = _muted(db, ids, now), defaults_in_force(db, fleet)
    return [
        _view(
            host, now, fleet,
            policy.Silence(
                host["status"], bool(host["always_on"]), moment(host["last_seen_at"]),
                moment(host["last_backup_at"]), since, bool(host["has_schedule"]),
                told.get(host["id"], frozenset()), muted.get(host["id"], {}),
            ),
            failed.get(host["id"], 0),
        )
        for host in found
    ]  # fmt: skip


def _told(db: sqlite3.Connection, host_ids: list[str]) -> dict[str, frozenset[str]]:
    """Return the kinds of each host's open alerts."""
    sql = (
        "SELECT host_id, kind FROM alert WHERE state <> 'resolved' AND hidden = 0 "
        "AND host_id IN (SELECT value FROM json_each(?))"
    )
    kinds: dict[str, frozenset[str]] = {}
    for host_id, kind in db.execute(sql, (json.dumps(host_ids),)):
        kinds[host_id] = kinds.get(host_id, frozenset()) | {kind}
    return kinds


def _muted(
    db: sqlite3.Connection, host_ids: list[str], now: datetime
) -> dict[str, dict[str, datetime]]:
    """Return until when each host's kinds are muted, after an operator resolved them."""
    sql = (
        "SELECT host_id, kind, json_extract(facts, '$.muted_until') AS until FROM alert "
        "WHERE state = 'resolved' AND resolved_at > ? AND until IS NOT NULL "
        "AND host_id IN (SELECT value FROM json_each(?)) ORDER BY resolved_at"
    )
    found: dict[str, dict[str, datetime]] = {}
    after = to_micros(now - LONGEST_MUTE)
    for host_id, kind, until in db.execute(sql, (after, json.dumps(host_ids))):
        found.setdefault(host_id, {})[kind] = datetime.fromisoformat(until)
    return found


def _failed_runs(db: sqlite3.Connection, host_ids: list[str]) -> dict[str, int]:
    """Return how often backups failed since the last success, of groups whose last one failed."""
    sql = (
        "SELECT host_id, sum(failed_runs) FROM backup WHERE last_run_status = 'failed' "
        "AND host_id IN (SELECT value FROM json_each(?)) GROUP BY host_id"
    )
    return dict(db.execute(sql, (json.dumps(host_ids),)).fetchall())


def _view(
    host: sqlite3.Row,
    now: datetime,
    fleet: FleetDefaults,
    silence: policy.Silence,
    failed_runs: int,
) -> HostView:
    record = HostRecord.model_validate_json(host["record"])
    thresholds = policy.thresholds_of(record, fleet)
    overdue_from = moment(host["overdue_at"])
    overdue = policy.is_overdue_now(overdue_from, host["current_job_id"], now)
    return HostView(
        id=host["id"], name=host["name"], always_on=bool(host["always_on"]),
        status=host["status"], display=Display(host["display"]), since=moment(host["since"]),
        offline_reason=host["offline_reason"], last_seen_at=moment(host["last_seen_at"]),
        last_backup_at=moment(host["last_backup_at"]), current_job=_running(host),
        pending_jobs=host["pending_jobs"], timezone=host["timezone"], tags=record.tags,
        os=host["os"], arch=host["arch"], agent_version=host["agent_version"], power=_power(host),
        clock_offset_seconds=host["clock_offset"], catch_up=_catch_up(host, now), overdue=overdue,
        overdue_since=overdue_from if overdue else None, next_fire_at=_next_fire(host, record, now),
        open_alerts=host["open_alerts"], failing=host["failing"], failed_runs=failed_runs,
        told=silence.told, attention=bool(host["attention"]), has_schedule=silence.has_schedule,
        thresholds=thresholds, next_alert=policy.next_alert(silence, thresholds),
        enrolled_at=from_micros(host["enrolled_at"]),
        has_repository=record.repository_id is not None, version=host["version"],
        config_version=host["config_version"],
    )  # fmt: skip


def _next_fire(host: sqlite3.Row, record: HostRecord, now: datetime) -> datetime | None:
    """The stored one was computed at the last change; once it is past, look again."""
    stored = host["next_fire_at"]
    if stored is None or stored > to_micros(now):
        return moment(stored)
    return policy.host_next_fire(record, now)


def _running(host: sqlite3.Row) -> RunningJob | None:
    if host["current_job_id"] is None:
        return None
    return RunningJob(
        host["current_job_id"], host["job_kind"] or "backup", host["job_status"] or "running",
        host["percent"], host["seconds_left"],
    )  # fmt: skip


def _power(host: sqlite3.Row) -> PowerView | None:
    known = (host["on_battery"], host["battery"], host["metered"])
    if all(value is None for value in known):
        return None
    return PowerView(flag(host["on_battery"]), host["battery"], flag(host["metered"]))


def _catch_up(host: sqlite3.Row, now: datetime) -> CatchUpView | None:
    """What the events tell; only catch-up itself knows a place in the queue."""
    if host["arm_state"] is None:
        return None
    due_at = moment(host["arm_due_at"])
    if host["arm_state"] == "running":
        return CatchUpView("running", due_at)
    if due_at is not None and due_at > now:
        return CatchUpView("settling", due_at)
    return CatchUpView("waiting" if host["current_job_id"] else "queued", due_at)
