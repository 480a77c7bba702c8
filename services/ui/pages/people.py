"""Forms of the settings page, for admins: operators (who may come in), API tokens (what may ask).

A new token is shown once, on the page that answers its form, and stands in no address.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta

from litestar import Controller, Response, get, post
from litestar.response import Redirect

from libs.common.durations import parse_duration
from libs.common.errors import BadInput, DormiceError
from libs.common.loop.machine import ROLES, Role
from services.ui import access
from services.ui.guards import page, read_form, same_origin
from services.ui.pages.rendering import PageRequest, PathId, to
from services.ui.pages.settings import NewToken, settings_page
from services.ui.site import site_of

Answered = Response[str] | Redirect
FORM = (page("admin"), same_origin)


class OperatorForms(Controller):
    path = "/settings/operators"
    guards = FORM

    @post("/", status_code=303)
    async def add(self, request: PageRequest) -> Answered:
        form, auth = await read_form(request), site_of(request).auth
        name, password = form.get("username", ""), form.get("password", "")
        return await _done(
            request, lambda: auth.create_operator(request.user, name, _role(form), password),
            "operator",
        )  # fmt: skip

    @post("/{operator_id:str}/role", status_code=303)
    async def change_role(self, request: PageRequest, operator_id: PathId) -> Answered:
        form, auth = await read_form(request), site_of(request).auth
        return await _done(
            request,
            lambda: auth.change_operator(request.user, operator_id, {"role": _role(form)}),
            "operator-role",
        )

    @post("/{operator_id:str}/password", status_code=303)
    async def set_password(self, request: PageRequest, operator_id: PathId) -> Answered:
        """Whoever changes their own is sent to the login: their session has ended, too."""
        changes = {"password": (await read_form(request)).get("password", "")}
        auth = site_of(request).auth
        return await _done(
            request, lambda: auth.change_operator(request.user, operator_id, changes),
            "operator-password",
        )  # fmt: skip

    @post("/{operator_id:str}/remove", status_code=303)
    async def remove(self, request: PageRequest, operator_id: PathId) -> Answered:
        await read_form(request)
        actor, auth = request.user, site_of(request).auth
        return await _done(
            request,
            lambda: auth.submit(lambda tx: access.delete_operator(tx, actor, operator_id)),
            "operator-removed",
        )


class TokenForms(Controller):
    path = "/settings/tokens"
    guards = (page("admin"),)

    @get("/")
    async def show_settings(self) -> Redirect:
        """The page that shows a new token has this address; asked for again it shows none."""
        return to("/settings")

    @post("/", guards=[same_origin], status_code=200)
    async def make(self, request: PageRequest) -> Answered:
        form = {key: value.strip() for key, value in (await read_form(request)).items()}
        try:
            name, role, lasts = form.get("name", ""), _role(form), _lasts(form.get("expires", ""))
            auth = site_of(request).auth
            secret, kept = await auth.create_token(request.user, name, role, lasts)
        except DormiceError as error:
            return await settings_page(request, error)
        return await settings_page(request, made=NewToken(kept.name, secret))

    @post("/{token_id:str}/remove", guards=[same_origin], status_code=303)
    async def remove(self, request: PageRequest, token_id: PathId) -> Answered:
        await read_form(request)
        actor, auth = request.user, site_of(request).auth
        return await _done(
            request,
            lambda: auth.submit(lambda tx: access.delete_token(tx, actor, token_id)),
            "token-removed",
        )


async def _done(request: PageRequest, work: Callable[[], Awaitable[object]], said: str) -> Answered:
    """Do it and go back to the page, which says so; or show the page with what is wrong."""
    try:
        await work()
    except DormiceError as error:
        return await settings_page(request, error)
    return to("/settings", said)


def _role(form: dict[str, str]) -> Role:
    """Raises: BadInput."""
    for role in ROLES:
        if form.get("role") == role:
            return role
    raise BadInput(f"a role is one of {', '.join(ROLES)}")


def _lasts(text: str) -> timedelta | None:
    """Return for how long a token works; an empty text: until it is removed. Raises: BadInput."""
    if not text:
        return None
    try:
        lasts = parse_duration(text)
    except ValueError as error:
        raise BadInput(str(error)) from None
    if lasts < timedelta(seconds=1):
        raise BadInput("a token must work for at least 1 second")
    return lasts
