"""`/thresholds`: of tags and modes; shown with their origin on each host; mistakes are clear."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.ui.world import World

FLEET = {"scope": "fleet", "name": None, "offline": "15m0s", "stale": "7d0h0m",
         "missed": None}  # fmt: skip


async def limits_of(world: World, host_id: str) -> dict[str, tuple[str, str]]:
    host = await world.get(f"/hosts/{host_id}")
    return {name: (one["value"], one["from"]) for name, one in host["thresholds"].items()}


async def test_set_listed_shown_on_hosts_and_taken_away(world: World) -> None:
    host_id = await world.enroll("web-1")
    await world.patch(f"/hosts/{host_id}", tags=["paris", "a/b c"])
    paris = await world.patch("/thresholds", tag="Paris", offline="5m", stale="3d")
    assert paris == {
        "scope": "tag", "name": "paris", "offline": "5m0s", "stale": "3d0h0m", "missed": None,
    }  # fmt: skip
    odd = await world.patch("/thresholds", tag="a/b c", offline=120)
    assert odd == {
        "scope": "tag", "name": "a/b-c", "offline": "2m0s", "stale": None, "missed": None,
    }  # fmt: skip
    mode = await world.patch("/thresholds", mode="always_on", offline="1h", stale="30d")
    assert (await world.get("/thresholds"))["items"] == [FLEET, mode, odd, paris]
    assert await limits_of(world, host_id) == {
        "offline": ("2m0s", "tag:a/b-c"), "stale": ("3d0h0m", "tag:paris"),
    }  # fmt: skip
    await world.patch(f"/hosts/{host_id}", tags=["a/b-c"])
    assert await limits_of(world, host_id) == {
        "offline": ("2m0s", "tag:a/b-c"), "stale": ("30d0h0m", "mode:always_on"),
    }  # fmt: skip
    await world.patch(f"/hosts/{host_id}", thresholds={"stale": "4d", "missed": "1h"})
    limits = await limits_of(world, host_id)
    assert (limits["stale"], limits["missed"]) == (("4d0h0m", "host"), ("1h0m0s", "host"))
    await world.patch(f"/hosts/{host_id}", thresholds={"missed": None})
    assert "missed" not in await limits_of(world, host_id)
    assert (await world.patch("/thresholds", tag="paris", stale=None))["stale"] is None
    for place in ({"tag": "a/b c"}, {"tag": "paris"}, {"mode": "always_on"}):
        assert (await world.api.delete("/thresholds", params=place)).status_code == 204
    assert (await world.get("/thresholds"))["items"] == [FLEET]
    assert (await limits_of(world, host_id))["offline"] == ("15m0s", "fleet")
    actions = [one["action"] for one in (await world.get("/audit", target="thresholds"))["items"]]
    assert actions == ["thresholds.updated"] * 7


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"offline": "5m"}, "say whose thresholds"),
        ({"tag": "a", "mode": "always_on", "offline": "5m"}, "say whose thresholds"),
        ({"tag": "a"}, "say which threshold"),
        ({"tag": "a,b", "offline": "5m"}, "must not contain a comma"),
        ({"tag": "", "offline": "5m"}, "a tag must have 1 to 64 characters"),
        ({"tag": "x" * 65, "offline": "5m"}, "a tag must have 1 to 64 characters"),
        ({"tag": "a", "offline": "0s"}, "at least 1m30s (DORMICE_OFFLINE_AFTER)"),
        ({"tag": "a", "offline": -60}, "at least 1m30s"),
        ({"tag": "a", "offline": "89s"}, "at least 1m30s"),
        ({"tag": "a", "offline": "1.5s"}, "whole seconds"),
        ({"tag": "a", "offline": "5 m"}, "offline: '5 m' is not a duration"),
        ({"tag": "a", "stale": "3650d"}, "less than 10 years"),
        ({"tag": "a", "stale": "0s"}, "stale must be at least 1s"),
        ({"tag": "a", "missed": "1m"}, "missed must be at least 5m and at most 1d"),
        ({"mode": "tired", "offline": "5m"}, "mode: "),
        ({"tag": "a", "offline": True}, "offline: "),
        ({"tag": "a", "other": "5m"}, "other: "),
    ],
)
async def test_bad_input_is_one_clear_problem(
    world: World, body: dict[str, Any], said: str
) -> None:
    answer = await world.api.patch("/thresholds", json=body)
    assert (answer.status_code, said in answer.json()["detail"]) == (422, True), answer.text
    assert (await world.get("/thresholds"))["items"] == [FLEET]


async def test_taking_away_what_is_not_there_and_what_may_be_asked(world: World) -> None:
    for asked in ("", "?tag=a&mode=always_on", "?tag=nowhere", "?mode=always_on", "?mode=x",
                  "?name=a"):  # fmt: skip
        answer = await world.api.delete(f"/thresholds{asked}")
        assert answer.status_code == 422, asked


async def test_r20_viewers_read_operators_change(world: World) -> None:
    viewer = world.client(await world.token_of("viewer"))
    operator = world.client(await world.token_of("operator"))
    body = {"tag": "a", "stale": "3d"}
    assert (await viewer.get("/thresholds")).status_code == 200
    assert (await viewer.patch("/thresholds", json=body)).status_code == 403
    assert (await viewer.delete("/thresholds?tag=a")).status_code == 403
    assert (await operator.patch("/thresholds", json=body)).status_code == 200
    assert (await operator.delete("/thresholds?tag=a")).status_code == 204
    for client in (viewer, operator):
        await client.aclose()
