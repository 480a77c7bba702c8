"""Enrollment, configuration, commands, live frames and health, over the real wires."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any

import httpx

from libs.common.events.agent import AgentConfigApplied
from libs.common.testing.fake_agent import FakeAgent, post_enroll
from tests.integration.gateway.conftest import World


async def get(url: str) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False) as client:
        return await client.get(url)


# -- enrollment ------------------------------------------------------------------------------------


async def test_enrolling(world: World) -> None:
    gateway = await world.start_gateway()
    token = (await world.call("create_enrollment_token", uses=2))["token"]
    first = await post_enroll(gateway.url, token=token, hostname="Atlas")
    assert first.status_code == 201
    assert set(first.json()) == {"host_id", "agent_token"}
    taken = await post_enroll(gateway.url, token=token, hostname="atlas")
    assert taken.status_code == 409
    free = taken.json()["free_name"]
    second = await post_enroll(gateway.url, token=token, hostname="atlas", name=free)
    assert second.status_code == 201
    assert (await post_enroll(gateway.url, token=token, hostname="third")).status_code == 401


async def test_bad_enrollments_get_one_clear_answer_and_then_429(world: World) -> None:
    gateway = await world.start_gateway()
    token = (await world.call("create_enrollment_token", uses=100))["token"]
    for count in range(12):
        good = await post_enroll(gateway.url, token=token, hostname=f"host-{count}")
        assert good.status_code == 201
    bad: list[tuple[dict[str, Any], int]] = [
        ({"token": "foreign"}, 401),
        ({"token": None}, 422),
        ({"token": token, "os": "x" * 33}, 422),
        ({"token": token, "arch": 7}, 422),
        ({"token": token, "hostname": "x" * 10_000}, 422),
        ({"token": token, "name": "\x00\x01"}, 422),
        ({"token": token, "timezone": "Mars/Olympus"}, 422),
        ({"token": token, "hostname": "host-0"}, 409),
    ]
    for body, status in bad:
        answer = await post_enroll(gateway.url, **body)
        assert answer.status_code == status, (body, answer.text)
        assert answer.headers["content-type"].startswith("application/problem+json")
    async with httpx.AsyncClient(trust_env=False) as client:
        raw = await client.post(f"{gateway.url}/enroll", content=b"[" * 50_000)
        assert raw.status_code == 422
        raw = await client.post(f"{gateway.url}/enroll", content=b"x" * 2 * 1024 * 1024)
        assert raw.status_code == 413
    over = await post_enroll(gateway.url, token=token, hostname="fine")
    assert over.status_code == 429
    assert over.headers["retry-after"]


async def test_enrolling_without_the_registry_is_503_and_no_failed_try(world: World) -> None:
    gateway = await world.start_gateway()
    token = (await world.call("create_enrollment_token"))["token"]
    await world.stop("registry")
    for _ in range(11):
        assert (await post_enroll(gateway.url, token=token)).status_code == 503
    await world.start_registry()
    assert (await post_enroll(gateway.url, token=token)).status_code == 201


# -- configuration ---------------------------------------------------------------------------------


async def test_configuration_reaches_the_agent_with_its_secrets(world: World) -> None:
    gateway = await world.start_gateway(offline_after=timedelta(seconds=30))
    async with await world.new_agent(gateway) as agent:
        await agent.connect()
        await agent.wait_for("config")
        group = await world.call(
            "create_source_group", host_id=agent.host_id, name="home", includes=["/home"]
        )
        await agent.wait_for("config")
        await world.call("set_repository", host_id=agent.host_id, url="/repo", password="hush-hush")
        config = await agent.wait_for("config")
        assert config["repository"]["password"] == "hush-hush"
        assert [one["id"] for one in config["source_groups"]] == [group["id"]]
        applied = await world.wait_event(AgentConfigApplied, agent.host_id, count=3)
        assert applied.version == config["version"]
        await world.call("rotate_token", host_id=agent.host_id)
        rotated = await agent.wait_for("config")
        old, agent.token = agent.token, rotated["agent_token"]
        await agent.connect()
        async with FakeAgent(gateway.url, old) as left:
            await left.dial()
            assert (await left.wait_closed())[0] == 4401
    path = gateway.settings.data
    stored = b"".join(file.read_bytes() for file in path.iterdir())
    assert b"hush-hush" not in stored
    assert agent.token.encode() not in stored


# -- commands --------------------------------------------------------------------------------------


async def test_commands_reach_the_session_that_is_meant(world: World) -> None:
    gateway = await world.start_gateway(offline_after=timedelta(seconds=30))
    jobs = world.nats.bus("jobs")
    await jobs.connect()
    run = {"type": "run", "job_id": "job-1", "config_version": 1}

    async def send(host_id: str, session: str, frame: dict[str, Any]) -> dict[str, Any]:
        body = json.dumps({"session": session, "frame": frame}).encode()
        subject = f"dormice-cmd.gw-1.{host_id}"
        answer: dict[str, Any] = json.loads(await jobs.call(subject, body, timedelta(seconds=5)))
        return answer

    async with await world.new_agent(gateway) as agent:
        await agent.connect()
        old = agent.welcome["session"]
        assert await send(agent.host_id, old, run) == {"ok": True}
        assert (await agent.wait_for("run"))["job_id"] == "job-1"
        await agent.connect()
        session = agent.welcome["session"]
        refused = {"ok": False, "reason": "other_session"}
        assert await send(agent.host_id, old, run) == refused
        hold = {"type": "hold", "job_id": "j", "reason": "busy", "until": "2026-01-01T00:00:00Z"}
        assert await send(agent.host_id, session, hold) == {"ok": True}
        assert await send(agent.host_id, session, {"type": "cancel", "job_id": "j"}) == {"ok": True}
        await agent.wait_for("hold")
        await agent.wait_for("cancel")
        for bad in ({"type": "welcome"}, {"type": "run"}, {"type": "config", "version": 1}):
            assert (await send(agent.host_id, session, bad))["reason"] == "bad_frame"
        assert (await send("nobody", session, run))["reason"] == "not_connected"
        await agent.goodbye()
        assert (await send(agent.host_id, session, run))["reason"] == "not_connected"
    await jobs.close()


async def test_progress_and_logs_go_live(world: World) -> None:
    heard: asyncio.Queue[tuple[str, dict[str, Any]]] = asyncio.Queue()
    await world.ui.listen(
        "dormice-live.job.>", lambda subject, data: heard.put_nowait((subject, json.loads(data)))
    )
    gateway = await world.start_gateway()
    async with await world.new_agent(gateway) as agent:
        await agent.connect()
        await agent.progress("not a.token", 1)
        await agent.progress("job-1", 40)
        await agent.log("job-1", 0, "line")
        subject, progress = await heard.get()
        assert subject == f"dormice-live.job.{agent.host_id}.job-1"
        assert (progress["host_id"], progress["kind"]) == (agent.host_id, "progress")
        assert progress["percent"] == 40
        _, log = await heard.get()
        assert (log["kind"], log["text"], log["job_id"]) == ("log", "line", "job-1")


# -- health ----------------------------------------------------------------------------------------


async def test_health(world: World) -> None:
    gateway = await world.start_gateway()
    async with await world.new_agent(gateway) as agent:
        await agent.connect()
        await agent.heartbeat()
        assert (await get(f"{gateway.url}/healthz")).status_code == 200
        assert (await get(f"{gateway.url}/readyz")).status_code == 200
        metrics = (await get(f"{gateway.url}/metrics")).text
        assert "dormice_gateway_agents 1.0" in metrics
        assert 'dormice_gateway_frames_total{type="heartbeat"} 1.0' in metrics
        assert 'dormice_ready{service="gateway"} 1.0' in metrics
        away = asyncio.Event()
        gateway.service.on_signal("disconnected", lambda _: away.set())
        world.nats.stop()
        await away.wait()
        ready = await get(f"{gateway.url}/readyz")
        assert ready.status_code == 503
        assert ready.json()["reasons"] == ["bus away"]
        assert (await get(f"{gateway.url}/healthz")).status_code == 200
        assert (await get(f"{gateway.url}/nothing")).status_code == 404
