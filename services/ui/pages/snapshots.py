"""A host's snapshots, and taking files back from one; and the forms that ask for other jobs."""

from __future__ import annotations

from typing import Any

from litestar import Controller, Response, get, post

from libs.common.errors import BadInput, DormiceError
from libs.common.events.job import JobKind
from services.ui import queries
from services.ui.guards import page, same_origin
from services.ui.pages import forms
from services.ui.pages.failures import describe
from services.ui.pages.host import host_page
from services.ui.pages.host_forms import Answered, ask, checked_form
from services.ui.pages.rendering import PageRequest, PathId, show, to
from services.ui.site import site_of


class SnapshotPages(Controller):
    path = "/hosts/{host_id:str}/snapshots"
    guards = (page(),)

    @get("/")
    async def snapshots(self, request: PageRequest, host_id: PathId) -> Response[str]:
        return await snapshots_page(request, host_id)


async def snapshots_page(
    request: PageRequest,
    host_id: str,
    *,
    status: int = 200,
    problem: str = "",
    typed: dict[str, str] | None = None,
) -> Response[str]:
    """Return the page; `typed`: what a refused form held. Raises: HostNotFound."""
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
