"""This gateway with agents of another build: older ones leave out fields, newer ones add some."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from libs.common.clock import SystemClock, to_rfc3339
from libs.common.events.agent import (
    AgentConfigApplied,
    AgentHello,
    AgentJobAccepted,
    AgentJobDeclined,
    AgentJobFinished,
    AgentJobStarted,
    AgentOffline,
    AgentPower,
    AgentScheduleFired,
    AgentSynced,
)
from libs.common.testing.fake_agent import FakeAgent
from tests.contract.test_frames_v1 import GOLDEN
from tests.integration.gateway.conftest import World

FUTURE = {"of_the_future": {"any": ["thing"]}}
EVENTS = {
    "schedule_fired": AgentScheduleFired, "job_accepted": AgentJobAccepted,
    "job_declined": AgentJobDeclined, "job_started": AgentJobStarted,
    "job_finished": AgentJobFinished, "config_applied": AgentConfigApplied, "power": AgentPower,
}  # fmt: skip


def hello(number: int, **changed: Any) -> dict[str, Any]:
    found = [frame for frame in GOLDEN["agent"] if frame["type"] == "hello"]
    return {**found[number], **changed}


async def tell_all(world: World, agent: FakeAgent, extra: dict[str, Any]) -> None:
    """Send every golden frame in order; each that is a fact is an event in the log."""
    for frame in GOLDEN["agent"]:
        if frame["type"] not in ("hello", "goodbye"):
            await agent.send(frame | extra)
    reports = [frame for frame in GOLDEN["agent"] if "seq" in frame]
    await agent.wait_for("ack", seq=reports[-1]["seq"])
    for kind, event in EVENTS.items():
        count = sum(frame["type"] == kind for frame in GOLDEN["agent"])
        await world.wait_event(event, agent.host_id, count)
    await agent.send({"type": "goodbye", "reason": "sleep"} | extra)
    assert (await agent.wait_closed())[0] == 1000
    assert (await world.wait_event(AgentOffline, agent.host_id)).reason == "sleep"


async def test_an_agent_of_the_first_build(world: World) -> None:
    gateway = await world.start_gateway()
    async with await world.new_agent(gateway) as agent:
        await agent.dial()
        now = to_rfc3339(SystemClock().now())
        await agent.send(hello(1, now=now, running=[], spool={"id": "s-1", "last_seq": 0}))
        welcome = await agent.wait_for("welcome")
        assert welcome["protocol"] == 1
        await world.wait_event(AgentSynced, agent.host_id)
        await tell_all(world, agent, {})


async def test_the_least_that_an_agent_of_the_first_build_says(world: World) -> None:
    gateway = await world.start_gateway()
    async with await world.new_agent(gateway) as agent:
        await agent.dial()
        await agent.send(hello(0))
        await agent.wait_for("welcome")
        await world.wait_event(AgentSynced, agent.host_id)
        await agent.heartbeat()


async def test_an_agent_of_a_newer_build(world: World) -> None:
    """It offers a range that begins with ours, and says more than we know."""
    gateway = await world.start_gateway()
    async with await world.new_agent(gateway) as agent:
        await agent.dial()
        ahead = to_rfc3339(SystemClock().now() + timedelta(seconds=1))
        newer = hello(1, protocol=[1, 9], now=ahead, running=[]) | FUTURE
        newer["spool"] = {"id": "s-1", "last_seq": 0} | FUTURE
        newer["power"] = newer["power"] | FUTURE
        await agent.send(newer)
        assert (await agent.wait_for("welcome"))["protocol"] == 1
        said = await world.wait_event(AgentHello, agent.host_id)
        assert said.hostname == "box"
        await agent.send({"type": "report_of_the_future", "seq": 99})
        await tell_all(world, agent, FUTURE)
