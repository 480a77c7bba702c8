"""Settings: channels (who is told), operators (who may come in), API tokens, thresholds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from litestar import Controller, Response, get

from libs.common.errors import DormiceError
from libs.common.events.host import HostMode
from libs.common.loop.machine import ROLES
from services.ui import access, queries, store_access
from services.ui.guards import page
from services.ui.pages.channel_forms import FORMS
from services.ui.pages.failures import describe
from services.ui.pages.rendering import PageRequest, Rights, show
from services.ui.queries import Slice
from services.ui.site import site_of

ALL = Slice(limit=1000)


@dataclass(frozen=True, slots=True)
class NewToken:
    """An API token that was just made; `secret` is shown this once."""

    name: str
    secret: str


class SettingsPages(Controller):
    path = "/settings"
    guards = (page(),)

    @get("/")
    async def settings(self, request: PageRequest) -> Response[str]:
        return await settings_page(request)


async def settings_page(
    request: PageRequest,
    error: DormiceError | None = None,
    typed: dict[str, str] | None = None,
    made: NewToken | None = None,
) -> Response[str]:
    """Show the settings; `error`: what a form asked for in vain, `typed`: one of thresholds."""
    site = site_of(request)
    status, problem = describe(error) if error else (200, "")
    channels, away = await _channels(request)
    latest = await site.read(queries.latest_deliveries)
    return await show(
        request, "settings.html", status=status, problem=problem, channels=channels, away=away,
        latest=latest, forms=FORMS, made=made, **await _people(request),
        fleet=await site.fleet_in_force(), modes=tuple(HostMode), typed=typed or {}, live={},
    )  # fmt: skip


async def _people(request: PageRequest) -> dict[str, Any]:
    """Return operators and API tokens: for admins, as the API has it."""
    if not Rights(request.user).administer:
        return {}
    operators, tokens = await site_of(request).read(
        lambda db: (store_access.list_operators(db, ALL), store_access.list_tokens(db, ALL))
    )
    return {
        "operators": operators.items, "tokens": tokens.items, "own_token": access.FIRST_ADMIN,
        "roles": ROLES,
    }  # fmt: skip


async def _channels(request: PageRequest) -> tuple[list[dict[str, Any]], str]:
    try:
        answer = await site_of(request).calls.ask("notify", "list_channels", {}, request.user)
    except DormiceError as error:
        return [], error.message
    return list(answer.result), ""
