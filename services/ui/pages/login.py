"""The doors: `/login`, `/setup` with a code for an admin, `/logout`.

A setup code makes the first admin, and later one more: the way in for whom no admin can help. Who
comes when there is one already is not told to be the first.
"""

from __future__ import annotations

from typing import Any

from litestar import Controller, Response, get, post
from litestar.response import Redirect

from libs.common.errors import DormiceError
from services.ui import store_access
from services.ui.auth import Login
from services.ui.guards import (
    COOKIE,
    address_of,
    ended_cookie,
    find_actor,
    read_form,
    same_origin,
    session_cookie,
)
from services.ui.pages.failures import describe
from services.ui.pages.rendering import PageRequest, render, respond, to
from services.ui.site import site_of

LOGIN = {
    "setup": False, "title": "Log in", "button": "Log in",
    "lead": "Backups of hosts that may sleep.",
}  # fmt: skip
SETUP = {
    "setup": True, "title": "Set up", "button": "Create the first operator",
    "lead": "Welcome. Choose who you are; you become the first admin.",
}  # fmt: skip
LATER_SETUP = SETUP | {
    "button": "Create an admin",
    "lead": "There is an admin already. With a setup code you become one more.",
}


class DoorPages(Controller):
    path = "/"

    @get("/login")
    async def show_login(self, request: PageRequest) -> Response[str] | Redirect:
        if await find_actor(request) is not None:
            return to(_own_path(request.query_params.get("next", "")))
        return await _door(request, LOGIN, next_page=request.query_params.get("next", ""))

    @post("/login", guards=[same_origin], status_code=200)
    async def log_in(self, request: PageRequest) -> Response[str] | Redirect:
        form = await read_form(request)
        name, password = form.get("username", ""), form.get("password", "")
        try:
            login = await site_of(request).auth.log_in(name, password, address_of(request))
        except DormiceError as error:
            return await _door(request, LOGIN, form, error, next_page=form.get("next", ""))
        return _let_in(request, login, form.get("next", ""))

    @get("/setup")
    async def show_setup(self, request: PageRequest) -> Response[str]:
        return await _door(request, SETUP)

    @post("/setup", guards=[same_origin], status_code=200)
    async def set_up(self, request: PageRequest) -> Response[str] | Redirect:
        form = await read_form(request)
        code, name = form.get("code", ""), form.get("username", "")
        password, auth = form.get("password", ""), site_of(request).auth
        try:
            login = await auth.redeem_setup_code(code, name, password, address_of(request))
        except DormiceError as error:
            return await _door(request, SETUP, form, error)
        return _let_in(request, login, "/")

    @post("/logout", guards=[same_origin], status_code=303)
    async def log_out(self, request: PageRequest) -> Redirect:
        cookie = request.cookies.get(COOKIE)
        if cookie:
            await site_of(request).auth.log_out(cookie)
        return to("/login", cookies=[ended_cookie(request)])


def _let_in(request: PageRequest, login: Login, next_page: str) -> Redirect:
    return to(_own_path(next_page), cookies=[session_cookie(login.token, request)])


def _own_path(path: str) -> str:
    """Return a path of ours; anything that could lead to another site becomes the fleet."""
    own = path.startswith("/") and not path.startswith(("//", "/\\"))
    return path if own and path.isascii() and path.isprintable() else "/"


async def _door(
    request: PageRequest, words: dict[str, Any], typed: dict[str, str] | None = None,
    error: DormiceError | None = None, *, next_page: str = "",
) -> Response[str]:  # fmt: skip
    status, text = describe(error) if error else (200, "")
    has_admin = await site_of(request).read(store_access.has_admin)
    if has_admin and words is SETUP:
        words = LATER_SETUP
    values = {"typed": typed or {}, "problem": text, "next_page": next_page, **words}
    return respond(render("door.html", has_admin=has_admin, **values), status)
