"""`/jobs`: list, one, log, cancel."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Response, get, post
from pydantic import Field, field_validator

from libs.common.errors import RemoteError
from libs.common.events.job import JobKind, JobOrigin, JobStatus
from services.ui import queries
from services.ui.api import shapes
from services.ui.api.answering import Answered, answer, answer_page
from services.ui.api.openapi import describe
from services.ui.api.reading import ApiRequest, ListParams, PathId, params_of
from services.ui.errors import JobNotFound
from services.ui.guards import needs
from services.ui.queries import JobFilter
from services.ui.site import is_id, site_of


class JobParams(ListParams):
    """`status` may name several, with commas."""

    id: str | None = None
    host_id: str | None = None
    status: str | None = None
    kind: JobKind | None = None
    origin: JobOrigin | None = None
    schedule_id: str | None = None
    source_group_id: str | None = None
    run_id: str | None = None
    attempt: Annotated[int, Field(ge=1, le=1_000_000)] | None = None

    @field_validator("status")
    @classmethod
    def _known(cls, value: str | None) -> str | None:
        for part in (value or "").split(","):
            if value is not None and part not in list(JobStatus):
                raise ValueError(f"none of {', '.join(JobStatus)}")
        return value

    def filter(self) -> JobFilter:
        return JobFilter(
            host_id=self.host_id, status=tuple(self.status.split(",")) if self.status else None,
            kind=self.kind, origin=self.origin, schedule_id=self.schedule_id,
            source_group_id=self.source_group_id, run_id=self.run_id, job_id=self.id,
            attempt=self.attempt,
        )  # fmt: skip


@get("/jobs", opt=describe("Lists jobs", params=JobParams, answer=shapes.JobOut, many=True))
async def list_jobs(request: ApiRequest) -> Answered:
    site, params = site_of(request), params_of(request, JobParams)
    wanted = params.filter()
    page = await site.read(lambda db: queries.list_jobs(db, wanted, part=params.part))
    return answer_page(shapes.JobOut, page)


@get("/jobs/{job_id:str}", opt=describe("Shows a job", answer=shapes.JobOut))
async def get_job(request: ApiRequest, job_id: PathId) -> Answered:
    view: Any = await site_of(request).read(lambda db: queries.find_job(db, job_id))
    if view is None:
        view = (await _ask(request, "get_job", job_id)).result
    return answer(shapes.JobOut.model_validate(view))


async def _ask(request: ApiRequest, verb: str, job_id: str) -> Any:
    """Ask jobs about a job. Raises: JobNotFound, Conflict (it has ended already)."""
    if not is_id(job_id):
        raise JobNotFound
    try:
        return await site_of(request).calls.ask("jobs", verb, {"job_id": job_id}, request.user)
    except RemoteError as error:
        if error.code == "not_found":
            raise JobNotFound from None
        raise


@get(
    "/jobs/{job_id:str}/log",
    opt=describe("Shows a job's log", answer=shapes.JobLogOut, plain=True),
)
async def job_log(request: ApiRequest, job_id: PathId) -> Answered:
    """As JSON, or as plain text for who accepts only that."""
    done = await _ask(request, "log", job_id)
    log = shapes.JobLogOut.model_validate(done.result)
    if request.headers.get("accept", "").startswith("text/plain"):
        return Response(log.text.encode(), media_type="text/plain")
    return answer(log)


@post(
    "/jobs/{job_id:str}/cancel", guards=[needs("operator")], status_code=202,
    opt=describe("Stops a job", role="operator", answer=shapes.JobStatusOut, status=202),
)  # fmt: skip
async def cancel_job(request: ApiRequest, job_id: PathId) -> Answered:
    done = await _ask(request, "cancel", job_id)
    return answer(shapes.JobStatusOut.model_validate(done.result), status=202, call=done)


HANDLERS = [list_jobs, get_job, job_log, cancel_job]
