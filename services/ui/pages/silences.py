"""Silences: of which alerts nobody is told for a while, and a form that makes one."""

from __future__ import annotations

import sqlite3
from datetime import datetime
from typing import Any

from litestar import Controller, Response, get, post
from litestar.response import Redirect

from libs.common.clock import to_rfc3339
from libs.common.durations import parse_duration
from libs.common.errors import BadInput, DormiceError
from libs.common.events.alert import AlertKind
from libs.common.weekly import Weekly, parse_weekly
from libs.common.weekly import describe as describe_weekly
from services.ui import queries
from services.ui.guards import page, read_form, same_origin
from services.ui.pages import words
from services.ui.pages.failures import describe
from services.ui.pages.rendering import PageRequest, PathId, show, to
from services.ui.pages.times import from_field
from services.ui.queries import HostQuery
from services.ui.site import Site, site_of

Answered = Response[str] | Redirect
PATH = "/silences"


class SilencePages(Controller):
    path = PATH
    guards = (page(),)

    @get("/")
    async def silences(self, request: PageRequest) -> Response[str]:
        """`host` of the address: the one that the form begins with."""
        host = request.query_params.get("host", "")[:64]
        return await _page(request, typed={"host": host} if host else None)

    @post("/", guards=[page("operator"), same_origin], status_code=303)
    async def add(self, request: PageRequest) -> Answered:
        form = {key: value.strip() for key, value in (await read_form(request)).items()}
        try:
            await _ask(request, "create_silence", await _wanted(site_of(request), form))
        except DormiceError as error:
            return await _page(request, error, form)
        return to(PATH, "silenced")

    @post("/{silence_id:str}/end", guards=[page("operator"), same_origin], status_code=303)
    async def end(self, request: PageRequest, silence_id: PathId) -> Answered:
        await read_form(request)
        try:
            await _ask(request, "end_silence", {"silence_id": silence_id[:64]})
        except DormiceError as error:
            return await _page(request, error)
        return to(PATH, "unsilenced")


async def _ask(request: PageRequest, verb: str, asked: dict[str, Any]) -> Any:
    return (await site_of(request).calls.ask("alerting", verb, asked, request.user)).result


async def _wanted(site: Site, form: dict[str, str]) -> dict[str, Any]:
    """Return what the form asks for; an empty field asks for nothing. Raises: BadInput."""
    wanted: dict[str, Any] = {name: form[name] for name in ("tag", "reason") if form.get(name)}
    if form.get("kind"):
        if form["kind"] not in tuple(AlertKind):
            raise BadInput("there is no such kind of alert")
        wanted["kind"] = form["kind"]
    if form.get("host"):
        wanted["host_id"] = await _host_id(site, form["host"].lower())
    for name in ("from", "to"):
        if form.get(name):
            wanted[name] = to_rfc3339(_read(from_field, form[name]))
    if form.get("weekly"):
        zone = form.get("timezone", "")
        wanted["weekly"] = _read(lambda text: parse_weekly(text, zone), form["weekly"]).body()
    if "until_ended" in form:
        wanted["until_ended"] = True
    if form.get("for"):
        wanted["for"] = _read(parse_duration, form["for"]).total_seconds()
    return wanted


def _read(parse: Any, text: str) -> Any:
    try:
        return parse(text)
    except ValueError as error:
        raise BadInput(str(error)) from None


async def _host_id(site: Site, name: str) -> str:
    """Raises: BadInput: no host has this name."""
    now, fleet = site.now, site.fleet
    query = HostQuery().with_term("name", name)
    found = await site.read(lambda db: queries.list_hosts(db, query, now=now, fleet=fleet))
    for host in found.items:
        if host.name == name:
            return host.id
    raise BadInput(f"no host is called {name[:64]}")


async def _page(
    request: PageRequest, error: DormiceError | None = None, typed: dict[str, str] | None = None
) -> Response[str]:
    """Show what is not over; `error`: what a form, as it was `typed`, asked for in vain."""
    status, problem = describe(error) if error else (200, "")
    silences, away = await _silences(request)
    return await show(
        request, "silences.html", status=status, problem=problem, silences=silences, away=away,
        kinds=tuple(AlertKind), typed=typed or {}, live={},
    )  # fmt: skip


async def _silences(request: PageRequest) -> tuple[list[dict[str, Any]], str]:
    """Return the silences that are not over, or why they cannot be shown."""
    try:
        found = await _ask(request, "list_silences", {"over": False})
    except DormiceError as error:
        return [], error.message
    site = site_of(request)
    names = await site.read(lambda db: {one["id"]: _name_of(db, site, one) for one in found})
    return [_shown(one, names[one["id"]]) for one in found], ""


def _name_of(db: sqlite3.Connection, site: Site, silence: dict[str, Any]) -> str | None:
    """Return the name of the host that a silence is for; of one that is gone its id."""
    host_id = silence["host_id"]
    host = queries.find_host(db, host_id, now=site.now, fleet=site.fleet) if host_id else None
    return host.name if host else host_id


def _shown(silence: dict[str, Any], host: str | None) -> dict[str, Any]:
    tagged = f"hosts tagged {silence['tag']}" if silence["tag"] else None
    kind = words.alert_name(silence["kind"]) if silence["kind"] else None
    return silence | {
        "whom": ", ".join(part for part in (host, tagged, kind) if part),
        "begins_at": datetime.fromisoformat(silence["from"]),
        "ends_at": datetime.fromisoformat(silence["to"]) if silence["to"] else None,
        "when": describe_weekly(Weekly.model_validate(silence["weekly"]))
        if silence["weekly"]
        else "",
    }
