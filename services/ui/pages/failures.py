"""How a page says that something cannot be done: a page too, with the status of the error."""

from __future__ import annotations

from http import HTTPStatus
from urllib.parse import quote

import structlog
from litestar import Response
from litestar.exceptions import HTTPException, InternalServerException
from litestar.response import Redirect

from libs.common.errors import DormiceError, status_of
from services.ui.guards import LoginNeeded
from services.ui.pages.rendering import PageRequest, render, respond

log = structlog.get_logger()

OWN_STATUS = {"bad_form": 400}
WORDS = {
    400: "That is no form of ours",
    403: "Not allowed",
    404: "Not here",
    409: "Not now",
    422: "That does not fit",
    429: "Too many tries",
    503: "A part of Dormice is away",
}


def answer_failure(request: PageRequest, error: Exception) -> Response[str] | Redirect:
    """Answer an error on a page: to the login, or a page that says what is wrong."""
    if isinstance(error, LoginNeeded):
        return _to_login(request)
    status, text = describe(error)
    if status >= 500 and not isinstance(error, DormiceError) and not _has_left(error):
        log.error("page_failed", method=request.method, path=request.url.path, exc_info=error)
    title = WORDS.get(status, HTTPStatus(status).phrase)
    return respond(render("failure.html", status=status, title=title, text=text), status)


def _has_left(error: Exception) -> bool:
    """Whoever asked closed the connection before all of it was read: nobody's fault."""
    return isinstance(error, InternalServerException) and "disconnected" in str(error.detail)


def describe(error: Exception) -> tuple[int, str]:
    """Return an error's status and what a person is told."""
    if isinstance(error, DormiceError):
        return OWN_STATUS.get(error.code) or status_of(error.code), error.message
    if isinstance(error, HTTPException):
        text = "There is nothing at this address." if error.status_code == 404 else error.detail
        return error.status_code, text
    return 500, "Something went wrong here; the log of the ui says what."


def _to_login(request: PageRequest) -> Response[str] | Redirect:
    """A fragment that htmx or the live stream asks for must not become a login page."""
    if request.headers.get("hx-request") or request.url.path == "/live":
        return respond("", 401, {"HX-Redirect": "/login"})
    if request.method != "GET" or request.url.path == "/":
        return Redirect("/login", status_code=303)
    asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return Redirect(f"/login?next={quote(asked, safe='')}", status_code=303)
