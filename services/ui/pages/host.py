"""A host's page: how it is, when someone is told, what is backed up when, what happened and why."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Any

from litestar import Controller, Response, get

from libs.common.events.host import Actor
from services.ui import arms, queries
from services.ui.calls import Decisions
from services.ui.guards import page
from services.ui.pages.habits import usual_words
from services.ui.pages.rendering import PageRequest, PathId, render, respond, show
from services.ui.pages.rows import strips_of
from services.ui.pages.strip import WideStrip, wide_strip
from services.ui.pages.times import clock, zone_of
from services.ui.pages.told import Told, when_told
from services.ui.queries import AlertFilter, JobFilter, Slice
from services.ui.site import Site, site_of
from services.ui.views import AlertView, HostView, JobView, ScheduleView, SourceGroupView, Strip

JOBS_SHOWN = 10
WHY_SHOWN = 12


@dataclass(frozen=True, slots=True)
class Parts:
    """All that the read model says on a host's page."""

    schedules: list[ScheduleView]
    groups: list[SourceGroupView]
    jobs: tuple[JobView, ...]
    alerts: tuple[AlertView, ...]
    strip: Strip

    @property
    def group_names(self) -> dict[str, str]:
        return {group.id: group.name for group in self.groups}

    @property
    def kinds(self) -> frozenset[str]:
        return frozenset(alert.kind for alert in self.alerts)


def read_parts(db: sqlite3.Connection, host: HostView, site: Site) -> Parts:
    now = site.now
    wanted = AlertFilter(state="open", host_id=host.id)
    jobs = queries.list_jobs(db, JobFilter(host_id=host.id), part=Slice(limit=JOBS_SHOWN))
    return Parts(
        queries.list_schedules(db, host.id, now=now), queries.list_source_groups(db, host.id),
        jobs.items, queries.list_alerts(db, wanted, now=now).items,
        strips_of(db, [host], now)[host.id],
    )  # fmt: skip


def strip_for(host: HostView, parts: Parts, site: Site) -> WideStrip:
    away = "offline" if host.always_on else "asleep"
    return wide_strip(parts.strip, site.now, zone_of(host.timezone), away_word=away)


def told_for(host: HostView, parts: Parts, site: Site) -> Told:
    return when_told(host, parts.kinds, site.now)


class HostPages(Controller):
    path = "/hosts/{host_id:str}"
    guards = (page(),)

    @get("/")
    async def show_host(self, request: PageRequest, host_id: PathId) -> Response[str]:
        return await host_page(request, host_id)

    @get("/why")
    async def why(self, request: PageRequest, host_id: PathId) -> Response[str]:
        """The decisions alone: newest first, or older ones than the cursor."""
        site = site_of(request)
        host = await site.get_host(host_id, request.user)
        cursor = request.query_params.get("cursor") or None
        found = await decisions_of(site, host.id, request.user, cursor)
        return respond(render("why.html", **why_values(site, host, found), older=bool(cursor)))


async def decisions_of(
    site: Site, host_id: str, actor: Actor, cursor: str | None = None
) -> Decisions:
    return await site.calls.decisions(host_id, actor, limit=WHY_SHOWN, cursor=cursor)


def why_values(site: Site, host: HostView, found: Decisions) -> dict[str, Any]:
    where, now = zone_of(host.timezone), site.now
    lines = [(one, clock(one.at, now, where)) for one in found.page.items]
    return {"host": host, "lines": lines, "next": found.page.next, "missing": found.missing}


async def host_page(
    request: PageRequest,
    host_id: str,
    *,
    status: int = 200,
    problem: str = "",
    typed: dict[str, str] | None = None,
) -> Response[str]:
    """Return a host's page. `typed`: what a refused form held. Raises: HostNotFound."""
    site = site_of(request)
    found = await site.get_host(host_id, request.user)
    (host,) = await arms.with_places(site, [found], request.user)
    parts = await site.read(lambda db: read_parts(db, host, site))
    decisions = await decisions_of(site, host.id, request.user)
    where, now = zone_of(host.timezone), site.now
    return await show(
        request, "host.html", status=status, problem=problem, host=host, parts=parts,
        told=told_for(host, parts, site), strip=strip_for(host, parts, site),
        usual=usual_words(host, parts.strip, now), typed=typed or {},
        clock=lambda moment: clock(moment, now, where), why=why_values(site, host, decisions),
        live={"host": host.id},
    )  # fmt: skip
