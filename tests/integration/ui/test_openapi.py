"""schemathesis asks a running system whatever the API's own document allows, and what it does not.

No answer is a 5xx; each has a status, a content type and a shape that the document names; what the
document forbids is refused; and without a right token all is 401.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.parameters import ParameterLocation
from schemathesis.specs.openapi import checks

from libs.common.ids import new_id
from services.ui.api.openapi import document
from services.ui.api.routes import HANDLERS
from tests.effort import examples
from tests.integration.ui.test_bad_input import JSON, check_problem
from tests.integration.ui.up import Up, running

DOCUMENT: dict[str, Any] = document(HANDLERS)
API = schemathesis.openapi.from_dict(DOCUMENT)
OPERATIONS = [
    pytest.param(method, path, operation, id=operation["operationId"])
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
]
WITH_BODY = [one for one in OPERATIONS if "requestBody" in one.values[2]]
CHECKS = [
    not_a_server_error, checks.status_code_conformance, checks.content_type_conformance,
    checks.response_schema_conformance, checks.response_headers_conformance,
]  # fmt: skip


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with running(tmp_path_factory.mktemp("up")) as started:
        yield started


def test_the_document_that_is_served_is_the_one_tried_here(up: Up) -> None:
    assert httpx.get(f"{up.url}/api/v1/openapi.json").json() == DOCUMENT


@pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS)
def test_the_document_names_every_refusal(
    method: str, path: str, operation: dict[str, Any]
) -> None:
    """Each status that a program must be ready for, and no parameter that an address cannot say."""
    named = operation["responses"].keys()
    assert {"401", "503"} <= named
    assert ("404" in named) is ("{" in path)
    assert {"400", "413", "415", "422"} <= named or "requestBody" not in operation
    assert "default" not in named
    assert "null" not in str([one["schema"] for one in operation["parameters"]])


@API.given(known=st.integers(0, 2))
@API.parametrize()
@examples(6)
def test_any_request(up: Up, case: schemathesis.Case, known: int) -> None:
    """Two of three requests are about something that exists, but nothing that exists is deleted."""
    if known and case.method != "DELETE" and _is_positive(case, ParameterLocation.PATH):
        case.path_parameters = {
            name: _known_id(up, name, case.path) for name in case.path_parameters or {}
        }
    wrong_body = not _is_positive(case, ParameterLocation.BODY)
    refused = [checks.negative_data_rejection] if wrong_body else []
    case.call_and_validate(base_url=up.url, headers=up.headers, checks=CHECKS + refused)


def _is_positive(case: schemathesis.Case, place: ParameterLocation) -> bool:
    assert case.meta is not None
    part = case.meta.components.get(place)
    return part is None or part.mode is GenerationMode.POSITIVE


def _known_id(up: Up, name: str, path: str) -> str:
    return up.ids.get(name) or next((up.ids[part] for part in up.ids if part in path), new_id())


WRONG = [
    pytest.param(headers, id=name)
    for name, headers in {
        "no token": {}, "nobody's": {"Authorization": "Bearer nobody's"},
        "empty": {"Authorization": "Bearer"}, "another scheme": {"Authorization": "Basic YTpi"},
        "no scheme": {"Authorization": "x" * 5000},
    }.items()
]  # fmt: skip


@pytest.mark.parametrize("headers", WRONG)
def test_r20_without_a_right_token_all_is_401(up: Up, headers: dict[str, str]) -> None:
    """Before anything of the request is looked at, and whether or not the thing exists."""
    with httpx.Client(base_url=up.url, headers=headers) as client:
        for one in OPERATIONS:
            method, path, operation = one.values
            for address in (path, path.format_map(_Ids(up.ids))):
                answer = client.request(method, address, content=b"{")
                check_problem(answer, 401)
                assert answer.headers["www-authenticate"] == "Bearer"
            assert "401" in operation["responses"]


class _Ids(dict[str, str]):
    def __missing__(self, name: str) -> str:
        return new_id()


@pytest.mark.parametrize(("method", "path", "operation"), WITH_BODY)
def test_a_body_of_2_mib_a_wrong_type_and_no_json_are_refused(
    up: Up, method: str, path: str, operation: dict[str, Any]
) -> None:
    address = path.format_map(_Ids(up.ids))
    with httpx.Client(base_url=up.url, headers=up.headers) as client:
        for body, headers, status in [
            (b'{"name": "' + b"x" * 2 * 1024 * 1024 + b'"}', JSON, 413),
            (b"name=x", {"content-type": "application/x-www-form-urlencoded"}, 415),
            (b"{", JSON, 400),
            (b'{"no such field": 1}', JSON, 422),
            (b"[]", JSON, 422),
        ]:
            check_problem(client.request(method, address, content=body, headers=headers), status)
            assert str(status) in operation["responses"]


@pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS)
def test_an_unknown_id_is_404(up: Up, method: str, path: str, operation: dict[str, Any]) -> None:
    """Or 422, where the request says nothing that could be done to it."""
    if "{" not in path:
        return
    with httpx.Client(base_url=up.url, headers=up.headers) as client:
        for wrong in (new_id(), "no such", "%00", "é", "*", "a.b", "x" * 2000):
            address = path.format_map(_Ids(dict.fromkeys(up.ids, wrong)))
            answer = client.request(
                method, address, json={} if "requestBody" in operation else None
            )
            check_problem(answer)
            assert answer.status_code in (404, 422)
