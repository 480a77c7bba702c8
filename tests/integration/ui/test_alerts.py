"""`/alerts`, `/channels`, `/fleet`, `/audit`: what is open, who takes it, who is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest_asyncio

from libs.common.events.alert import (
    Alert,
    AlertKind,
    AlertRaised,
    AlertState,
    NotificationDelivered,
    NotificationFailed,
    Severity,
)
from tests.integration.ui.world import World

URL = "https://example.org/hook/canary-path"


@pytest_asyncio.fixture
async def quick(tmp_path: Path) -> AsyncIterator[World]:
    async with World(tmp_path, agent_offline_floor="300ms", offline_after="100ms") as started:
        yield started


async def raised(world: World, host_id: str) -> dict[str, Any]:
    """Have the always-on host go silent, and wait for its alert."""
    session = await world.hello(host_id)
    await world.goodbye(host_id, session)
    await world.until_field(host_id, "open_alerts", 1)
    (alert,) = (await world.get("/alerts", state="open", host_id=host_id))["items"]
    return dict(alert)


async def test_an_alert_is_acknowledged_and_resolved(quick: World) -> None:
    host_id = await quick.enroll("web-1")
    alert = await raised(quick, host_id)
    assert set(alert) >= {
        "id", "host_id", "kind", "severity", "message", "state", "raised_at", "last_seen_at",
        "acknowledged_by", "resolved_at", "silenced", "held_by",
    }  # fmt: skip
    assert (alert["kind"], alert["state"], alert["host_name"]) == ("agent_offline", "open", "web-1")
    path = f"/alerts/{alert['id']}"
    taken = await quick.post(f"{path}/acknowledge", note="on my way")
    assert (taken["state"], taken["acknowledged_by"]) == ("acknowledged", "first admin")
    (still,) = (await quick.get("/alerts", state="open"))["items"]
    assert (still["state"], still["note"]) == ("acknowledged", "on my way")
    again = await quick.api.post(f"{path}/acknowledge", json={})
    assert (again.status_code, again.json()["code"]) == (409, "conflict")
    ended = await quick.post(f"{path}/resolve")
    assert (ended["state"], ended["resolved_by"]) == ("resolved", "first admin")
    ahead = (await quick.get(f"/hosts/{host_id}"))["next_alert"]
    muted_for = datetime.fromisoformat(ahead["at"]) - datetime.fromisoformat(ended["resolved_at"])
    assert muted_for == timedelta(seconds=60)
    assert (await quick.get("/alerts", state="open"))["items"] == []
    assert (await quick.get("/alerts", state="resolved"))["items"][0]["id"] == alert["id"]
    assert (await quick.get(path))["state"] == "resolved"
    assert (await quick.api.post(f"{path}/resolve")).status_code == 409
    entries = (await quick.get("/audit", service="alerting"))["items"]
    assert [entry["action"] for entry in entries] == ["alert.resolved", "alert.acknowledged"]


async def test_of_two_people_at_once_one_takes_it_and_the_other_hears_who_did(
    quick: World,
) -> None:
    alert = await raised(quick, await quick.enroll("web-1"))
    path = f"/alerts/{alert['id']}"
    people = {role: quick.client(await quick.token_of(role)) for role in ("operator", "admin")}
    for verb, refusal in (("acknowledge", "already acknowledged"), ("resolve", "already resolved")):
        bodies = {role: {"note": role} if verb == "acknowledge" else {} for role in people}
        asked = (people[role].post(f"{path}/{verb}", json=bodies[role]) for role in people)
        answers = dict(zip(people, await asyncio.gather(*asked), strict=True))
        assert sorted(answer.status_code for answer in answers.values()) == [200, 409]
        (won,) = [role for role, answer in answers.items() if answer.status_code == 200]
        (lost,) = [answer.json()["detail"] for role, answer in answers.items() if role != won]
        assert lost == f"{refusal} by {won}"
        shown = await quick.get(path)
        assert shown["acknowledged_by"] == shown["note"]  # Nothing of the loser's.
    for verb in ("acknowledge", "resolve"):
        late = await quick.api.post(f"{path}/{verb}", json={})
        assert (late.status_code, "already resolved by " in late.json()["detail"]) == (409, True)
    entries = (await quick.get("/audit", service="alerting"))["items"]
    assert [entry["action"] for entry in entries] == ["alert.resolved", "alert.acknowledged"]
    for person in people.values():
        await person.aclose()


async def test_r19_who_was_told_and_who_changed_what_is_explained(quick: World) -> None:
    host_id = await quick.enroll("web-1")
    await quick.patch(f"/hosts/{host_id}", tags=["paris"])
    await raised(quick, host_id)
    found = (await quick.get(f"/hosts/{host_id}/decisions"))["items"]
    said = {(one["service"], one["what"]): one["text"] for one in found}
    assert said["notify", "not_notified"].endswith("to nobody, there is no channel")
    assert "by first admin" in said["registry", "host_updated"]


async def test_r4_r8_a_mode_change_leaves_no_contradiction(quick: World) -> None:
    host_id = await quick.enroll("laptop")
    await raised(quick, host_id)
    host = await quick.put(f"/hosts/{host_id}/mode", always_on=False)
    assert (host["display"], host["open_alerts"], host["attention"]) == ("asleep", 0, False)
    assert (await quick.get("/alerts", state="open"))["items"] == []
    assert (await quick.get("/fleet"))["alerts"] == 0
    assert (await quick.get("/fleet/health")) == {"status": "ok", "reasons": []}


async def test_unknown_alerts_and_channels_are_404(world: World) -> None:
    for method, path in (
        ("GET", "/alerts/nope"), ("POST", "/alerts/nope/acknowledge"),
        ("POST", "/alerts/01ARZ3NDEKTSV4RRFFQ69G5FAV/resolve"), ("GET", "/channels/nope"),
        ("DELETE", "/channels/nope"), ("POST", "/channels/nope/test"),
        ("GET", "/channels/nope/deliveries"), ("PATCH", "/channels/%20"),
    ):  # fmt: skip
        answer = await world.api.request(method, path, json={})
        assert answer.status_code == 404, (path, answer.text)


async def test_channels_never_show_their_secret(world: World) -> None:
    config = {"url": URL, "secret": "canary-secret"}
    made = await world.post("/channels", name="ops", kind="webhook", config=config)
    channel = await world.get(f"/channels/{made['id']}")
    assert (channel["name"], channel["kind"]) == ("ops", "webhook")
    assert [one["id"] for one in (await world.get("/channels"))["items"]] == [made["id"]]
    assert (await world.patch(f"/channels/{made['id']}", name="ops-2"))["name"] == "ops-2"
    assert (await world.api.post(f"/channels/{made['id']}/test")).status_code == 202
    (delivery,) = (await world.get(f"/channels/{made['id']}/deliveries"))["items"]
    assert delivery["event"] == "test"
    assert (await world.api.delete(f"/channels/{made['id']}")).status_code == 204
    assert (await world.get("/channels"))["items"] == []
    for path in ("/audit", "/channels"):
        assert "canary" not in (await world.api.get(path)).text


async def test_asleep_hosts_never_degrade_the_fleet(quick: World) -> None:
    laptop = await quick.enroll("laptop", always_on=False)
    session = await quick.hello(laptop)
    await quick.goodbye(laptop, session)
    assert (await quick.get("/fleet/health")) == {"status": "ok", "reasons": []}
    server = await quick.enroll("web-1")
    await raised(quick, server)
    health = await quick.get("/fleet/health")
    assert health["status"] == "degraded"
    assert health["reasons"][0].startswith("web-1: Agent offline for ")
    fleet = await quick.get("/fleet")
    assert (fleet["total"], fleet["asleep"], fleet["offline"]) == (2, 1, 1)
    assert (fleet["attention"], fleet["alerts"]) == (1, 1)


async def test_a_critical_alert_of_the_fleet_makes_it_failing(world: World) -> None:
    alert = Alert(
        id="A1", host_id=None, kind=AlertKind.FLEET_OUTAGE, severity=Severity.CRITICAL,
        message="5 hosts went offline", state=AlertState.OPEN, raised_at=world.now,
        last_seen_at=world.now,
    )  # fmt: skip
    await world.publish(AlertRaised(alert=alert))
    assert (await world.get("/fleet/health")) == {
        "status": "failing", "reasons": ["5 hosts went offline"],
    }  # fmt: skip
    (listed,) = (await world.get("/alerts", host_id="fleet"))["items"]
    assert listed["host_id"] is None


async def test_deliveries_come_in_pages(world: World) -> None:
    made = await world.post(
        "/channels", name="ops", kind="webhook", config={"url": "http://hook.invalid/"}
    )
    path = f"/channels/{made['id']}"
    told = [(await world.post(f"{path}/test"))["delivery_id"] for _ in range(3)]
    first = await world.get(f"{path}/deliveries", limit=2)
    rest = await world.get(f"{path}/deliveries", limit=2, cursor=first["next"])
    assert [one["id"] for one in first["items"] + rest["items"]] == told[::-1]
    assert rest["next"] is None
    for wrong in ({"limit": 0}, {"limit": 1001}, {"cursor": "nope"}, {"sort": "tries"}):
        assert (await world.api.get(f"{path}/deliveries", params=wrong)).status_code == 422


async def test_r20_only_an_admin_sees_the_whole_address_of_a_channel(world: World) -> None:
    url = "https://hook.invalid/T0KEN"
    made = await world.post("/channels", name="ops", kind="webhook", config={"url": url})
    assert (await world.get(f"/channels/{made['id']}"))["config"]["url"] == url
    for role in ("viewer", "operator"):
        async with world.client(await world.token_of(role)) as client:
            for path in ("/channels", f"/channels/{made['id']}", "/audit"):
                answer = await client.get(path)
                assert answer.status_code == 200
                assert "T0KEN" not in answer.text


async def test_one_audit_entry(world: World) -> None:
    await world.enroll("web-1")
    (newest, *_) = (await world.get("/audit"))["items"]
    assert await world.get(f"/audit/{newest['id']}") == newest
    for unknown in ("nope", "99999", "9" * 30, "-1", "%20"):
        assert (await world.api.get(f"/audit/{unknown}")).status_code == 404


async def test_a_channel_that_does_not_deliver_degrades_until_it_does(world: World) -> None:
    facts = {"channel_id": "c1", "channel_name": "ops", "event": "raised", "tries": 3}
    await world.publish(NotificationFailed(delivery_id="d1", at=world.now, error="410", **facts))
    assert (await world.get("/fleet/health"))["status"] == "degraded"
    await world.publish(NotificationDelivered(delivery_id="d2", at=world.now, **facts))
    assert (await world.get("/fleet/health"))["status"] == "ok"


async def test_a_removed_channel_degrades_nothing(world: World) -> None:
    config = {"url": "https://receiver.example/hook"}
    made = await world.post("/channels", name="ops", kind="webhook", config=config)
    facts = {"channel_id": made["id"], "channel_name": "ops", "event": "raised", "tries": 3}
    await world.publish(NotificationFailed(delivery_id="d1", at=world.now, error="410", **facts))
    assert (await world.get("/fleet/health"))["status"] == "degraded"
    assert (await world.api.delete(f"/channels/{made['id']}")).status_code == 204
    assert (await world.get("/fleet/health"))["status"] == "ok"


async def test_saving_a_mode_is_audited_each_time(world: World) -> None:
    host_id = await world.enroll("web-1")
    for always_on in (True, False, False):
        await world.put(f"/hosts/{host_id}/mode", always_on=always_on)
    listed = await world.get("/audit", action="host.mode_updated", host_id=host_id)
    assert len(listed["items"]) == 3
    entry = listed["items"][0]
    assert entry["actor"] == {
        "kind": "token", "id": "admin", "name": "first admin", "role": "admin",
    }  # fmt: skip
    assert entry["after"] == {"always_on": False}
