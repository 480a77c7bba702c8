"""The audit log: who changed what, when. Also every schedule of the fleet, on its own page."""

from __future__ import annotations

from litestar import Controller, Response, get

from services.ui import queries
from services.ui.guards import page
from services.ui.pages import paging
from services.ui.pages.rendering import PageRequest, show
from services.ui.pages.times import clock_at
from services.ui.queries import AuditFilter
from services.ui.site import site_of


class AuditPages(Controller):
    path = "/"
    guards = (page(),)

    @get("/audit")
    async def audit(self, request: PageRequest) -> Response[str]:
        site, part = site_of(request), paging.part_of(request)
        wanted = AuditFilter(
            host_id=paging.chosen(request, "host_id"),
            action=paging.chosen(request, "action"),
            actor_name=paging.chosen(request, "actor"),
        )
        found = await site.read(lambda db: queries.list_audit(db, wanted, part=part))
        return await show(
            request, "audit.html", page=found, wanted=wanted,
            base=paging.base_of(request, "host_id", "action", "actor"),
            first=paging.first_of(request), live={},
        )  # fmt: skip

    @get("/schedules")
    async def schedules(self, request: PageRequest) -> Response[str]:
        site, part = site_of(request), paging.part_of(request)
        now = site.now
        found = await site.read(lambda db: queries.list_all_schedules(db, now=now, part=part))
        return await show(
            request, "schedules.html", page=found, base=paging.base_of(request),
            clock=clock_at(now), live={},
        )  # fmt: skip
