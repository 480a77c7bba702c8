"""Channels: making one, and the page of one: whom it tells, when, and what became of it."""

from __future__ import annotations

import sqlite3
from datetime import datetime
from functools import partial
from typing import Any

from litestar import Controller, Response, get, post
from litestar.response import Redirect

from libs.common.errors import BadInput, DormiceError, NotFound, RemoteError
from libs.common.events.alert import AlertKind, Severity
from libs.common.weekly import DAYS
from services.ui import queries
from services.ui.guards import page, read_form, same_origin
from services.ui.pages import channel_forms
from services.ui.pages.failures import describe
from services.ui.pages.rendering import PageRequest, PathId, show, to
from services.ui.pages.settings import settings_page
from services.ui.queries import HostQuery
from services.ui.site import is_id, site_of
from services.ui.views import HostView

Answered = Response[str] | Redirect
SHOWN_MESSAGES = 50


class ChannelNotFound(NotFound):
    """No channel has this id."""


class ChannelPages(Controller):
    path = "/settings/channels"
    guards = (page(),)

    @post("/", guards=[page("admin"), same_origin], status_code=303)
    async def add(self, request: PageRequest) -> Answered:
        form = await read_form(request)
        kind = form.get("channel", "webhook")
        try:
            config = channel_forms.config_of(kind, form, new=True)
            asked = {"name": form.get("name", ""), "kind": kind, "config": config}
            made = await _ask(request, "create_channel", asked)
        except DormiceError as error:
            return await settings_page(request, error)
        return to(f"/settings/channels/{made['id']}", "channel")

    @get("/{channel_id:str}")
    async def show_channel(self, request: PageRequest, channel_id: PathId) -> Response[str]:
        return await _page(request, channel_id)

    @post("/{channel_id:str}", guards=[page("admin"), same_origin], status_code=303)
    async def change(self, request: PageRequest, channel_id: PathId) -> Answered:
        form = await read_form(request)
        try:
            kind = (await _channel(request, channel_id))["kind"]
            hosts = await _ids_of(request, channel_forms.listed(form.get("hosts", "").lower()))
            config = channel_forms.config_of(kind, form, new=False)
            wishes = channel_forms.wishes_of(kind, form, hosts)
            asked = {"id": channel_id, "name": form.get("name", ""), "config": config, **wishes}
            await _ask(request, "patch_channel", asked)
        except NotFound:
            raise
        except DormiceError as error:
            return await _page(request, channel_id, error)
        return to(f"/settings/channels/{channel_id}", "channel")

    @post("/{channel_id:str}/test", guards=[page("admin"), same_origin], status_code=303)
    async def test(self, request: PageRequest, channel_id: PathId) -> Answered:
        await read_form(request)
        try:
            await _ask(request, "test_channel", {"id": channel_id})
        except DormiceError as error:
            return await settings_page(request, error)
        return to(f"/settings/channels/{channel_id}", "channel-tested")

    @post("/{channel_id:str}/remove", guards=[page("admin"), same_origin], status_code=303)
    async def remove(self, request: PageRequest, channel_id: PathId) -> Answered:
        await read_form(request)
        try:
            await _ask(request, "delete_channel", {"id": channel_id})
        except DormiceError as error:
            return await settings_page(request, error)
        return to("/settings", "channel-removed")


async def _ask(request: PageRequest, verb: str, asked: dict[str, Any]) -> Any:
    return (await site_of(request).calls.ask("notify", verb, asked, request.user)).result


async def _channel(request: PageRequest, channel_id: str) -> dict[str, Any]:
    """Raises: ChannelNotFound."""
    if not is_id(channel_id):
        raise ChannelNotFound
    try:
        found: dict[str, Any] = await _ask(request, "get_channel", {"id": channel_id})
    except RemoteError as error:
        if error.code.endswith("not_found"):
            raise ChannelNotFound from None
        raise
    return found


async def _page(
    request: PageRequest, channel_id: str, error: DormiceError | None = None
) -> Response[str]:
    """Show a channel; `error`: what its form asked for in vain."""
    status, problem = describe(error) if error else (200, "")
    channel = await _channel(request, channel_id)
    asked = {"channel_id": channel_id, "limit": SHOWN_MESSAGES}
    messages = [
        message | {"created_at": datetime.fromisoformat(message["created_at"])}
        for message in await _ask(request, "deliveries", asked)
    ]
    wanted = channel["filter"] or {}
    names = await _names_of(request, wanted.get("host_ids", []))
    return await show(
        request, "channel.html", status=status, problem=problem, one=channel, messages=messages,
        form=channel_forms.FORMS.get(channel["kind"]), wanted=wanted, hosts=names, live={},
        days=DAYS, kinds=tuple(AlertKind), severities=tuple(Severity),
    )  # fmt: skip


async def _names_of(request: PageRequest, host_ids: list[str]) -> list[str]:
    """Return the hosts' names; of one that is gone its id."""
    site = site_of(request)
    now, fleet = site.now, site.fleet

    def look_up(db: sqlite3.Connection) -> list[str]:
        found = ((one, queries.find_host(db, one, now=now, fleet=fleet)) for one in host_ids)
        return [host.name if host else one for one, host in found]

    return await site.read(look_up)


async def _ids_of(request: PageRequest, names: list[str]) -> dict[str, str]:
    """Return the hosts' ids by name. Raises: BadInput: no host has one of the names."""
    site = site_of(request)
    now, fleet = site.now, site.fleet

    def look_up(db: sqlite3.Connection, name: str) -> list[HostView]:
        query = HostQuery().with_term("name", name)
        return list(queries.list_hosts(db, query, now=now, fleet=fleet).items)

    found: dict[str, str] = {}
    for name in names:
        hosts = await site.read(partial(look_up, name=name))
        found |= {host.name: host.id for host in hosts if host.name == name}
        if name not in found:
            raise BadInput(f"no host is called {name[:64]}")
    return found
