"""Bad input to the whole system: one clear error where its sender sees it, and everything goes on.

What a frame or a body may get wrong in detail is tested beside the gateway and the ui; here it goes
through every service that it can reach.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from libs.common.clock import SystemClock
from libs.common.testing.fake_agent import EnrollmentRefused, FakeAgent
from tests.integration.system.stack import Host, Stack

YEAR = timedelta(days=365)


async def check_alive(stack: Stack) -> None:
    """Everything is ready, and does its work."""
    assert stack.system.reasons_not_ready() == []
    assert (await stack.get("/fleet"))["total"] == len(stack.hosts)
    assert (await stack.get("/audit?limit=1"))["items"]


async def refusal(stack: Stack, method: str, path: str, body: Any) -> tuple[int, dict[str, Any]]:
    """Return status and problem of a request that must be refused."""
    sent = {"content": body} if isinstance(body, bytes) else {"json": body}
    answer = await stack.api.request(
        method, path, headers={"Content-Type": "application/json"}, **sent
    )
    assert answer.headers["content-type"] == "application/problem+json", answer.text[:300]
    problem: dict[str, Any] = answer.json()
    assert problem["detail"].strip(), problem
    assert len(answer.content) < 5000
    return answer.status_code, problem


# -- names and bodies ------------------------------------------------------------------------------

NAMES = ["", " ", ".", "a b", "über", "ноутбук", "ノート", "a\nb", "a\x00b", "a\x1b[31m", "../etc",
         "a/b", "x" * 65, "x" * 10_000, "<script>", "'; DROP TABLE host; --"]  # fmt: skip


async def test_names_are_tamed_or_refused(stack: Stack) -> None:
    """A host name becomes one of a-z 0-9 . _ -, or is refused with 422; a person's is refused."""
    host = await stack.add_host("plain", always_on=True, connect=False)
    for name in NAMES:
        status, _ = await refusal(stack, "PATCH", f"/hosts/{host.id}", {"name": name})
        assert status == 422, name
    token = (await stack.post("/enrollment-tokens", uses=len(NAMES) + 2))["token"]
    statuses = set()
    for name in (*NAMES, "Web.3.example.org"):
        try:
            agent = await FakeAgent.enroll(stack.gateway, token, hostname=name)
        except EnrollmentRefused as refused:
            statuses.add(refused.response.status_code)
        else:
            seen = await stack.get(f"/hosts/{agent.host_id}")
            stack.hosts[seen["name"]] = Host(agent.host_id, seen["name"], agent)
            assert 1 <= len(seen["name"]) <= 64
            assert set(seen["name"]) <= set("abcdefghijklmnopqrstuvwxyz0123456789._-")
    assert statuses <= {409, 422}  # Two of them may become the same name.
    assert "web.3.example.org" in stack.hosts
    await check_alive(stack)


BODIES = [
    (b"{", 400), (b"\xff", 400), (b"[]", 422), (b'"x"', 422), (b'{"always_on":"false"}', 422),
    (b'{"always_on":' + b"[" * 50_000, 400),
    (b'{"always_on":false,"x":"' + b"x" * 2**21 + b'"}', 413),
]  # fmt: skip


async def test_bodies_that_are_none_change_nothing(stack: Stack) -> None:
    host = await stack.add_host("plain", always_on=True, connect=False)
    for body, status in BODIES:
        assert (await refusal(stack, "PUT", f"/hosts/{host.id}/mode", body))[0] == status, body[:40]
    assert (await stack.host(host))["always_on"] is True
    await check_alive(stack)


@pytest.mark.parametrize("unknown", ["nope", "01ARZ3NDEKTSV4RRFFQ69G5FAV", "h.*", "%3E", "x" * 300])
async def test_unknown_ids_are_404_in_every_service(stack: Stack, unknown: str) -> None:
    paths = [
        ("GET", f"/hosts/{unknown}"), ("GET", f"/hosts/{unknown}/timeline"),
        ("GET", f"/hosts/{unknown}/decisions"), ("PUT", f"/hosts/{unknown}/mode"),
        ("DELETE", f"/hosts/{unknown}"), ("POST", f"/hosts/{unknown}/backup"),
        ("GET", f"/jobs/{unknown}/log"), ("POST", f"/jobs/{unknown}/cancel"),
        ("POST", f"/alerts/{unknown}/resolve"), ("POST", f"/channels/{unknown}/test"),
        ("GET", f"/channels/{unknown}/deliveries"),
    ]  # fmt: skip
    bodies = {"mode": {"always_on": True}, "backup": {"source_group_id": "g"}}
    for method, path in paths:
        body = bodies.get(path.rpartition("/")[2], {})
        assert (await refusal(stack, method, path, body))[0] == 404, (method, path)
    await check_alive(stack)


CRONS = [
    "", "not a cron", "* * * *", "* * * * * *", "* * * * * * *", "60 * * * *", "0 24 * * *",
    "0 0 0 * *", "0 0 * 13 *", "0 0 30 2 *", "0 0 31 2,4,6 *", "*/0 * * * *", "5-1 * * * *",
    "@reboot", "@every 5m", "0 0 * * MON#9", "0 0 L * * 2099", "R * * * *", "H H * * *",
    "0 2 * * *\n* * * * *", "0 2 * * * \x00", "٠ ٢ * * *", "* " * 5000, "-1 * * * *",
]  # fmt: skip


async def test_a_cron_that_cannot_be_is_refused_and_nothing_scheduled(stack: Stack) -> None:
    host = await stack.add_host("plain", always_on=True, connect=False)
    path = f"/hosts/{host.id}/schedules"
    for cron in CRONS:
        body = {"cron": cron, "source_group_ids": [host.group]}
        status, problem = await refusal(stack, "POST", path, body)
        assert (status, problem["code"] != "internal") == (422, True), cron[:40]
    assert (await stack.get(path))["items"] == []
    made = await stack.add_schedule(host, "0 2 * * *", timezone="Europe/Berlin")
    for cron in CRONS[:5]:
        status, _ = await refusal(stack, "PATCH", f"{path}/{made}", {"cron": cron})
        assert status == 422, cron
    assert [item["cron"] for item in (await stack.get(path))["items"]] == ["0 2 * * *"]
    await check_alive(stack)


# -- tokens ----------------------------------------------------------------------------------------


async def test_expired_used_and_foreign_tokens(stack: Stack) -> None:
    """Each kind of token opens its own door only, as long and as often as it says."""
    host = await stack.add_host("plain", always_on=True, connect=False)
    short = await stack.post("/enrollment-tokens", expires_in="1s")
    used = (await stack.post("/enrollment-tokens"))["token"]
    agent = await FakeAgent.enroll(stack.gateway, used, hostname="first")
    stack.hosts["first"] = Host(agent.host_id, "first", agent)

    async def expired() -> bool:
        return SystemClock().now() > datetime.fromisoformat(short["expires_at"])

    await stack.until(expired, "the token is too old")
    admin = stack.api.headers["Authorization"].removeprefix("Bearer ")
    for token in (short["token"], used, host.agent.token, admin, "nonsense"):
        with pytest.raises(EnrollmentRefused) as refused:
            await FakeAgent.enroll(stack.gateway, token, hostname="second")
        assert refused.value.response.status_code == 401
    fresh = (await stack.post("/enrollment-tokens"))["token"]
    for token in (fresh, admin):
        stranger = FakeAgent(stack.gateway, token)
        await stranger.dial()
        assert (await stranger.wait_closed())[0] == 4401
    for token in (fresh, host.agent.token):
        answer = await stack.api.get("/hosts", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 401
    await check_alive(stack)


# -- clocks ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("ahead", [YEAR, -YEAR], ids=["ahead", "behind"])
async def test_an_agents_clock_a_year_off(stack: Stack, ahead: timedelta) -> None:
    """What it says is corrected by its offset: no time that we believe is later than now."""
    began = SystemClock().now() - timedelta(seconds=2)
    host = await stack.add_host("odd", always_on=True, cron="* * * * *", connect=False)
    host.agent.clock_ahead = ahead
    await stack.connect(host)
    job = (await stack.post(f"/hosts/{host.id}/backup", source_group_id=host.group))["job_id"]
    await host.agent.wait_for("run")
    await host.agent.accept(job)
    await host.agent.start(job)
    await host.agent.finish(job)

    async def done() -> Any:
        (found,) = [item for item in await stack.jobs(host) if item["id"] == job]
        return found if found["status"] == "succeeded" else None

    ended = await stack.until(done, "the job succeeded")
    seen = await stack.host(host)
    for moment in (ended["started_at"], ended["finished_at"], seen["last_seen_at"],
                   seen["last_backup_at"]):  # fmt: skip
        assert began <= datetime.fromisoformat(moment) <= SystemClock().now()
    assert abs(seen["clock_offset_seconds"] - ahead.total_seconds()) < 10
    await check_alive(stack)


async def test_a_fire_a_year_ahead_is_refused_with_an_error(stack: Stack) -> None:
    host = await stack.add_host("odd", always_on=True, cron="* * * * *")
    await host.agent.fire(host.schedule, host.group, SystemClock().now() + YEAR)
    assert (await host.agent.wait_for("error"))["message"]
    await stack.until_display(host, "online")
    assert await stack.jobs(host) == []
    await check_alive(stack)


async def test_hello_of_protocol_2_and_frames_before_hello(stack: Stack) -> None:
    """The door closes with its code; the host is not seen, and the next honest hello works."""
    host = await stack.add_host("odd", always_on=True, connect=False)
    for frame, code in (({"type": "heartbeat"}, 4400), ({"type": "hello", "protocol": 2}, 4426)):
        await host.agent.dial()
        await host.agent.send(frame)
        closed, reason = await host.agent.wait_closed()
        assert (closed, bool(reason)) == (code, True)
    assert (await stack.host(host))["status"] == "never_seen"
    await stack.connect(host)
    await stack.until_display(host, "online")
    await host.agent.hello()  # A second one on the same connection.
    assert (await host.agent.wait_closed())[0] == 4400
    await check_alive(stack)
