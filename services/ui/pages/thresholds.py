"""Forms of the settings page: thresholds of tags and of modes."""

from __future__ import annotations

from typing import Any

from litestar import Controller, Response, post
from litestar.response import Redirect

from libs.common.errors import BadInput, DormiceError
from libs.common.events.host import HostMode
from services.ui.guards import page, read_form, same_origin
from services.ui.pages.forms import seconds_of
from services.ui.pages.rendering import PageRequest, to
from services.ui.pages.settings import settings_page
from services.ui.site import site_of

Answered = Response[str] | Redirect


class ThresholdForms(Controller):
    path = "/settings/thresholds"
    guards = (page("operator"), same_origin)

    @post("/", status_code=303)
    async def set_thresholds(self, request: PageRequest) -> Answered:
        """An empty field changes nothing."""
        form = await _form(request)
        try:
            asked: dict[str, Any] = _place(form)
            for name in ("offline", "stale", "missed"):
                if form.get(name):
                    asked[f"{name}_seconds"] = seconds_of(form[name])
            await _ask(request, "set_thresholds", asked)
        except DormiceError as error:
            return await settings_page(request, error, form)
        return to("/settings", "thresholds")

    @post("/clear", status_code=303)
    async def clear_thresholds(self, request: PageRequest) -> Answered:
        form = await _form(request)
        try:
            await _ask(request, "clear_thresholds", _place(form))
        except DormiceError as error:
            return await settings_page(request, error)
        return to("/settings", "thresholds")


async def _form(request: PageRequest) -> dict[str, str]:
    return {key: value.strip() for key, value in (await read_form(request)).items()}


def _place(form: dict[str, str]) -> dict[str, Any]:
    """Raises: BadInput."""
    if form.get("mode") and form["mode"] not in tuple(HostMode):
        raise BadInput("there is no such mode")
    return {name: form[name] for name in ("tag", "mode") if form.get(name)}


async def _ask(request: PageRequest, verb: str, asked: dict[str, Any]) -> None:
    await site_of(request).calls.ask("registry", verb, asked, request.user)
