"""Errors as the API tells them: RFC 9457 problem details, `application/problem+json`.

`code` is stable and for programs, `detail` for people. What is our own fault says nothing of itself
but its kind; the log has the rest.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException

from libs.common.errors import DormiceError, status_of

log = structlog.get_logger()

PROBLEM_JSON = "application/problem+json"
HTTP_CODES = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    415: "wrong_content_type",
}
OWN_STATUS = {"bad_request": 400, "bad_form": 400, "wrong_content_type": 415}
RETRY_AFTER_SECONDS = {429: "60", 503: "5"}


class BadBody(DormiceError):
    """The body is not JSON."""

    code = "bad_request"


class WrongContentType(DormiceError):
    """The body must be JSON: Content-Type: application/json."""

    code = "wrong_content_type"


def problem_of(error: Exception) -> tuple[int, dict[str, Any]]:
    """Return status and body for an error."""
    if isinstance(error, DormiceError):
        status = OWN_STATUS.get(error.code) or status_of(error.code)
        fields = {name: value for name, value in error.fields.items() if name not in _RESERVED}
        return status, {**fields, **_body(status, error.code, error.message)}
    if isinstance(error, HTTPException):
        status = error.status_code
        code = HTTP_CODES.get(status, "internal" if status >= 500 else "bad_request")
        return status, _body(status, code, str(error.detail))
    return 500, _body(500, "internal", "something went wrong here; the log of the ui says what")


_RESERVED = frozenset({"type", "title", "status", "detail", "code"})


def _body(status: int, code: str, detail: str) -> dict[str, Any]:
    return {
        "type": f"urn:dormice:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
    }


def answer_problem(request: Request[Any, Any, Any], error: Exception) -> Response[dict[str, Any]]:
    """Answer an error of the API; what is our own fault is logged."""
    status, body = problem_of(error)
    if status == 500:
        log.error("request_failed", method=request.method, path=request.url.path, exc_info=error)
    headers = {}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if status in RETRY_AFTER_SECONDS:
        headers["Retry-After"] = RETRY_AFTER_SECONDS[status]
    return Response(body, status_code=status, media_type=PROBLEM_JSON, headers=headers)
