"""`/hosts`: list, one, change, mode, remove, token, backup."""

from __future__ import annotations

from collections.abc import Set
from typing import Any, Literal

from litestar import delete, get, patch, post, put

from libs.common.errors import BadInput, HostNotFound
from libs.common.events.host import Actor, HostRecord
from services.ui import queries
from services.ui.api import bodies, shapes
from services.ui.api.answering import Answered, answer, answer_page
from services.ui.api.openapi import describe
from services.ui.api.reading import ApiRequest, ListParams, PathId, body_of, params_of
from services.ui.arms import with_places
from services.ui.calls import Answer
from services.ui.guards import needs
from services.ui.search import HostQuery, parse_query
from services.ui.site import Site, is_id, site_of
from services.ui.views import HostView, Page

Flag = Literal["true", "false"]


class HostParams(ListParams):
    """`q` is the query language of the page; the others are fields."""

    q: str = ""
    name: str | None = None
    id: str | None = None
    status: Literal["online", "offline", "never_seen"] | None = None
    display: Literal["online", "offline", "asleep", "never_seen"] | None = None
    state: Literal["online", "offline", "asleep", "never_seen"] | None = None
    always_on: Flag | None = None
    overdue: Flag | None = None
    attention: Flag | None = None
    tags: str | None = None
    tag: str | None = None
    timezone: str | None = None
    os: str | None = None
    arch: str | None = None
    agent_version: str | None = None

    def query(self) -> HostQuery:
        """Return all of it as one query. Raises: BadInput."""
        found = parse_query(self.q)
        for field, key in _FIELDS.items():
            value = getattr(self, field)
            if value is not None:
                found = found.with_term(key, value)
        if self.always_on is not None:
            found = found.with_term("mode", "always-on" if _yes(self.always_on) else "intermittent")
        for word in ("overdue", "attention"):
            value = getattr(self, word)
            if value is not None:
                found = found.with_term("is", word, negated=not _yes(value))
        return found


_FIELDS = {
    "name": "name", "id": "id", "status": "status", "display": "state", "state": "state",
    "tags": "tag", "tag": "tag", "timezone": "timezone", "os": "os", "arch": "arch",
    "agent_version": "version",
}  # fmt: skip


def _yes(flag: Flag) -> bool:
    return flag == "true"


@get("/hosts", opt=describe("Lists hosts", params=HostParams, answer=shapes.HostOut, many=True))
async def list_hosts(request: ApiRequest) -> Answered:
    site, params = site_of(request), params_of(request, HostParams)
    query, now, fleet = params.query(), site.now, site.fleet
    page = await site.read(
        lambda db: queries.list_hosts(db, query, now=now, fleet=fleet, part=params.part)
    )
    items = await with_places(site, page.items, request.user)
    return answer_page(shapes.HostOut, Page(items, page.next))


@get("/hosts/{host_id:str}", opt=describe("Shows a host", answer=shapes.HostOut))
async def get_host(request: ApiRequest, host_id: PathId) -> Answered:
    site = site_of(request)
    host = await site.get_host(host_id, request.user)
    return answer(shapes.HostOut.model_validate(await _placed(site, host, request.user)))


async def _placed(site: Site, host: HostView, actor: Actor) -> HostView:
    (placed,) = await with_places(site, (host,), actor)
    return placed


@patch(
    "/hosts/{host_id:str}", guards=[needs("operator")],
    opt=describe(
        "Changes a host", role="operator", body=bodies.HostPatch, answer=shapes.HostOut
    ),
)  # fmt: skip
async def patch_host(request: ApiRequest, host_id: PathId) -> Answered:
    wanted = await body_of(request, bodies.HostPatch)
    arguments = {"host_id": host_id, **wanted.sent()}
    if wanted.thresholds is not None:
        fields = wanted.thresholds.model_fields_set
        arguments["thresholds"] = threshold_seconds(wanted.thresholds, fields)
    return await _change_host(request, host_id, "patch_host", arguments)


def threshold_seconds(wanted: bodies.ThresholdsBody, fields: Set[str]) -> dict[str, int | None]:
    """Return those of `fields` that were sent, as the registry names them.

    Raises: BadInput for what is no whole number of seconds.
    """
    seconds = {}
    for name in wanted.model_fields_set & fields:
        value = getattr(wanted, name)
        whole = None if value is None else value.total_seconds()
        if whole is not None and whole != int(whole):
            raise BadInput(f"thresholds.{name} must be whole seconds")
        seconds[f"{name}_seconds"] = None if whole is None else int(whole)
    return seconds


@put(
    "/hosts/{host_id:str}/mode", guards=[needs("operator")],
    opt=describe(
        "Says whether a host is expected 24×7", role="operator", body=bodies.Mode,
        answer=shapes.HostOut,
    ),
)  # fmt: skip
async def set_mode(request: ApiRequest, host_id: PathId) -> Answered:
    wanted = await body_of(request, bodies.Mode)
    arguments = {"host_id": host_id, "always_on": wanted.always_on}
    return await _change_host(request, host_id, "set_mode", arguments)


async def _change_host(
    request: ApiRequest, host_id: str, verb: str, arguments: dict[str, Any]
) -> Answered:
    """Have the registry change a host, and answer with the host as it is then."""
    site, actor = site_of(request), request.user
    done = await ask_about_host(site, host_id, verb, arguments, actor)
    host = await _after(site, HostRecord.model_validate(done.result), actor)
    return answer(shapes.HostOut.model_validate(host), call=done)


async def _after(site: Site, record: HostRecord, actor: Actor) -> HostView:
    now, fleet = site.now, site.fleet
    host = await site.read(lambda db: queries.find_host(db, record.id, now=now, fleet=fleet))
    if host is None or host.version < record.version:
        return queries.view_of_record(record, now=now, fleet=await site.fleet_in_force())
    return await _placed(site, host, actor)


async def ask_about_host(
    site: Site, host_id: str, verb: str, arguments: dict[str, Any], actor: Actor
) -> Answer:
    """Ask the registry about a host. Raises: HostNotFound, and what `Calls.ask` raises."""
    if not is_id(host_id):
        raise HostNotFound
    return await site.calls.ask("registry", verb, arguments, actor)


@delete(
    "/hosts/{host_id:str}", guards=[needs("admin")], status_code=200,
    opt=describe("Removes a host for ever", role="admin", status=204),
)  # fmt: skip
async def remove_host(request: ApiRequest, host_id: PathId) -> Answered:
    arguments = {"host_id": host_id}
    done = await ask_about_host(site_of(request), host_id, "remove_host", arguments, request.user)
    return answer(None, status=204, call=done)


@post(
    "/hosts/{host_id:str}/rotate-token", guards=[needs("admin")], status_code=202,
    opt=describe("Has the agent take a new token", role="admin", status=202),
)  # fmt: skip
async def rotate_token(request: ApiRequest, host_id: PathId) -> Answered:
    """The new token goes to the agent and is shown to nobody."""
    arguments = {"host_id": host_id}
    done = await ask_about_host(site_of(request), host_id, "rotate_token", arguments, request.user)
    return answer(None, status=202, call=done)


@post(
    "/hosts/{host_id:str}/backup", guards=[needs("operator")], status_code=202,
    opt=describe(
        "Backs up a source group now, or when the host wakes", role="operator",
        body=bodies.BackupNow, answer=shapes.JobIdOut, status=202,
    ),
)  # fmt: skip
async def backup_host(request: ApiRequest, host_id: PathId) -> Answered:
    wanted = await body_of(request, bodies.BackupNow)
    site, actor = site_of(request), request.user
    await site.get_record(host_id, actor)
    arguments = {"host_id": host_id, **wanted.model_dump()}
    done = await site.calls.ask("jobs", "backup", arguments, actor)
    return answer(shapes.JobIdOut.model_validate(done.result), status=202, call=done)


HANDLERS = [
    list_hosts, get_host, patch_host, set_mode, remove_host, rotate_token, backup_host,
]  # fmt: skip
