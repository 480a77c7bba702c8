"""`/hosts`: list, filters, cursors, one host, its changes, and reading what was just written."""

from __future__ import annotations

import pytest

from tests.integration.ui.world import World

FIELDS = {
    "id", "name", "always_on", "status", "display", "last_seen_at", "last_backup_at",
    "current_job_id", "timezone", "tags", "os", "arch", "agent_version", "power",
    "clock_offset_seconds", "catch_up", "overdue", "open_alerts", "thresholds", "next_alert",
}  # fmt: skip


async def test_a_new_host_shows_every_field_of_the_protocol(world: World) -> None:
    host_id = await world.enroll("web-1")
    host = await world.get(f"/hosts/{host_id}")
    assert set(host) >= FIELDS
    assert (host["name"], host["always_on"], host["display"]) == ("web-1", True, "never_seen")
    assert host["thresholds"] == {
        "offline": {"value": "15m0s", "from": "fleet"},
        "stale": {"value": "7d0h0m", "from": "fleet"},
    }
    assert host["next_alert"] is None
    listed = (await world.get("/hosts"))["items"]
    assert listed == [host]


async def test_r1_the_mode_shows_in_every_answer(world: World) -> None:
    host_id = await world.enroll("laptop")
    for always_on in (False, True, False):
        answer = await world.put(f"/hosts/{host_id}/mode", always_on=always_on)
        assert answer["always_on"] is always_on
        assert (await world.get(f"/hosts/{host_id}"))["always_on"] is always_on
        assert (await world.get("/hosts"))["items"][0]["always_on"] is always_on


async def test_r2_intermittent_and_offline_is_shown_asleep(world: World) -> None:
    host_id = await world.enroll("laptop", always_on=False)
    session = await world.hello(host_id, on_battery=True, battery_percent=41.0)
    host = await world.get(f"/hosts/{host_id}")
    assert (host["status"], host["display"]) == ("online", "online")
    assert host["power"] == {"on_battery": True, "percent": 41.0, "metered": None}
    await world.goodbye(host_id, session)
    host = await world.get(f"/hosts/{host_id}")
    assert (host["status"], host["display"], host["catch_up"]) == ("offline", "asleep", None)
    fleet = await world.get("/fleet")
    assert (fleet["total"], fleet["asleep"], fleet["offline"]) == (1, 1, 0)
    await world.put(f"/hosts/{host_id}/mode", always_on=True)
    assert (await world.get(f"/hosts/{host_id}"))["display"] == "offline"


async def test_a_write_can_be_read_at_once(world: World) -> None:
    host_id = await world.enroll("web-1")
    for number in range(20):
        answer = await world.api.patch(f"/hosts/{host_id}", json={"tags": [f"t{number}"]})
        assert answer.headers["dormice-read-model"] == "current"
        assert (await world.get(f"/hosts/{host_id}"))["tags"] == [f"t{number}"]
        assert (await world.get("/hosts", q=f"tag:t{number}"))["items"]


async def test_changing_a_host(world: World) -> None:
    host_id = await world.enroll("web-1")
    changes = {
        "name": "web-2", "tags": ["paris"], "timezone": "Europe/Paris",
        "thresholds": {"offline": "30m", "stale": 86400},
    }  # fmt: skip
    host = await world.patch(f"/hosts/{host_id}", **changes)
    assert (host["name"], host["tags"], host["timezone"]) == ("web-2", ["paris"], "Europe/Paris")
    assert host["thresholds"]["offline"] == {"value": "30m0s", "from": "host"}
    assert host["thresholds"]["stale"] == {"value": "1d0h0m", "from": "host"}
    host = await world.patch(f"/hosts/{host_id}", thresholds={"offline": None})
    assert host["thresholds"]["offline"]["from"] == "fleet"
    assert host["thresholds"]["stale"]["from"] == "host"


async def test_a_removed_host_is_gone(world: World) -> None:
    host_id = await world.enroll("web-1")
    answer = await world.api.delete(f"/hosts/{host_id}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert (await world.api.get(f"/hosts/{host_id}")).status_code == 404
    assert (await world.get("/hosts"))["items"] == []
    assert (await world.get("/fleet"))["total"] == 0
    answer = await world.api.put(f"/hosts/{host_id}/mode", json={"always_on": True})
    assert answer.status_code == 404


async def test_a_host_that_the_read_model_does_not_know_is_asked_of_its_owner(
    world: World,
) -> None:
    host_id = await world.enroll("web-1")
    await world.ui.service.submit(
        lambda tx: tx.db.execute("DELETE FROM host WHERE id = ?", (host_id,)).rowcount
    )
    host = await world.get(f"/hosts/{host_id}")
    assert (host["name"], host["display"]) == ("web-1", "never_seen")


@pytest.mark.parametrize(
    "host_id", ["nope", "01ARZ3NDEKTSV4RRFFQ69G5FAV", "a.b", "%00", "a b", "é"]
)
async def test_an_unknown_host_is_404_everywhere(world: World, host_id: str) -> None:
    for method, path, body in (
        ("GET", "", None), ("DELETE", "", None), ("PATCH", "", {"name": "x"}),
        ("PUT", "/mode", {"always_on": True}), ("GET", "/timeline", None),
        ("GET", "/decisions", None), ("GET", "/schedules", None), ("GET", "/source-groups", None),
        ("POST", "/backup", {"source_group_id": "g"}), ("POST", "/rotate-token", None),
        ("POST", "/source-groups", {"name": "a", "includes": ["/a"]}),
        ("PUT", "/repository", {"url": "/r", "password": "p"}),
    ):  # fmt: skip
        answer = await world.api.request(method, f"/hosts/{host_id}{path}", json=body)
        assert answer.status_code == 404, (method, path, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"


async def test_pages_of_hosts_by_cursor(world: World) -> None:
    names = [f"host-{number:02}" for number in range(7)]
    for name in names:
        await world.enroll(name)
    for sort, wanted in (("name", names), ("-name", names[::-1]), ("last_seen_at", None)):
        seen: list[str] = []
        cursor = None
        while True:
            params = {"limit": 3, "sort": sort} | ({"cursor": cursor} if cursor else {})
            page = await world.get("/hosts", **params)
            seen += [host["name"] for host in page["items"]]
            assert len(page["items"]) <= 3
            cursor = page["next"]
            if cursor is None:
                break
        assert seen == wanted if wanted else sorted(seen) == names


async def test_filters_named_as_the_fields_and_the_query_language(world: World) -> None:
    web = await world.enroll("web-1", tags=["paris"])
    laptop = await world.enroll("laptop-1", always_on=False, tags=["paris", "sales"])
    await world.hello(web)
    found = {
        "name=web-1": [web], "always_on=false": [laptop], "status=online": [web],
        "display=never_seen": [laptop], "tags=sales": [laptop], "tag=paris": [laptop, web],
        "q=state:online": [web], "q=mode:intermittent": [laptop], "q=web": [web],
        "q=-web": [laptop], "q=tag:paris state:never_seen": [laptop], "os=linux": [laptop, web],
        "q=seen:<1h": [web], "q=seen:never": [laptop], "overdue=true": [], "q=lapt,op": [],
        "overdue=false": [laptop, web], "q=seen:>7d": [], "q=name:web*": [web],
    }  # fmt: skip
    for asked, wanted in found.items():
        key, _, value = asked.partition("=")
        listed = (await world.get("/hosts", **{key: value}))["items"]
        assert [host["id"] for host in listed] == wanted, asked
