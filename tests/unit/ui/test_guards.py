"""Same origin, roles, forms; and what a body or a question may hold."""

from __future__ import annotations

from typing import Any

import pytest
from litestar import Request, Response, post
from litestar.testing import RequestFactory, create_test_client

from libs.common.errors import BadInput, Forbidden
from libs.common.events.host import Actor
from services.ui.api.problems import BadBody, problem_of
from services.ui.api.reading import MAX_DEPTH, parse_json
from services.ui.guards import BadForm, read_form, require, same_origin

HANDLER = object()


@pytest.mark.parametrize(("headers", "allowed"), [
    ({}, True), ({"sec-fetch-site": "same-origin"}, True), ({"sec-fetch-site": "none"}, True),
    ({"sec-fetch-site": "cross-site"}, False), ({"sec-fetch-site": "same-site"}, False),
    ({"origin": "http://dormice.lan:8480"}, True), ({"origin": "https://DORMICE.lan:8480"}, True),
    ({"origin": "http://dormice.lan"}, False), ({"origin": "http://evil.example"}, False),
    ({"origin": "null"}, False), ({"origin": ""}, False), ({"origin": "http://["}, False),
    ({"origin": "http://dormice.lan:8480.evil.example"}, False),
    ({"origin": "http://dormice.lan:8480", "sec-fetch-site": "cross-site"}, False),
])  # fmt: skip
def test_r20_a_form_of_another_site_is_refused(headers: dict[str, str], allowed: bool) -> None:
    request = RequestFactory().post("/", headers={"host": "dormice.lan:8480", **headers})
    if allowed:
        same_origin(request, HANDLER)  # type: ignore[arg-type]
    else:
        with pytest.raises(Forbidden):
            same_origin(request, HANDLER)  # type: ignore[arg-type]


@pytest.mark.parametrize(("role", "needed", "allowed"), [
    ("viewer", "viewer", True), ("viewer", "operator", False), ("operator", "operator", True),
    ("operator", "admin", False), ("admin", "viewer", True), ("admin", "admin", True),
])  # fmt: skip
def test_r20_roles(role: str, needed: str, allowed: bool) -> None:
    actor = Actor.model_validate({"kind": "operator", "id": "1", "name": "a", "role": role})
    if allowed:
        require(actor, needed)  # type: ignore[arg-type]
    else:
        with pytest.raises(Forbidden):
            require(actor, needed)  # type: ignore[arg-type]


FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize(("kind", "body", "fields"), [
    (FORM, b"always_on=on&a=1&a=2", {"always_on": "on", "a": "2"}), (FORM, b"", {}),
    (f"{FORM}; charset=utf-8", b"a=", {"a": ""}), ("application/json", b"{}", None),
    ("", b"a=1", None), (FORM, b"\xff=\xff", None), (FORM, b"a=%ff", None),
    (FORM, b"nonsense", None),
    (FORM, b"a=1&" * 1001, None), ("text/plain", b"always_on=on", None),
])  # fmt: skip
def test_forms(kind: str, body: bytes, fields: dict[str, str] | None) -> None:
    @post("/", status_code=200)
    async def echo(request: Request[Any, Any, Any]) -> dict[str, str]:
        return await read_form(request)

    def refused(_: object, error: BadForm) -> Response[str]:
        return Response(error.code, status_code=400)

    with create_test_client([echo], exception_handlers={BadForm: refused}) as client:
        answer = client.post("/", content=body, headers={"content-type": kind} if kind else {})
    if fields is None:
        assert answer.status_code == 400
    else:
        assert answer.json() == fields


def test_bodies_have_a_deepest_level() -> None:
    fits, too_deep = MAX_DEPTH - 2, MAX_DEPTH
    assert parse_json(b"[" * fits + b"]" * fits)
    with pytest.raises(BadBody):
        parse_json(b"[" * too_deep + b"]" * too_deep)


def test_problems_never_let_an_error_overwrite_what_they_are() -> None:
    status, body = problem_of(BadInput("no", status=200, code="x", errors=[]))
    assert (status, body["status"], body["code"], body["errors"]) == (422, 422, "bad_input", [])
    status, body = problem_of(RuntimeError("canary"))
    assert (status, "canary" in str(body)) == (500, False)
