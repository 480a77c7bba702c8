"""Jobs of all kinds by the API: who may, what is refused, what is shown of them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.ui.test_parts import REPOSITORY, with_group
from tests.integration.ui.world import World, checked

RESTORE = {"kind": "restore", "arguments": {"snapshot": "latest", "target": "/back"}}


async def ready(world: World) -> tuple[str, str]:
    """Return the ids of a host with a repository, and of its group."""
    host_id = await world.enroll("laptop", always_on=False)
    group = await with_group(world, host_id)
    await world.put(f"/hosts/{host_id}/repository", **REPOSITORY)
    return host_id, group


async def test_a_job_of_any_kind_waits_for_its_host_and_shows_what_was_asked(
    world: World,
) -> None:
    host_id, group = await ready(world)
    asked: list[dict[str, Any]] = [
        {"kind": "check"}, {"kind": "snapshots", "source_group_id": group},
        {"kind": "backup", "source_group_id": group}, RESTORE,
    ]  # fmt: skip
    for body in asked:
        answer = await world.api.post(
            f"/hosts/{host_id}/jobs", json={**body, "when_it_wakes": True}
        )
        assert answer.status_code == 202, answer.text
        started = checked(answer)
        assert started["host_id"] == host_id
        job = await world.get(f"/jobs/{started['job_id']}")
        assert (job["kind"], job["status"]) == (body["kind"], "requested")
        assert (job["origin"], job["pending"]) == ("manual", True)
    assert job["arguments"] == {"snapshot": "latest", "target": "/back", "paths": []}
    kinds = {one["kind"] for one in (await world.get("/jobs", host_id=host_id))["items"]}
    assert kinds == {"check", "snapshots", "backup", "restore"}
    assert [one["kind"] for one in (await world.get("/jobs", kind="check"))["items"]] == ["check"]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 422, "bad_input"),
        ({"kind": "defragment"}, 422, "bad_input"),
        ({"kind": "check", "source_group_id": "x"}, 422, "bad_input"),
        ({"kind": "check", "arguments": {"deep": True}}, 422, "bad_input"),
        ({"kind": "restore"}, 422, "bad_input"),
        ({"kind": "forget"}, 422, "bad_input"),
        ({"kind": "forget", "source_group_id": "x"}, 404, "not_found"),
        ({"kind": "check", "when_it_wakes": 1}, 422, "bad_input"),
        ({"kind": "check"}, 409, "not_connected"),
    ],
)
async def test_what_is_refused(world: World, body: dict[str, Any], status: int, code: str) -> None:
    host_id, _ = await ready(world)
    answer = await world.api.post(f"/hosts/{host_id}/jobs", json=body)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text


async def test_r20_a_viewer_starts_nothing(world: World) -> None:
    host_id, _ = await ready(world)
    token = (await world.post("/api-tokens", name="eyes", role="viewer"))["token"]
    headers = {"Authorization": f"Bearer {token}"}
    answer = await world.api.post(
        f"/hosts/{host_id}/jobs", json={**RESTORE, "when_it_wakes": True}, headers=headers
    )
    assert answer.status_code == 403
    assert (await world.get("/jobs"))["items"] == []


async def test_snapshots_are_those_of_the_last_list(world: World) -> None:
    taken = await world.serve_commands()
    host_id, _ = await ready(world)
    assert (await world.api.get(f"/hosts/{host_id}/snapshots")).status_code == 404
    assert (await world.api.get("/hosts/nobody/snapshots")).status_code == 404
    session = await world.hello(host_id)
    path = f"/hosts/{host_id}/jobs"
    started = await world.post(path, kind="snapshots", when_it_wakes=True)
    await world.until(lambda: taken)
    one = {"id": "1a2b", "time": "2026-06-15T02:00:00Z", "hostname": "laptop", "tags": None,
           "paths": ["/home"]}  # fmt: skip
    stats = {"snapshots": [{"id": "0old"}, one, "nonsense"], "total": 7}
    await world.finish(host_id, session, started["job_id"], "succeeded", stats=stats)
    await world.until_field(host_id, "current_job_id", None)
    listed = await world.until_answer(f"/hosts/{host_id}/snapshots")
    assert (listed["total"], listed["job_id"]) == (7, started["job_id"])
    assert [each["id"] for each in listed["items"]] == ["1a2b", "0old"]
    assert listed["items"][0]["paths_total"] == 1
