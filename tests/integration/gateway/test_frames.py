"""What goes wrong on a socket: each fault closes with its code, and nothing else suffers."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest

from libs.common.events.agent import (
    AgentHello,
    AgentJobFinished,
    AgentOffline,
    AgentPower,
    AgentSynced,
)
from libs.common.testing.fake_agent import FakeAgent
from services.gateway import agents, commands
from services.gateway.connections import QUEUED_FRAMES
from tests.integration.gateway.conftest import HEARTBEAT, World

MIB = 1024 * 1024


async def closed_after(agent: FakeAgent, *frames: Any) -> tuple[int | None, str]:
    await agent.dial()
    for frame in frames:
        await agent.send(frame)
    return await agent.wait_closed()


async def test_bad_first_frames(world: World) -> None:
    gateway = await world.start_gateway()
    async with await world.new_agent(gateway) as agent:
        hello = agent.hello_frame(connection=1)
        without_protocol = {key: hello[key] for key in hello if key != "protocol"}
        cases: list[tuple[Any, int, str]] = [
            ({"type": "heartbeat"}, 4400, "hello"),
            ({"type": "of a newer agent"}, 4400, "hello"),
            ("no json", 4400, "JSON"),
            ("[]", 4400, "object"),
            ("[" * 100_000, 4400, "JSON"),
            (b"binary", 4400, "text"),
            (without_protocol, 4400, "protocol"),
            (hello | {"protocol": "1"}, 4400, "protocol"),
            (hello | {"protocol": True}, 4400, "protocol"),
            (hello | {"protocol": [2, 3], "running": "nonsense"}, 4426, "1"),
            (hello | {"protocol": 2}, 4426, "1"),
            (hello | {"running": "nonsense"}, 4400, "running"),
            (hello | {"now": "2026-01-01T00:00:00"}, 4400, "now"),
            (hello | {"hostname": "x" * 300}, 4400, "hostname"),
        ]
        for frame, code, reason in cases:
            got = await closed_after(agent, frame)
            assert got[0] == code, (str(frame)[:80], got)
            assert reason in got[1], (str(frame)[:80], got)
        assert not world.of(AgentHello)
        await agent.connect(protocol=[0, 7])


async def test_bad_later_frames_close_and_ignorable_ones_do_not(world: World) -> None:
    gateway = await world.start_gateway()
    async with await world.new_agent(gateway) as agent:
        await agent.connect(new_field="of a newer agent")
        await agent.send({"type": "of a newer agent", "any": "thing"})
        await agent.heartbeat()
        assert (await closed_after(agent, agent.hello_frame(connection=7), "{"))[0] == 4400
        again = agent.hello_frame(connection=8)
        assert (await closed_after(agent, again, again | {"connection": 9}))[0] == 4400
        bad = {"type": "job_finished", "seq": 1, "job_id": "j", "at": "x", "status": "done"}
        assert (await closed_after(agent, agent.hello_frame(connection=10), bad))[0] == 4400
        await agent.connect(connection=11)


async def test_a_frame_over_1_mib_is_1009(world: World) -> None:
    gateway = await world.start_gateway()
    async with await world.new_agent(gateway) as agent:
        await agent.connect()
        fits = {"type": "of a newer agent", "fill": ""}
        fits["fill"] = "x" * (MIB - len(json.dumps(fits)))
        await agent.send(fits)
        await agent.heartbeat()
        fits["fill"] += "x"
        await agent.send(fits)
        assert (await agent.wait_closed())[0] == 1009


async def test_no_hello_in_time_is_4408(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agents, "HELLO_TIMEOUT", timedelta(seconds=0.2))
    gateway = await world.start_gateway()
    async with await world.new_agent(gateway) as agent:
        assert (await closed_after(agent))[0] == 4408


async def test_r20_unknown_tokens_are_accepted_then_4401(world: World) -> None:
    gateway = await world.start_gateway()
    for token in ("", "nobody's", "x" * 600):
        async with FakeAgent(gateway.url, token) as agent:
            assert (await closed_after(agent))[0] == 4401
    async with await world.new_agent(gateway) as agent:
        await agent.connect()
        await world.call("remove_host", host_id=agent.host_id)
        assert (await agent.wait_closed())[0] == 4401
        assert (await closed_after(agent))[0] == 4401


async def test_an_unknown_token_needs_the_registry_a_known_one_does_not(world: World) -> None:
    gateway = await world.start_gateway()
    async with await world.new_agent(gateway) as agent:
        await agent.connect()
        await world.stop("registry")
        await agent.connect()
        async with FakeAgent(gateway.url, "nobody's") as other:
            assert (await closed_after(other))[0] == 4503


async def test_r18_reports_are_acknowledged_in_order_once_durable(world: World) -> None:
    gateway = await world.start_gateway()
    async with await world.new_agent(gateway) as agent:
        for count in range(250):
            agent.spool("job_finished", **agent.end_of(f"job-{count}"))
        await agent.connect()
        await agent.wait_acked(250)
        await world.wait_event(AgentSynced, agent.host_id)
        told = [event.job_id for event in world.of(AgentJobFinished)]
        assert told == [f"job-{count}" for count in range(250)]
        await agent.send({"type": "job_finished", "seq": 7, **agent.end_of("job-6")})
        await agent.wait_for("ack", seq=250)
        await agent.wait_for("ack", seq=250)
        await agent.report("job_finished", **agent.end_of("last"))
        await agent.wait_acked(251)
        await world.wait_event(AgentJobFinished, where=lambda event: event.job_id == "last")
        assert len(world.of(AgentJobFinished)) == 251


async def test_a_minimal_agent(world: World) -> None:
    gateway = await world.start_gateway()
    async with await world.new_agent(gateway) as agent:
        first = await agent.connect_minimal()
        other = FakeAgent(gateway.url, agent.token)
        async with other:
            second = await other.connect_minimal()
            assert (await agent.wait_closed())[0] == 4409
            assert first["session"] != second["session"]
            await other.send({"type": "job_finished", "seq": 1, **other.end_of("job")})
            await other.wait_for("ack", seq=1)
            await other.connect_minimal()
            await other.send({"type": "job_finished", "seq": 1, **other.end_of("job-2")})
            await other.wait_for("ack", seq=1)
        await world.wait_event(AgentJobFinished, count=2)


async def test_what_was_sent_before_a_write_fails_is_read(world: World) -> None:
    """A connection that is full reads no more; then its agent is gone, and the ack is refused.

    Its last frame lies in the kernel at that moment, where asyncio would leave it.
    """
    gateway = await world.start_gateway()
    async with await world.new_agent(gateway) as agent:
        await agent.connect()
        (connection,) = gateway.hub.all
        world.nats.stop()
        for count in range(QUEUED_FRAMES + 1):
            await agent.report("job_finished", **agent.end_of(f"job-{count}"))
        async with asyncio.timeout(5):
            while not connection.is_full:
                await asyncio.sleep(0)
        await agent.power(on_battery=True, percent=5)
        agent.reset()
        world.nats.start()
        power = await world.wait_event(AgentPower, agent.host_id)
        assert power.battery_percent == 5


async def test_a_fire_far_ahead_gets_an_error_and_an_ack(world: World) -> None:
    gateway = await world.start_gateway()
    async with await world.new_agent(gateway) as agent:
        await agent.connect()
        await agent.fire("sched", "group", "2099-01-01T00:00:00Z")
        error = await agent.wait_for("error")
        assert error["code"] == "fire_time_refused"
        await agent.heartbeat()


async def test_an_agent_that_takes_nothing_hurts_nobody(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is read no further than it reads itself; others are served; it does not hold up a stop."""
    monkeypatch.setattr(commands, "WRITE_SECONDS", 0.3)
    gateway = await world.start_gateway()
    deaf = await world.new_agent(gateway, "deaf")
    async with deaf, await world.new_agent(gateway, "fine") as fine:
        await deaf.connect()
        await fine.connect()
        fine.start_heartbeats(HEARTBEAT)
        deaf.stop_reading()
        assert await fill_up(world, deaf) == "not_accepting"
        await deaf.send({"type": "heartbeat"})
        await fine.report("job_finished", **fine.end_of("job"))
        await fine.wait_acked(1)
        offline = await world.wait_event(AgentOffline, deaf.host_id)
        assert offline.session == deaf.welcome["session"]
        assert not world.of(AgentOffline, fine.host_id)
        async with asyncio.timeout(5):
            await world.stop("gw-1")


async def fill_up(world: World, agent: FakeAgent) -> str:
    """Send commands until one is not written; return why."""
    jobs = world.nats.bus("jobs")
    await jobs.connect()
    hold = {"type": "hold", "job_id": "j", "reason": "x" * 500_000, "until": agent.now()}
    body = json.dumps({"session": agent.welcome["session"], "frame": hold}).encode()
    answer: dict[str, Any] = {"ok": True}
    while answer["ok"]:
        subject = f"dormice-cmd.gw-1.{agent.host_id}"
        answer = json.loads(await jobs.call(subject, body, timedelta(seconds=5)))
    await jobs.close()
    return str(answer["reason"])
