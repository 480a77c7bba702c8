"""`/silences`: made, listed, shown, ended; each mistake is one clear problem."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.integration.ui.world import World

WEEKLY = {"days": ["sat", "sun"], "from": "22:00", "to": "06:00", "timezone": "Europe/Berlin"}


async def test_a_silence_is_made_listed_and_ended(world: World) -> None:
    host_id = await world.enroll("web-1")
    made = await world.post("/silences", host_id=host_id, reason="new disks", **{"for": "3h"})
    assert set(made) == {
        "id", "state", "host_id", "tag", "kind", "from", "to", "reason", "created_at",
        "created_by", "ended_at", "ended_by", "weekly",
    }  # fmt: skip
    lasts = datetime.fromisoformat(made["to"]) - datetime.fromisoformat(made["from"])
    assert (made["state"], made["created_by"], lasts) == (
        "active", "first admin", timedelta(hours=3)
    )  # fmt: skip
    later = (datetime.fromisoformat(made["to"])).isoformat()
    end = (datetime.fromisoformat(made["to"]) + timedelta(days=1)).isoformat()
    ahead = await world.post(
        "/silences", tag="Lab", kind="stale_schedule", to=end, **{"from": later}
    )
    assert (ahead["state"], ahead["tag"], ahead["host_id"]) == ("scheduled", "lab", None)
    listed = (await world.get("/silences"))["items"]
    assert [one["id"] for one in listed] == [ahead["id"], made["id"]]
    path = f"/silences/{made['id']}"
    assert await world.get(path) == made
    assert (await world.api.delete(path)).status_code == 204
    again = await world.api.delete(path)
    assert (again.status_code, again.json()["code"]) == (409, "conflict")
    assert (await world.get(path))["state"] == "over"
    for asked, found in (
        ({"state": "current"}, [ahead]), ({"state": "active"}, []), ({"tag": "lab"}, [ahead]),
        ({"kind": "agent_offline"}, []), ({"host_id": host_id, "state": "over"}, [made]),
    ):  # fmt: skip
        items = (await world.get("/silences", **asked))["items"]
        assert [one["id"] for one in items] == [one["id"] for one in found], asked
    actions = [one["action"] for one in (await world.get("/audit", service="alerting"))["items"]]
    assert actions == ["silence.ended", "silence.created", "silence.created"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"for": "3h"}, "say what to silence"),
        ({"tag": "lab"}, "say until when"),
        ({"tag": "lab", "for": "3 h"}, "for: '3 h' is not a duration"),
        ({"tag": "lab", "for": "0s"}, "must end after it begins"),
        ({"tag": "lab", "for": -60}, "must end after it begins"),
        ({"tag": "lab", "for": "367d"}, "366 days at most"),
        ({"tag": "a,b", "for": "3h"}, "a tag must not contain a comma"),
        ({"tag": "a\u0000b", "for": "3h"}, "a tag must not contain control characters"),
        ({"kind": "noise", "for": "3h"}, "kind: "),
        ({"tag": "lab", "to": 1}, "to: write a moment as"),
        ({"tag": "lab", "to": "2026-11-23T02:00:00"}, "to: "),
        ({"tag": "lab", "to": "2020-01-01T00:00:00Z"}, "must end after it begins"),
        (
            {"tag": "lab", "from": "2030-01-02T00:00:00Z", "to": "2030-01-01T00:00:00Z"},
            "must end after it begins",
        ),
        (
            {"tag": "lab", "from": "2020-01-01T00:00:00Z", "to": "2020-01-02T00:00:00Z"},
            "must end in the future",
        ),
        ({"tag": "lab", "from": "9999-12-31T00:00:00Z", "for": "300d"}, "within 366 days"),
        ({"host_id": "nobody", "for": "3h"}, "no host has the id nobody"),
        ({"tag": "lab", "for": "3h", "until": "x"}, "until: "),
        ({"tag": "lab", "until_ended": True}, "only a weekly silence"),
        ({"tag": "lab", "weekly": WEEKLY}, "say until when"),
        ({"tag": "lab", "weekly": WEEKLY, "for": "1d", "until_ended": True}, "one of the two"),
        ({"tag": "lab", "weekly": WEEKLY | {"days": []}, "for": "1d"}, "weekly.days: "),
        ({"tag": "lab", "weekly": WEEKLY | {"to": "22:00"}, "for": "1d"}, "no length"),
        ({"tag": "lab", "weekly": WEEKLY | {"from": "22"}, "for": "1d"}, "weekly.from: "),
        ({"tag": "lab", "weekly": WEEKLY | {"timezone": "Mars/X"}, "for": "1d"}, "not a time zone"),
    ],
)  # fmt: skip
async def test_bad_input_is_one_clear_problem(
    world: World, body: dict[str, Any], said: str
) -> None:
    answer = await world.api.post("/silences", json=body)
    assert (answer.status_code, said in answer.json()["detail"]) == (422, True), answer.text
    assert (await world.get("/silences"))["items"] == []


async def test_unknown_silences_are_404(world: World) -> None:
    for method in ("GET", "DELETE"):
        for name in ("nope", "01ARZ3NDEKTSV4RRFFQ69G5FAV", "%20"):
            assert (await world.api.request(method, f"/silences/{name}")).status_code == 404


async def test_a_weekly_silence_until_it_is_ended(world: World) -> None:
    made = await world.post("/silences", tag="prod", weekly=WEEKLY, until_ended=True)
    assert (made["to"], made["weekly"]) == (None, WEEKLY)
    ahead = await world.post("/silences", tag="prod", weekly=WEEKLY, **{"for": "30d"})
    assert ahead["to"] is not None
    listed = (await world.get("/silences", sort="to"))["items"]
    assert [one["id"] for one in listed] == [ahead["id"], made["id"]]
    assert (await world.api.delete(f"/silences/{made['id']}")).status_code == 204
    assert (await world.get(f"/silences/{made['id']}"))["state"] == "over"
