"""Who may do what: guards for the API (bearer token) and for pages (session cookie, same origin).

A guard runs before anything of the request is read. It puts the `Actor` where the handler finds it:
`request.user`.

    API:   Router(guards=[bearer]) and per handler `guards=[needs("operator")]`
    pages: `guards=[page("viewer")]`; forms `guards=[page("operator"), same_origin]`, in this order

The order on a page that is also a form: login (303 to /login), role (403), same origin (403); the
handler then looks for the host (404), the content type and body (`read_form`: 400).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.datastructures import Cookie
from litestar.handlers import BaseRouteHandler

from libs.common.errors import DormiceError, Forbidden, Unauthorized
from libs.common.events.host import Actor
from libs.common.loop.machine import ROLES, Role
from services.ui.access import SESSION_LASTS
from services.ui.site import site_of

Connection = ASGIConnection[Any, Any, Any, Any]
Guard = Callable[[Connection, BaseRouteHandler], Any]

COOKIE = "dormice_session"
FORM_TYPES = ("application/x-www-form-urlencoded", "multipart/form-data")
MAX_FIELDS = 1000


class LoginNeeded(Unauthorized):
    """Nobody is logged in. Pages answer with 303 to /login, htmx requests with HX-Redirect."""


class BadForm(DormiceError):
    """The body is not a form."""

    code = "bad_form"


# --- The API --------------------------------------------------------------------------------------


async def bearer(connection: Connection, _: BaseRouteHandler) -> None:
    """Let in who has an API token. Raises: Unauthorized."""
    scheme, _space, token = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthorized("an API token is needed: Authorization: Bearer <token>")
    connection.scope["user"] = await site_of(connection).auth.actor_of_token(token.strip())


def needs(role: Role) -> Guard:
    """Let in who has at least this role; comes after `bearer` or `page`."""

    def check(connection: Connection, _: BaseRouteHandler) -> None:
        require(connection.user, role)

    return check


def require(actor: Actor, role: Role) -> None:
    """Raises: Forbidden."""
    if ROLES.index(actor.role) < ROLES.index(role):
        raise Forbidden(f"this needs the role {role}; yours is {actor.role}")


# --- Pages ----------------------------------------------------------------------------------------


def page(role: Role = "viewer") -> Callable[[Connection, BaseRouteHandler], Awaitable[None]]:
    """Let in who is logged in and has at least this role. Raises: LoginNeeded, Forbidden."""

    async def check(connection: Connection, _: BaseRouteHandler) -> None:
        actor = await find_actor(connection)
        if actor is None:
            raise LoginNeeded
        connection.scope["user"] = actor
        require(actor, role)

    return check


async def find_actor(connection: Connection) -> Actor | None:
    """Return who is logged in on this connection, or None."""
    cookie = connection.cookies.get(COOKIE)
    return await site_of(connection).auth.find_actor_of_session(cookie) if cookie else None


def same_origin(connection: Connection, _: BaseRouteHandler) -> None:
    """Refuse a form that another site sends in the browser of someone who is logged in here.

    Every browser says where a form comes from; a request that says nothing comes from no browser,
    and then nobody's cookie is being abused. Raises: Forbidden.
    """
    fetch_site = connection.headers.get("sec-fetch-site")
    if fetch_site in ("same-origin", "none"):
        return
    origin = connection.headers.get("origin")
    if fetch_site is None and origin is None:
        return
    if fetch_site is None and _is_own(origin or "", connection.headers.get("host", "")):
        return
    raise Forbidden("this form was sent by another site")


def _is_own(origin: str, host: str) -> bool:
    """`Origin` is `http://name:port`, or `null` where a browser hides it."""
    try:
        return bool(host) and urlsplit(origin).netloc.lower() == host.lower()
    except ValueError:
        return False


async def read_form(request: Request[Any, Any, Any]) -> dict[str, str]:
    """Return the fields of a form; an empty body is an empty form. Raises: BadForm."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in FORM_TYPES:
        raise BadForm(f"send a form ({FORM_TYPES[0]})")
    if kind == FORM_TYPES[1]:
        form = await request.form()
        return {key: value for key, value in form.items() if isinstance(value, str)}
    try:
        text = (await request.body()).decode()
        fields = parse_qs(
            text, keep_blank_values=True, strict_parsing=bool(text.strip()), errors="strict",
            max_num_fields=MAX_FIELDS,
        )  # fmt: skip
    except ValueError:
        raise BadForm("the form cannot be read") from None
    return {key: values[-1] for key, values in fields.items()}


def session_cookie(token: str, request: Request[Any, Any, Any]) -> Cookie:
    """Return the cookie that logs a browser in; `Secure` where the page came by https."""
    return Cookie(
        key=COOKIE, value=token, path="/", httponly=True, samesite="lax",
        secure=is_https(request), max_age=int(SESSION_LASTS.total_seconds()),
    )  # fmt: skip


def ended_cookie(request: Request[Any, Any, Any]) -> Cookie:
    """Return the cookie that logs a browser out."""
    return Cookie(
        key=COOKIE, value="", path="/", httponly=True, samesite="lax", secure=is_https(request),
        max_age=0,
    )  # fmt: skip


def is_https(connection: Connection) -> bool:
    forwarded = connection.headers.get("x-forwarded-proto", "")
    return connection.url.scheme == "https" or forwarded.split(",")[0].strip() == "https"


def address_of(connection: Connection) -> str:
    """Return where a request comes from, to count failed tries."""
    return connection.client.host if connection.client else "unknown"
