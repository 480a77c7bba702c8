"""Settings: channels (who is told) and operators (who may come in)."""

from __future__ import annotations

from typing import Any

from litestar import Controller, Response, get, post
from litestar.response import Redirect

from libs.common.errors import BadInput, DormiceError
from libs.common.events.host import HostMode
from services.ui import queries, store_access
from services.ui.guards import page, read_form, same_origin
from services.ui.pages.channel_forms import FORMS
from services.ui.pages.failures import describe
from services.ui.pages.rendering import PageRequest, show, to
from services.ui.queries import Slice
from services.ui.site import site_of

Answered = Response[str] | Redirect
ROLES = ("viewer", "operator", "admin")


class SettingsPages(Controller):
    path = "/settings"
    guards = (page(),)

    @get("/")
    async def settings(self, request: PageRequest) -> Response[str]:
        return await settings_page(request)

    @post("/operators", guards=[page("admin"), same_origin], status_code=303)
    async def add_operator(self, request: PageRequest) -> Answered:
        form = await read_form(request)
        name, role, password = (form.get(key, "") for key in ("username", "role", "password"))
        try:
            if role not in ROLES:
                raise BadInput(f"a role is one of {', '.join(ROLES)}")
            auth: Any = site_of(request).auth
            await auth.create_operator(request.user, name, role, password)
        except DormiceError as error:
            return await settings_page(request, error)
        return to("/settings", "operator")


async def settings_page(
    request: PageRequest,
    error: DormiceError | None = None,
    typed: dict[str, str] | None = None,
) -> Response[str]:
    """Show the settings; `error`: what a form asked for in vain, `typed`: one of thresholds."""
    site = site_of(request)
    status, problem = describe(error) if error else (200, "")
    channels, away = await _channels(request)
    latest = await site.read(queries.latest_deliveries)
    operators = await site.read(lambda db: store_access.list_operators(db, Slice(limit=1000)))
    return await show(
        request, "settings.html", status=status, problem=problem, channels=channels, away=away,
        latest=latest, operators=operators.items, roles=ROLES, forms=FORMS,
        fleet=await site.fleet_in_force(), modes=tuple(HostMode), typed=typed or {}, live={},
    )  # fmt: skip


async def _channels(request: PageRequest) -> tuple[list[dict[str, Any]], str]:
    try:
        answer = await site_of(request).calls.ask("notify", "list_channels", {}, request.user)
    except DormiceError as error:
        return [], error.message
    return list(answer.result), ""
