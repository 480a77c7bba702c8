"""Source groups, schedules, repository, backup, jobs: what a host backs up, and its runs."""

from __future__ import annotations

import pytest

from tests.integration.ui.world import World, checked

REPOSITORY = {"url": "/backups/canary-url", "password": "canary-password",
              "environment": {"AWS_SECRET": "canary-key"}}  # fmt: skip


async def with_group(world: World, host_id: str, name: str = "home") -> str:
    made = await world.post(f"/hosts/{host_id}/source-groups", name=name, includes=["/home"])
    return str(made["id"])


async def test_source_groups(world: World) -> None:
    host_id = await world.enroll("web-1")
    path = f"/hosts/{host_id}/source-groups"
    answer = await world.api.post(
        path,
        json={
            "name": "home", "includes": ["/home"], "excludes": ["*.tmp"],
            "retention": {"keep_daily": 7}, "retry_max": 2,
        },
    )  # fmt: skip
    group = answer.json()
    assert answer.status_code == 201
    assert (group["name"], group["excludes"], group["retry_max"]) == ("home", ["*.tmp"], 2)
    assert (await world.get(path))["items"] == [group]
    changed = await world.patch(f"{path}/{group['id']}", includes=["/home", "/etc"])
    assert changed == group | {"includes": ["/home", "/etc"]}
    assert await world.get(f"{path}/{group['id']}") == changed
    assert (await world.api.delete(f"{path}/{group['id']}")).status_code == 204
    for answer in (
        await world.api.get(f"{path}/{group['id']}"),
        await world.api.patch(f"{path}/{group['id']}", json={"name": "x"}),
        await world.api.delete(f"{path}/{group['id']}"),
    ):
        assert answer.status_code == 404


async def test_schedules(world: World) -> None:
    host_id = await world.enroll("web-1")
    group = await with_group(world, host_id)
    path = f"/hosts/{host_id}/schedules"
    answer = await world.api.post(
        path, json={"cron": "0 2 * * *", "source_group_ids": [group], "timezone": "Europe/Paris"}
    )
    made = answer.json()
    assert answer.status_code == 201
    assert made["next_fire"] > made["id"][:0]
    assert (made["enabled"], made["catch_up"], made["overdue"]) == (True, "latest_once", True)
    assert (await world.get(f"/hosts/{host_id}"))["overdue"] is True
    changed = await world.patch(f"{path}/{made['id']}", enabled=False)
    assert (changed["enabled"], changed["next_fire"], changed["overdue"]) == (False, None, False)
    assert (await world.get(path))["items"] == [changed]
    assert (await world.get(f"/hosts/{host_id}"))["overdue"] is False
    assert (await world.api.delete(f"{path}/{made['id']}")).status_code == 204
    assert (await world.get(path))["items"] == []


async def test_a_schedule_without_groups_never_runs(world: World) -> None:
    host_id = await world.enroll("web-1")
    made = await world.post(f"/hosts/{host_id}/schedules", cron="@daily", source_group_ids=[])
    assert (made["next_fire"], made["overdue"]) == (None, False)


@pytest.mark.parametrize("cron", ["not a cron", "* * * * * *", "0 0 30 2 *", "", "x" * 9000])
async def test_a_bad_cron_is_refused(world: World, cron: str) -> None:
    host_id = await world.enroll("web-1")
    body = {"cron": cron, "source_group_ids": []}
    answer = await world.api.post(f"/hosts/{host_id}/schedules", json=body)
    assert answer.status_code == 422
    assert answer.json()["code"] == "bad_cron"


async def test_r20_a_repository_is_never_shown_again(world: World) -> None:
    host_id = await world.enroll("web-1")
    answer = await world.api.put(f"/hosts/{host_id}/repository", json=REPOSITORY)
    assert (answer.status_code, answer.content) == (204, b"")
    assert (await world.get(f"/hosts/{host_id}"))["has_repository"] is True
    for path in (f"/hosts/{host_id}", "/hosts", "/audit", f"/hosts/{host_id}/decisions"):
        assert "canary" not in (await world.api.get(path)).text
    bad = REPOSITORY | {"password": 7}
    answer = await world.api.put(f"/hosts/{host_id}/repository", json=bad)
    assert answer.status_code == 422
    assert "canary" not in answer.text
    for message in world.log.read(1):
        assert b"canary" not in message.data


async def test_backup_needs_a_repository_and_a_connection(world: World) -> None:
    host_id = await world.enroll("web-1")
    group = await with_group(world, host_id)
    asked = {"source_group_id": group}

    async def problem() -> str:
        answer = await world.api.post(f"/hosts/{host_id}/backup", json=asked)
        assert answer.status_code == 409
        return str(answer.json()["code"])

    assert await problem() == "no_repository"
    await world.api.put(f"/hosts/{host_id}/repository", json=REPOSITORY)
    assert await problem() == "not_connected"


async def test_backup_when_it_wakes_then_the_job_runs_and_is_listed(world: World) -> None:
    taken = await world.serve_commands()
    host_id = await world.enroll("laptop", always_on=False)
    group = await with_group(world, host_id)
    await world.put(f"/hosts/{host_id}/repository", **REPOSITORY)
    answer = await world.api.post(
        f"/hosts/{host_id}/backup", json={"source_group_id": group, "when_it_wakes": True}
    )
    assert answer.status_code == 202
    job_id = checked(answer)["job_id"]
    (job,) = (await world.get("/jobs", host_id=host_id))["items"]
    assert (job["id"], job["status"], job["origin"]) == (job_id, "requested", "manual")
    assert (job["kind"], job["attempt"], job["source_group_id"]) == ("backup", 1, group)
    session = await world.hello(host_id)
    await world.until(lambda: taken)
    await world.finish(host_id, session, job_id, "succeeded")
    await world.until_field(host_id, "current_job_id", None)
    host = await world.until_field(host_id, "open_alerts", 0)
    while (job := await world.get(f"/jobs/{job_id}"))["status"] != "succeeded":
        pass
    host = await world.get(f"/hosts/{host_id}")
    assert host["last_backup_at"] == job["finished_at"]
    assert (await world.get("/jobs", status="succeeded,failed"))["items"] == [job]
    assert (await world.get("/jobs", status="failed"))["items"] == []
    assert (await world.api.get(f"/jobs/{job_id}/log")).status_code == 200


async def test_an_unknown_job_is_404(world: World) -> None:
    for job_id in ("nope", "9f6b2c1e-6f0a-5d3e-8a53-0d2f6a8b0001", "%2e%2e"):
        for method, path in (("GET", ""), ("GET", "/log"), ("POST", "/cancel")):
            answer = await world.api.request(method, f"/jobs/{job_id}{path}")
            assert answer.status_code == 404, (job_id, path, answer.text)


async def test_timeline_and_decisions_come_from_their_owners(world: World) -> None:
    host_id = await world.enroll("laptop", always_on=False)
    session = await world.hello(host_id)
    await world.goodbye(host_id, session)
    items = (await world.get(f"/hosts/{host_id}/timeline"))["items"]
    assert [one["state"] for one in items][-2:] == ["online", "offline"]
    assert set(items[-1]) == {"from", "to", "state", "reason"}
    assert items[-1]["to"] is None
    since = items[-2]["from"]
    assert (await world.get(f"/hosts/{host_id}/timeline", since=since))["items"]
    for edge in ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"):
        await world.get(f"/hosts/{host_id}/timeline", since=edge)
    for beyond in ("0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"):
        answer = await world.api.get(f"/hosts/{host_id}/timeline", params={"since": beyond})
        assert answer.status_code == 422
    bad = await world.api.get(f"/hosts/{host_id}/timeline", params={"since": "yesterday"})
    assert bad.status_code == 422
    found: list[str] = []
    cursor = None
    while True:
        params = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = await world.get(f"/hosts/{host_id}/decisions", **params)
        found += [one["at"] for one in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    whole = (await world.get(f"/hosts/{host_id}/decisions", limit=1000))["items"]
    assert found == [one["at"] for one in whole] == sorted(found, reverse=True)
    assert {"registry", "presence", "alerting", "catchup"} <= {one["service"] for one in whole}
    assert set(whole[0]) == {"at", "service", "host_id", "what", "rule", "text", "facts"}
