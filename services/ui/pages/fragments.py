"""The pieces of pages that can change, by key: what the live stream sends, read in one hop.

A key is (kind, id). Kinds: `row`, `host` and `plan` (its schedules) of a host, `alert`, `jobrow`
and `job` of a job, `fleet` (verdict and counts), `list` (which of its rows no longer match),
`enroll` (steps).

One stream serves all tabs of a browser, so an element's id names what it shows: two tabs with two
hosts must not take each other's pieces. A list is of one tab: its id is made with the page.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from services.ui import queries, search
from services.ui.pages import enroll
from services.ui.pages.alerts import filter_of
from services.ui.pages.host import Parts, read_parts, strip_for, told_for
from services.ui.pages.rendering import macros
from services.ui.pages.rows import cells_of, make_row, strips_of
from services.ui.pages.times import clock, clock_at, zone_of
from services.ui.pages.wants import Key, ListWant
from services.ui.queries import JobFilter
from services.ui.site import Site
from services.ui.views import DeliveryView, HostView, ScheduleView, Strip

Elements = dict[str, str]
"""Element id → HTML."""


@dataclass(slots=True)
class Known:
    """What was read for some keys; a thing that is gone has none."""

    hosts: dict[str, HostView] = field(default_factory=dict)
    strips: dict[str, Strip] = field(default_factory=dict)
    parts: dict[str, Parts] = field(default_factory=dict)
    plans: dict[str, Sequence[ScheduleView]] = field(default_factory=dict)
    alerts: dict[str, Any] = field(default_factory=dict)
    told: dict[str, list[DeliveryView]] = field(default_factory=dict)
    jobs: dict[str, Any] = field(default_factory=dict)
    counts: Any = None
    verdict: Any = None
    alert_counts: Any = None
    lists: dict[ListWant, tuple[int, int]] = field(default_factory=dict)
    joined: dict[str, HostView | None] = field(default_factory=dict)


async def fragments_of(site: Site, keys: Iterable[Key]) -> dict[Key, Elements]:
    """Return the elements of each key, as they are now."""
    wanted = list(keys)
    known = await site.read(lambda db: _read(db, site, wanted))
    return {key: _RENDER[key[0]](site, known, key[1]) for key in wanted}


# --- Reading --------------------------------------------------------------------------------------


def _read(db: sqlite3.Connection, site: Site, keys: list[Key]) -> Known:
    known, now, fleet = Known(), site.now, site.fleet
    rows = [one for kind, one in keys if kind == "row"]
    pages = [one for kind, one in keys if kind == "host"]
    for host_id in {*rows, *pages}:
        found = queries.find_host(db, host_id, now=now, fleet=fleet)
        if found is not None:
            known.hosts[host_id] = found
    known.strips = strips_of(db, [known.hosts[one] for one in rows if one in known.hosts], now)
    for host_id in pages:
        if host_id in known.hosts:
            known.parts[host_id] = read_parts(db, known.hosts[host_id], site)
    for host_id in {one for kind, one in keys if kind == "plan"}:
        known.plans[host_id] = queries.list_schedules(db, host_id, now=now)
    alerts = [one for kind, one in keys if kind == "alert"]
    known.alerts = {one: queries.find_alert(db, one, now=now) for one in alerts}
    known.told = queries.deliveries_of(db, alerts) if alerts else {}
    jobs = {one for kind, one in keys if kind in ("job", "jobrow")}
    known.jobs = {one: queries.find_job(db, one) for one in jobs}
    _read_general(db, site, keys, known)
    return known


def _read_general(db: sqlite3.Connection, site: Site, keys: list[Key], known: Known) -> None:
    now = site.now
    for kind, what in keys:
        if kind == "fleet":
            known.counts = queries.fleet_counts(db, now=now)
            known.verdict = queries.fleet_verdict(db, now=now)
            known.alert_counts = queries.alert_counts(db)
        elif kind == "list":
            known.lists[what] = _LISTS[what.of](db, site, what)
        elif kind == "enroll":
            known.joined[what] = enroll.host_of_token(db, what, site, site.fleet)


def _hosts_list(db: sqlite3.Connection, site: Site, wanted: ListWant) -> tuple[int, int]:
    """Return how many rows no longer match, and how many more match that are not shown."""
    query, now = queries.parse_query(wanted.query), site.now
    found = search.to_sql(query, now)
    marks = ", ".join("?" * len(wanted.known))
    sql = f"SELECT count(*) FROM host WHERE {found.sql} AND host.id IN ({marks})"  # noqa: S608
    (still,) = db.execute(sql, (*found.parameters, *wanted.known)).fetchone()
    gone = len(wanted.known) - int(still)
    more = queries.count_hosts(db, query, now=now) - wanted.total + gone
    return gone, max(more, 0)


def _alerts_list(db: sqlite3.Connection, site: Site, wanted: ListWant) -> tuple[int, int]:
    """As many as no longer match are counted among the known, however many are in front of them."""
    part = queries.Slice(limit=queries.MAX_LIMIT)
    found = queries.list_alerts(db, filter_of(wanted.query, None), now=site.now, part=part)
    ids = [alert.id for alert in found.items]
    gone = set() if found.next else set(wanted.known) - set(ids)
    return len(gone), len(set(ids[: queries.DEFAULT_LIMIT]) - set(wanted.known))


def _jobs_list(db: sqlite3.Connection, _: Site, wanted: ListWant) -> tuple[int, int]:
    found = queries.list_jobs(db, JobFilter())
    return 0, len({job.id for job in found.items} - set(wanted.known))


_LISTS: dict[str, Callable[[sqlite3.Connection, Site, ListWant], tuple[int, int]]] = {
    "hosts": _hosts_list,
    "alerts": _alerts_list,
    "jobs": _jobs_list,
}


# --- Rendering ------------------------------------------------------------------------------------


def _row(site: Site, known: Known, host_id: str) -> Elements:
    host = known.hosts.get(host_id)
    return cells_of(make_row(host, known.strips[host_id], site.now)) if host else {}


def _host(site: Site, known: Known, host_id: str) -> Elements:
    host, parts = known.hosts.get(host_id), known.parts.get(host_id)
    if host is None or parts is None:
        return {}
    made, now, where = macros("parts/host.html"), site.now, zone_of(host.timezone)
    elements = {
        "state": made.state(host, now),
        "title": made.title(host),
        "backup-word": made.backup_word(host),
        "told": made.told(host, told_for(host, parts, site)),
        "alerts": made.alerts(host, parts.alerts, now),
        "strip": made.strip(strip_for(host, parts, site), host),
        "jobs": made.jobs(host, parts.jobs, parts.group_names, now),
    }
    elements = {f"host-{host_id}-{name}": html for name, html in elements.items()}
    for schedule in parts.schedules:
        said = {"schedule": schedule, "clock": lambda moment: clock(moment, now, where)}
        elements[f"s-{schedule.id}-next"] = made.schedule_next(**said)
        elements[f"s-{schedule.id}-last"] = made.schedule_last(now=now, **said)
        elements[f"s-{schedule.id}-switch"] = made.schedule_switch(schedule)
    for group in parts.groups:
        elements[f"g-{group.id}-last"] = made.group_last(group, now)
        elements[f"g-{group.id}-run"] = made.group_run(group)
    return {name: str(html).strip() for name, html in elements.items()}


def _plan(site: Site, known: Known, host_id: str) -> Elements:
    """The rows of a host's schedules on the page of all schedules."""
    made, now = macros("parts/schedules.html"), site.now
    elements: Elements = {}
    for one in known.plans[host_id]:
        elements[f"p-{one.id}-last"] = str(made.last(one, now))
        elements[f"p-{one.id}-next"] = str(made.next(one, clock_at(now)))
    return elements


def _alert(site: Site, known: Known, alert_id: str) -> Elements:
    alert = known.alerts.get(alert_id)
    if alert is None:
        return {}
    made, now = macros("parts/alerts.html"), site.now
    return {
        f"a-{alert_id}-state": str(made.state(alert, now)),
        f"a-{alert_id}-when": str(made.when_cell(alert, now)),
        f"a-{alert_id}-told": str(made.told(alert, known.told.get(alert_id, []), now)),
    }


def _job_row(site: Site, known: Known, job_id: str) -> Elements:
    job = known.jobs.get(job_id)
    if job is None:
        return {}
    made, now = macros("parts/jobs.html"), site.now
    return {
        f"j-{job_id}-state": str(made.state(job, now)),
        f"j-{job_id}-when": str(made.times_cell(job, now)),
        f"j-{job_id}-error": str(made.error(job)),
    }


def _job(site: Site, known: Known, job_id: str) -> Elements:
    job = known.jobs.get(job_id)
    if job is None:
        return {}
    made, now = macros("parts/job.html"), site.now
    return {
        f"job-{job_id}-state": str(made.state(job, now)),
        f"job-{job_id}-facts": str(made.facts(job, now)).strip(),
    }


def _fleet(_site: Site, known: Known, _what: str) -> Elements:
    counts, alerts = known.counts, known.alert_counts
    numbers = {
        "count-online": counts.online, "count-asleep": counts.asleep,
        "count-offline": counts.offline, "count-never_seen": counts.never_seen,
        "count-total": counts.total, "count-backing-up": counts.backing_up,
        "count-catching-up": counts.catching_up, "count-attention": counts.attention,
        "count-overdue": counts.overdue, "tab-open": alerts.open,
        "tab-acknowledged": alerts.acknowledged, "tab-silenced": alerts.silenced,
    }  # fmt: skip
    elements = {name: f'<b id="{name}">{count}</b>' for name, count in numbers.items()}
    told = alerts.open + alerts.acknowledged
    kind = "badge" if told else "badge none"
    elements["nav-alerts"] = f'<span id="nav-alerts" class="{kind}">{told}</span>'
    elements["verdict"] = str(macros("parts/fleet.html").verdict(known.verdict))
    return elements


def _list(_site: Site, known: Known, wanted: ListWant) -> Elements:
    gone, more = known.lists[wanted]
    return {wanted.id: str(macros("parts/fleet.html").list_state(wanted.id, gone, more))}


def _enroll(_site: Site, known: Known, token_id: str) -> Elements:
    host = known.joined[token_id]
    made = macros("parts/enroll.html").steps(enroll.steps_of(host), host, token_id)
    return {f"enroll-{token_id}": str(made)}


_RENDER: dict[str, Callable[[Site, Known, Any], Elements]] = {
    "row": _row, "host": _host, "plan": _plan, "alert": _alert, "jobrow": _job_row, "job": _job,
    "fleet": _fleet, "list": _list, "enroll": _enroll,
}  # fmt: skip
