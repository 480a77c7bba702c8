"""`/hosts/{id}/jobs` and `/hosts/{id}/snapshots`: ask for a job of any kind; what there is."""

from __future__ import annotations

from litestar import get, post

from libs.common.errors import NotFound
from services.ui import queries
from services.ui.api import bodies, shapes
from services.ui.api.answering import Answered, answer
from services.ui.api.openapi import describe
from services.ui.api.reading import ApiRequest, PathId, body_of
from services.ui.guards import needs
from services.ui.site import site_of


class NoSnapshotsListed(NotFound):
    """The snapshots of this host were never listed; ask for a job of kind snapshots first."""


@post(
    "/hosts/{host_id:str}/jobs", guards=[needs("operator")], status_code=202,
    opt=describe(
        "Starts a job: backup, forget, prune, check, unlock, init, restore or snapshots",
        role="operator", body=bodies.NewJob, answer=shapes.JobStartedOut, status=202,
    ),
)  # fmt: skip
async def start_job(request: ApiRequest, host_id: PathId) -> Answered:
    """A prune or check asked of a laptop may go to a server that shares its repository."""
    wanted = await body_of(request, bodies.NewJob)
    site, actor = site_of(request), request.user
    await site.get_record(host_id, actor)
    arguments = {"host_id": host_id, **wanted.model_dump(mode="json")}
    done = await site.calls.ask("jobs", "start", arguments, actor)
    return answer(shapes.JobStartedOut.model_validate(done.result), status=202, call=done)


@get(
    "/hosts/{host_id:str}/snapshots",
    opt=describe("Shows the snapshots as they were listed last", answer=shapes.SnapshotsOut),
)
async def list_snapshots(request: ApiRequest, host_id: PathId) -> Answered:
    site = site_of(request)
    await site.get_record(host_id, request.user)
    found = await site.read(lambda db: queries.find_snapshots(db, host_id))
    if found is None:
        raise NoSnapshotsListed
    return answer(shapes.SnapshotsOut.model_validate(found))


HANDLERS = [start_job, list_snapshots]
