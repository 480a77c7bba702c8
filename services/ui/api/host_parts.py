"""`/hosts/{id}/source-groups`, `/schedules`, `/repository`: what is backed up, when, where."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from litestar import delete, get, patch, post, put
from litestar.handlers import HTTPRouteHandler

from libs.common.errors import NotFound
from libs.common.events.host import Schedule, SourceGroup
from services.ui import queries
from services.ui.api import bodies, shapes
from services.ui.api.answering import Answered, answer, answer_page
from services.ui.api.hosts import ask_about_host
from services.ui.api.openapi import describe
from services.ui.api.reading import ApiRequest, ListParams, PathId, body_of, params_of
from services.ui.calls import Answer
from services.ui.guards import needs
from services.ui.reads.short_lists import Order, page_of
from services.ui.site import site_of
from services.ui.views import ScheduleView, SourceGroupView

View = TypeVar("View", SourceGroupView, ScheduleView)


_GROUPS: Order[SourceGroupView] = Order(
    {"id": lambda group: group.id, "name": lambda group: group.name}, "id", lambda group: group.id
)
_SCHEDULES: Order[ScheduleView] = Order(
    {"id": lambda one: one.id, "name": lambda one: one.name}, "id", lambda one: one.id
)
"""By id is by age."""


class SourceGroupNotFound(NotFound):
    """This host has no source group with this id."""


class ScheduleNotFound(NotFound):
    """This host has no schedule with this id."""


async def _groups(request: ApiRequest, host_id: str) -> Sequence[SourceGroupView]:
    site = site_of(request)
    record = await site.get_record(host_id, request.user)
    return await site.read(lambda db: queries.groups_of_record(db, record))


async def _schedules(request: ApiRequest, host_id: str) -> Sequence[ScheduleView]:
    site = site_of(request)
    record, now = await site.get_record(host_id, request.user), site.now
    return await site.read(lambda db: queries.schedules_of_record(db, record, now=now))


def _pick(views: Sequence[View], item_id: str, missing: type[NotFound]) -> View:
    for view in views:
        if view.id == item_id:
            return view
    raise missing


async def _ask(request: ApiRequest, verb: str, host_id: str, arguments: dict[str, Any]) -> Answer:
    return await ask_about_host(
        site_of(request), host_id, verb, {"host_id": host_id, **arguments}, request.user
    )


# --- Source groups --------------------------------------------------------------------------------


@get(
    "/hosts/{host_id:str}/source-groups",
    opt=describe("Lists source groups", params=ListParams, answer=shapes.SourceGroupOut, many=True),
)
async def list_source_groups(request: ApiRequest, host_id: PathId) -> Answered:
    part = params_of(request, ListParams).part
    page = page_of(await _groups(request, host_id), _GROUPS, part)
    return answer_page(shapes.SourceGroupOut, page)


@get(
    "/hosts/{host_id:str}/source-groups/{item_id:str}",
    opt=describe("Shows a source group", answer=shapes.SourceGroupOut),
)
async def get_source_group(request: ApiRequest, host_id: PathId, item_id: PathId) -> Answered:
    view = _pick(await _groups(request, host_id), item_id, SourceGroupNotFound)
    return answer(shapes.SourceGroupOut.model_validate(view))


async def _answer_group(
    request: ApiRequest, host_id: str, done: Answer, status: int = 200
) -> Answered:
    group = SourceGroup.model_validate(done.result)
    view = await site_of(request).read(lambda db: queries.view_of_group(db, host_id, group))
    return answer(shapes.SourceGroupOut.model_validate(view), status=status, call=done)


@post(
    "/hosts/{host_id:str}/source-groups", guards=[needs("operator")],
    opt=describe(
        "Adds a source group", role="operator", body=bodies.NewSourceGroup,
        answer=shapes.SourceGroupOut, status=201,
    ),
)  # fmt: skip
async def create_source_group(request: ApiRequest, host_id: PathId) -> Answered:
    wanted = await body_of(request, bodies.NewSourceGroup)
    done = await _ask(request, "create_source_group", host_id, wanted.sent())
    return await _answer_group(request, host_id, done, 201)


@patch(
    "/hosts/{host_id:str}/source-groups/{item_id:str}", guards=[needs("operator")],
    opt=describe(
        "Changes a source group", role="operator", body=bodies.SourceGroupPatch,
        answer=shapes.SourceGroupOut,
    ),
)  # fmt: skip
async def patch_source_group(request: ApiRequest, host_id: PathId, item_id: PathId) -> Answered:
    wanted = await body_of(request, bodies.SourceGroupPatch)
    done = await _ask(request, "patch_source_group", host_id, {"id": item_id, **wanted.sent()})
    return await _answer_group(request, host_id, done)


# --- Schedules ------------------------------------------------------------------------------------


@get(
    "/hosts/{host_id:str}/schedules",
    opt=describe("Lists schedules", params=ListParams, answer=shapes.ScheduleOut, many=True),
)
async def list_schedules(request: ApiRequest, host_id: PathId) -> Answered:
    part = params_of(request, ListParams).part
    page = page_of(await _schedules(request, host_id), _SCHEDULES, part)
    return answer_page(shapes.ScheduleOut, page)


@get(
    "/hosts/{host_id:str}/schedules/{item_id:str}",
    opt=describe("Shows a schedule", answer=shapes.ScheduleOut),
)
async def get_schedule(request: ApiRequest, host_id: PathId, item_id: PathId) -> Answered:
    view = _pick(await _schedules(request, host_id), item_id, ScheduleNotFound)
    return answer(shapes.ScheduleOut.model_validate(view))


async def _answer_schedule(
    request: ApiRequest, host_id: str, done: Answer, status: int = 200
) -> Answered:
    site, schedule = site_of(request), Schedule.model_validate(done.result)
    record, now = await site.get_record(host_id, request.user), site.now
    view = await site.read(lambda db: queries.view_of_schedule(db, record, schedule, now=now))
    return answer(shapes.ScheduleOut.model_validate(view), status=status, call=done)


@post(
    "/hosts/{host_id:str}/schedules", guards=[needs("operator")],
    opt=describe(
        "Adds a schedule", role="operator", body=bodies.NewSchedule,
        answer=shapes.ScheduleOut, status=201,
    ),
)  # fmt: skip
async def create_schedule(request: ApiRequest, host_id: PathId) -> Answered:
    wanted = await body_of(request, bodies.NewSchedule)
    done = await _ask(request, "create_schedule", host_id, wanted.sent())
    return await _answer_schedule(request, host_id, done, 201)


@patch(
    "/hosts/{host_id:str}/schedules/{item_id:str}", guards=[needs("operator")],
    opt=describe(
        "Changes a schedule", role="operator", body=bodies.SchedulePatch,
        answer=shapes.ScheduleOut,
    ),
)  # fmt: skip
async def patch_schedule(request: ApiRequest, host_id: PathId, item_id: PathId) -> Answered:
    wanted = await body_of(request, bodies.SchedulePatch)
    done = await _ask(request, "patch_schedule", host_id, {"id": item_id, **wanted.sent()})
    return await _answer_schedule(request, host_id, done)


# --- Deleting, and the repository -----------------------------------------------------------------


def _deleter(path: str, verb: str, text: str) -> HTTPRouteHandler:
    @delete(
        path, guards=[needs("operator")], status_code=200, name=verb,
        opt=describe(text, role="operator", status=204),
    )  # fmt: skip
    async def delete_item(request: ApiRequest, host_id: PathId, item_id: PathId) -> Answered:
        done = await _ask(request, verb, host_id, {"id": item_id})
        return answer(None, status=204, call=done)

    return delete_item


delete_source_group = _deleter(
    "/hosts/{host_id:str}/source-groups/{item_id:str}", "delete_source_group",
    "Deletes a source group",
)  # fmt: skip
delete_schedule = _deleter(
    "/hosts/{host_id:str}/schedules/{item_id:str}", "delete_schedule", "Deletes a schedule"
)


@put(
    "/hosts/{host_id:str}/repository", guards=[needs("operator")],
    opt=describe(
        "Says where a host backs up to; never shown again", role="operator",
        body=bodies.Repository, status=204,
    ),
)  # fmt: skip
async def set_repository(request: ApiRequest, host_id: PathId) -> Answered:
    wanted = await body_of(request, bodies.Repository)
    done = await _ask(request, "set_repository", host_id, wanted.secrets())
    return answer(None, status=204, call=done)


HANDLERS = [
    list_source_groups, get_source_group, create_source_group, patch_source_group,
    delete_source_group, list_schedules, get_schedule, create_schedule, patch_schedule,
    delete_schedule, set_repository,
]  # fmt: skip
