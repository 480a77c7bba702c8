"""Jobs: every attempt at a run, how far it is, and its log."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from litestar import Controller, Response, get, post
from litestar.response import Redirect

from libs.common.errors import DormiceError
from services.ui import queries
from services.ui.errors import JobNotFound
from services.ui.guards import page, read_form, same_origin
from services.ui.pages import paging, words
from services.ui.pages.rendering import PageRequest, PathId, macros, respond, show, to
from services.ui.queries import JobFilter
from services.ui.site import Site, site_of
from services.ui.views import JobView, Page

FILTERS = {
    "running": ("running", "dispatched"),
    "waiting": ("requested",),
    "failed": ("failed", "interrupted", "abandoned"),
    "succeeded": ("succeeded", "succeeded_with_warnings"),
}


@dataclass(frozen=True, slots=True)
class Log:
    """What a job printed. `problem`: why it cannot be shown."""

    text: str = ""
    complete: bool = False
    problem: str = ""


class JobPages(Controller):
    path = "/jobs"
    guards = (page(),)

    @get("/")
    async def jobs(self, request: PageRequest) -> Response[str]:
        site, part = site_of(request), paging.part_of(request)
        status = paging.chosen(request, "status")
        wanted = JobFilter(
            host_id=paging.chosen(request, "host_id"), status=FILTERS.get(status or "")
        )
        found = await site.read(lambda db: queries.list_jobs(db, wanted, part=part))
        list_id = paging.new_list_id()
        is_first = wanted == JobFilter() and not part.cursor
        return await show(
            request, "jobs.html", page=found, filters=[*FILTERS], chosen=status,
            names=await _group_names(site, found), host_id=wanted.host_id,
            base=paging.base_of(request, "status", "host_id"), first=paging.first_of(request),
            list_id=list_id, live={"list": {"id": list_id, "of": "jobs"}} if is_first else {},
        )  # fmt: skip

    @get("/{job_id:str}")
    async def job(self, request: PageRequest, job_id: PathId) -> Response[str]:
        site = site_of(request)
        job = await get_job(site, job_id)
        names = await _group_names(site, Page((job,)))
        log = await log_of(site, job_id, request)
        return await show(
            request, "job.html", job=job, names=names, log=log, is_over=words.is_over(job),
            live={"job": job_id},
        )  # fmt: skip

    @get("/{job_id:str}/log")
    async def log(self, request: PageRequest, job_id: PathId) -> Response[str]:
        """The log alone, for a page that stands open while the job runs."""
        job = await get_job(site_of(request), job_id)
        found = await log_of(site_of(request), job_id, request)
        return respond(str(macros("parts/job.html").log(found, words.is_over(job))))

    @post("/{job_id:str}/cancel", guards=[page("operator"), same_origin], status_code=303)
    async def cancel(self, request: PageRequest, job_id: PathId) -> Redirect:
        site = site_of(request)
        await get_job(site, job_id)
        await read_form(request)
        await site.calls.ask("jobs", "cancel", {"job_id": job_id}, request.user)
        return to(f"/jobs/{job_id}", "cancelled")


async def get_job(site: Site, job_id: str) -> JobView:
    """Raises: JobNotFound."""
    job = await site.read(lambda db: queries.find_job(db, job_id))
    if job is None:
        raise JobNotFound
    return job


async def log_of(site: Site, job_id: str, request: PageRequest) -> Log:
    try:
        answer = await site.calls.ask("jobs", "log", {"job_id": job_id}, request.user)
    except DormiceError as error:
        return Log(problem=error.message)
    return Log(answer.result["text"], answer.result["complete"])


async def _group_names(site: Site, found: Page[JobView]) -> dict[str, str]:
    """Return the names of the source groups that jobs are about."""
    hosts = {job.host_id for job in found.items}

    def read(db: sqlite3.Connection) -> dict[str, str]:
        groups = [group for host in hosts for group in queries.list_source_groups(db, host)]
        return {group.id: group.name for group in groups}

    return await site.read(read)
