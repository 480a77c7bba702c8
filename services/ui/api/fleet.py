"""`/fleet`, `/fleet/health`, `/audit`, `/enrollment-tokens`, `/setup-code`."""

from __future__ import annotations

from typing import Any

from litestar import get, post

from services.ui import queries
from services.ui.api import bodies, shapes
from services.ui.api.answering import Answered, answer, answer_page
from services.ui.api.openapi import describe
from services.ui.api.reading import ApiRequest, ListParams, Params, PathId, body_of, params_of
from services.ui.errors import AuditNotFound
from services.ui.guards import needs
from services.ui.queries import AuditFilter
from services.ui.site import site_of
from services.ui.views import AuditView, Page


@get("/fleet", opt=describe("Counts the fleet", params=Params, answer=shapes.FleetOut))
async def get_fleet(request: ApiRequest) -> Answered:
    site, now = site_of(request), site_of(request).now
    counts = await site.read(lambda db: queries.fleet_counts(db, now=now))
    return answer(shapes.FleetOut.model_validate(counts))


@get(
    "/fleet/health",
    opt=describe("Says how the fleet is, for monitors", answer=shapes.FleetHealthOut),
)
async def get_fleet_health(request: ApiRequest) -> Answered:
    site = site_of(request)
    not_ready = tuple(site.reasons_not_ready())
    health = await site.read(lambda db: queries.fleet_health(db, not_ready=not_ready))
    return answer(shapes.FleetHealthOut.model_validate(health))


MAX_DIGITS = 19
"""Fewer than SQLite's largest number has."""


class AuditParams(ListParams):
    host_id: str | None = None
    action: str | None = None
    service: str | None = None
    target: str | None = None
    actor_id: str | None = None
    actor_name: str | None = None

    def filter(self) -> AuditFilter:
        return AuditFilter(
            self.host_id, self.action, self.service, self.target, self.actor_id, self.actor_name
        )


def _entry(view: AuditView) -> dict[str, Any]:
    actor = {
        "kind": view.actor_kind, "id": view.actor_id, "name": view.actor_name,
        "role": view.actor_role,
    }  # fmt: skip
    return {
        "id": view.id, "at": view.at, "service": view.service, "target": view.target,
        "action": view.action, "actor": actor, "host_id": view.host_id, "before": view.before,
        "after": view.after,
    }  # fmt: skip


@get(
    "/audit",
    opt=describe("Lists who changed what", params=AuditParams, answer=shapes.AuditOut, many=True),
)
async def list_audit(request: ApiRequest) -> Answered:
    site, params = site_of(request), params_of(request, AuditParams)
    wanted = params.filter()
    page = await site.read(lambda db: queries.list_audit(db, wanted, part=params.part))
    return answer_page(shapes.AuditOut, Page(tuple(map(_entry, page.items)), page.next))


@get("/audit/{entry_id:str}", opt=describe("Shows an audit entry", answer=shapes.AuditOut))
async def get_audit(request: ApiRequest, entry_id: PathId) -> Answered:
    if not (entry_id.isascii() and entry_id.isdigit() and len(entry_id) < MAX_DIGITS):
        raise AuditNotFound
    view = await site_of(request).read(lambda db: queries.find_audit(db, int(entry_id)))
    if view is None:
        raise AuditNotFound
    return answer(shapes.AuditOut.model_validate(_entry(view)))


@post(
    "/enrollment-tokens", guards=[needs("operator")], status_code=201,
    opt=describe(
        "Makes a token with which agents join", role="operator",
        body=bodies.NewEnrollmentToken, answer=shapes.EnrollmentTokenOut, status=201,
    ),
)  # fmt: skip
async def create_enrollment_token(request: ApiRequest) -> Answered:
    wanted = await body_of(request, bodies.NewEnrollmentToken)
    given = {name: value for name, value in wanted.model_dump().items() if value is not None}
    lasts = given.pop("expires_in", None)
    if lasts is not None:
        given["expires_in_seconds"] = lasts.total_seconds()
    done = await site_of(request).calls.ask(
        "registry", "create_enrollment_token", given, request.user
    )
    body = shapes.EnrollmentTokenOut.model_validate(done.result)
    return answer(body, status=201, call=done)


@post(
    "/setup-code", guards=[needs("admin")], status_code=201,
    opt=describe(
        "Makes a code with which one more admin can be set up", role="admin",
        answer=shapes.SetupCodeOut, status=201,
    ),
)  # fmt: skip
async def create_setup_code(request: ApiRequest) -> Answered:
    code, expires_at = await site_of(request).auth.new_setup_code(request.user)
    return answer(shapes.SetupCodeOut(code=code, expires_at=expires_at), status=201)


HANDLERS = [
    get_fleet, get_fleet_health, list_audit, get_audit, create_enrollment_token, create_setup_code,
]  # fmt: skip
