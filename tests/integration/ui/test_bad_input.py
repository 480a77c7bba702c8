"""Whatever is sent: one clear 4xx as a problem, never 5xx, and the service stays up: it is the same
one for all of them."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from services.ui.calls import encode_marks
from services.ui.reads.paging import encode_cursor
from tests.integration.ui.world import World

pytestmark = pytest.mark.asyncio(loop_scope="module")

JSON = {"content-type": "application/json"}
DEEP = b'{"always_on": true, "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
NESTED = b'{"name":"a","includes":["/a"],"retention":' + b'{"a":' * 300 + b"1" + b"}" * 301
BODIES: list[tuple[bytes, int]] = [
    (b"", 422), (b"{", 400), (b"\xff\xfe", 400), (b"null", 422), (b"[]", 422), (b"7", 422),
    (b'"x"', 422), (b'{"always_on": "true"}', 422), (b'{"always_on": 1}', 422),
    (b'{"always_on": null}', 422), (b'{"always_on": NaN}', 400), (b"{}", 422),
    (b'{"always_on": true, "other": 1}', 422), (b'{"always_on": []}', 422), (DEEP, 400),
    (b'{"always_on": true, "x": "' + b"a" * 2 * 1024 * 1024 + b'"}', 413),
    (b'{"always_on": true, "x": "\\ud800"}', 400), (b'{"always_on": ' + b"9" * 5000 + b"}", 400),
    (b"[" * 500_000, 400), (b'{"always_on": true}' * 2, 400),
]  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with World(tmp_path_factory.mktemp("world")) as started:
        yield started


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def host_id(world: World) -> str:
    return await world.enroll("web-1")


@pytest.mark.parametrize(("body", "status"), BODIES, ids=range(len(BODIES)))
async def test_a_bad_body_is_a_clear_4xx(
    world: World, host_id: str, body: bytes, status: int
) -> None:
    answer = await world.api.put(f"/hosts/{host_id}/mode", content=body, headers=JSON)
    check_problem(answer, status)
    assert (await world.get(f"/hosts/{host_id}"))["always_on"] is True


def check_problem(answer: Any, status: int | None = None) -> None:
    assert 400 <= answer.status_code < 500, (answer.status_code, answer.text[:300])
    assert status is None or answer.status_code == status, answer.text[:300]
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert set(problem) >= {"type", "title", "status", "detail", "code"}
    assert problem["status"] == answer.status_code


POSTS: list[tuple[str, str, Any]] = [
    ("POST", "/enrollment-tokens", {"uses": "3"}),
    ("POST", "/enrollment-tokens", {"uses": 0}),
    ("POST", "/enrollment-tokens", {"expires_in": "soon"}),
    ("POST", "/enrollment-tokens", {"expires_in": -5}),
    ("POST", "/enrollment-tokens", {"expires_in": True}),
    ("POST", "/enrollment-tokens", {"expires_in": 1e300}),
    ("POST", "/enrollment-tokens", {"always_on": "yes"}),
    ("POST", "/enrollment-tokens", {"tags": "paris"}),
    ("POST", "/enrollment-tokens", {"tags": ["a" * 5000]}),
    ("PATCH", "/hosts/{host}", {"name": 7}),
    ("PATCH", "/hosts/{host}", {"name": "ü" * 10_000}),
    ("PATCH", "/hosts/{host}", {"name": "a\x00b"}),
    ("PATCH", "/hosts/{host}", {"name": None}),
    ("PATCH", "/hosts/{host}", {"timezone": "Mars/Olympus"}),
    ("PATCH", "/hosts/{host}", {"thresholds": {"offline": "0s"}}),
    ("PATCH", "/hosts/{host}", {"thresholds": {"offline": -1}}),
    ("PATCH", "/hosts/{host}", {"thresholds": {"offline": "1.5s"}}),
    ("PATCH", "/hosts/{host}", {"thresholds": {"stale": "4000d"}}),
    ("PATCH", "/hosts/{host}", {"thresholds": {"other": "1d"}}),
    ("PATCH", "/hosts/{host}", {"thresholds": {"offline": "89s"}}),
    ("PATCH", "/hosts/{host}", {"thresholds": {"stale": "3650d"}}),
    ("PATCH", "/hosts/{host}", {"always_on": False}),
    ("POST", "/hosts/{host}/source-groups", {"name": "a", "includes": []}),
    ("POST", "/hosts/{host}/source-groups", {"name": "a", "includes": ["relative"]}),
    ("POST", "/hosts/{host}/source-groups", {"name": "a", "includes": "/a"}),
    ("POST", "/hosts/{host}/source-groups", {"name": "a", "includes": ["/a"], "retry_max": 1.5}),
    ("POST", "/hosts/{host}/source-groups",
     {"name": "a", "includes": ["/a"], "retention": {"k": {}}}),
    ("POST", "/hosts/{host}/schedules", {"cron": "@daily", "source_group_ids": ["nope"]}),
    ("POST", "/hosts/{host}/schedules", {"cron": "@daily", "source_group_ids": [], "enabled": 1}),
    ("POST", "/hosts/{host}/schedules",
     {"cron": "@daily", "source_group_ids": [], "catch_up": "x"}),
    ("POST", "/hosts/{host}/backup", {"source_group_id": "nope"}),
    ("POST", "/hosts/{host}/backup", {"source_group_id": "x", "when_it_wakes": "true"}),
    ("POST", "/hosts/{host}/source-groups",
     {"name": "a", "includes": ["/a"], "hooks": {"befor": "systemctl stop db"}}),
    ("POST", "/api-tokens", {"name": "\x00", "role": "viewer"}),
    ("POST", "/api-tokens", {"name": "a\u202eb", "role": "viewer"}),
    ("POST", "/channels", {"name": "a", "kind": "pigeon", "config": {}}),
    ("POST", "/channels", {"name": "a", "kind": "webhook", "config": {"url": "ftp://x"}}),
    ("POST", "/channels", {"name": "a", "kind": "webhook", "config": []}),
    ("POST", "/alerts/nope/acknowledge", {"note": "x" * 5000}),
    ("POST", "/alerts/nope/acknowledge", {"note": 7}),
]  # fmt: skip


async def test_wrong_values_are_clear_4xx_and_change_nothing(world: World, host_id: str) -> None:
    before = await world.get(f"/hosts/{host_id}")
    for method, path, body in POSTS:
        answer = await world.api.request(method, path.format(host=host_id), json=body)
        check_problem(answer)
        assert answer.json()["code"] != "internal", (path, body)
    assert await world.get(f"/hosts/{host_id}") == before
    answer = await world.api.post(f"/hosts/{host_id}/source-groups", content=NESTED, headers=JSON)
    check_problem(answer, 400)


@pytest.mark.parametrize("path", [
    "/hosts?limit=0", "/hosts?limit=1001", "/hosts?limit=abc", "/hosts?limit=", "/hosts?limit=1e2",
    "/hosts?limit=5&limit=6", "/hosts?cursor=nope", "/hosts?cursor=W10", "/hosts?sort=secret",
    "/hosts?sort=name;drop", "/hosts?status=away", "/hosts?overdue=1", "/hosts?overdue=yes",
    "/hosts?overdue=True", "/hosts?nonsense=1", "/hosts?q=state:away", "/hosts?q=color:red",
    "/hosts?q=seen:7d", "/hosts?q=%22open", "/hosts?q=seen:>99999999999d", "/hosts?q=is:tired",
    "/hosts?q=tag:", "/hosts?q=" + "a%20" * 400, "/alerts?state=shut", "/alerts?limit=-1",
    "/jobs?status=sleeping", "/jobs?status=", "/jobs?kind=wipe", "/audit?sort=action",
    "/hosts?cursor=" + "A" * 3000, "/hosts?cursor=bnVsbA", "/operators?limit=x", "/fleet?a=%00%zz",
    "/hosts?q=status:away", "/alerts?kind=rain", "/alerts?severity=mild", "/jobs?attempt=0",
    "/channels?limit=0", "/channels?limit=1001", "/channels?cursor=nope", "/channels?sort=secret",
    "/channels?nonsense=1",
])  # fmt: skip
async def test_bad_questions_are_422(world: World, path: str) -> None:
    answer = await world.api.get(path)
    if path.startswith("/fleet"):
        assert answer.status_code < 500
    else:
        check_problem(answer, 422)


async def test_what_a_list_can_be_asked_is_told(world: World) -> None:
    detail = (await world.api.get("/alerts?nonsense=1")).json()["detail"]
    assert detail.startswith("nonsense: is none of acknowledged_by, cursor, ")


@pytest.mark.parametrize("part", ["source-groups", "schedules", "timeline", "decisions"])
async def test_the_lists_of_a_host_take_what_every_list_takes(
    world: World, host_id: str, part: str
) -> None:
    path = f"/hosts/{host_id}/{part}"
    for wrong in ("limit=0", "limit=1001", "cursor=nope", "sort=secret", "nonsense=1"):
        check_problem(await world.api.get(f"{path}?{wrong}"), 422)
    assert set(await world.get(path, limit=1000)) == {"items", "next"}


@pytest.mark.parametrize("edge", [
    (10**30, "x"), (-(10**30), "x"), ("\ud800", "x"), ("x", "\ud800"), (1e999, "x"), ("x", 2**63),
    ([], "x"), (True, "x"),
])  # fmt: skip
async def test_a_forged_cursor_is_422(world: World, edge: tuple[Any, Any]) -> None:
    for path, sort in (("/hosts", "name"), ("/operators", "name"), ("/jobs", "-created_at"),
                       ("/alerts", "-raised_at"), ("/audit", "-at")):  # fmt: skip
        cursor = encode_cursor(sort, edge)
        answer = await world.api.get(path, params={"cursor": cursor, "sort": sort})
        check_problem(answer, 422)
        assert "none of ours" in answer.json()["detail"]


@pytest.mark.parametrize("mark", [10**30, -(10**30), 1.5, "1"])
async def test_a_forged_cursor_of_decisions_is_422(world: World, host_id: str, mark: Any) -> None:
    cursor = encode_marks({"presence": mark})
    answer = await world.api.get(f"/hosts/{host_id}/decisions", params={"cursor": cursor})
    check_problem(answer, 422)


async def test_a_cursor_of_another_sort_is_refused(world: World) -> None:
    for name in ("a", "b", "c"):
        await world.enroll(name)
    cursor = (await world.get("/hosts", limit=1))["next"]
    answer = await world.api.get("/hosts", params={"cursor": cursor, "sort": "-name"})
    check_problem(answer, 422)


async def test_other_content_types_methods_and_addresses(world: World, host_id: str) -> None:
    form = await world.api.put(f"/hosts/{host_id}/mode", data={"always_on": "1"})
    check_problem(form, 415)
    check_problem(await world.api.put("/hosts"), 405)
    check_problem(await world.api.get("/nothing"), 404)
    check_problem(await world.api.get("/hosts/x/y/z"), 404)


async def test_the_document_describes_every_route(world: World) -> None:
    document = (await world.api.get("/openapi.json")).json()
    assert document["openapi"].startswith("3.")
    mode = document["paths"]["/api/v1/hosts/{host_id}/mode"]["put"]
    assert mode["requestBody"]["content"]["application/json"]["schema"]["$ref"].endswith("/Mode")
    from services.ui.api.routes import HANDLERS

    known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert set(re.findall(r'"\$ref": ?"([^"]+)"', json.dumps(document))) <= known
    described = {
        (method.upper(), path) for path, one in document["paths"].items() for method in one
    }
    assert len(described) == sum(len(one.http_methods - {"HEAD", "OPTIONS"}) for one in HANDLERS)
