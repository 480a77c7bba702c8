"""From which hosts files can be taken back, a host's snapshots, a restore from one of them; and the
forms that ask for other jobs.
"""

from __future__ import annotations

from typing import Any

from litestar import Controller, Response, get, post

from libs.common.errors import BadInput, DormiceError
from libs.common.events.job import JobKind
from services.ui import queries
from services.ui.guards import page, same_origin
from services.ui.pages import forms, paging
from services.ui.pages.failures import describe
from services.ui.pages.host import host_page
from services.ui.pages.host_forms import Answered, ask, checked_form
from services.ui.pages.rendering import PageRequest, PathId, show, to
from services.ui.queries import HostQuery, Slice
from services.ui.site import Site, site_of
from services.ui.views import HostView, Page


class RestorePages(Controller):
    path = "/restore"
    guards = (page(),)

    @get("/")
    async def restorable(self, request: PageRequest) -> Response[str]:
        """The hosts that have a repository, found by the same query as on the fleet page."""
        site, problem, status = site_of(request), "", 200
        text = request.query_params.get("q", "")[:1000]
        try:
            found = await _restorable(site, queries.parse_query(text), paging.part_of(request))
        except BadInput as error:
            status, problem = describe(error)
            found = Page(())
        return await show(
            request, "restore.html", status=status, problem=problem, page=found, text=text,
            base=paging.base_of(request, "q"), first=paging.first_of(request), live={},
        )  # fmt: skip


async def _restorable(site: Site, query: HostQuery, part: Slice) -> Page[HostView]:
    now, fleet = site.now, site.fleet
    return await site.read(
        lambda db: queries.list_hosts(
            db, query.with_term("is", "restorable"), now=now, fleet=fleet, part=part
        )
    )


class SnapshotPages(Controller):
    path = "/hosts/{host_id:str}/snapshots"
    guards = (page(),)

    @get("/")
    async def snapshots(self, request: PageRequest, host_id: PathId) -> Response[str]:
        """`snapshot` of the address: the one that the form of the restore begins with."""
        chosen = request.query_params.get("snapshot", "")[:64]
        typed = {"snapshot": chosen} if chosen else None
        return await snapshots_page(request, host_id, typed=typed)


async def snapshots_page(
    request: PageRequest,
    host_id: str,
    *,
    status: int = 200,
    problem: str = "",
    typed: dict[str, str] | None = None,
) -> Response[str]:
    """Return the page; `typed`: what the form holds. Raises: HostNotFound."""
    site = site_of(request)
    host = await site.get_host(host_id, request.user)
    found = await site.read(lambda db: queries.find_snapshots(db, host_id))
    return await show(
        request, "snapshots.html", status=status, problem=problem, host=host, found=found,
        typed=typed or {},
    )  # fmt: skip


class JobForms(Controller):
    """Ask for a job of any kind; a host that is away does it when it wakes."""

    path = "/hosts/{host_id:str}"
    guards = (
        page("operator"),
        same_origin,
    )

    @post("/jobs", status_code=303)
    async def start(self, request: PageRequest, host_id: PathId) -> Answered:
        form = await checked_form(request, host_id)
        try:
            job_id = await _start(request, host_id, _asked(form))
        except DormiceError as error:
            status, text = describe(error)
            return await host_page(request, host_id, status=status, problem=text)
        return to(f"/jobs/{job_id}", "job")

    @post("/restore", status_code=303)
    async def restore(self, request: PageRequest, host_id: PathId) -> Answered:
        form = await checked_form(request, host_id)
        arguments = {
            "snapshot": form.get("snapshot", "").strip(),
            "target": form.get("target", "").strip(),
            "paths": forms.lines(form.get("paths", "")),
        }
        try:
            asked = {"kind": JobKind.RESTORE, "arguments": arguments}
            job_id = await _start(request, host_id, asked)
        except DormiceError as error:
            status, text = describe(error)
            return await snapshots_page(request, host_id, status=status, problem=text, typed=form)
        return to(f"/jobs/{job_id}", "job")


def _asked(form: dict[str, str]) -> dict[str, Any]:
    """Raises: BadInput."""
    if form.get("kind") not in list(JobKind):
        raise BadInput(f"kind must be one of {', '.join(JobKind)}")
    return {"kind": form["kind"], "source_group_id": form.get("source_group_id") or None}


async def _start(request: PageRequest, host_id: str, asked: dict[str, Any]) -> str:
    done = await ask(request, "jobs", "start", host_id, when_it_wakes=True, **asked)
    return str(done.result["job_id"])
