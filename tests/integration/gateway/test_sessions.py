"""Hello, heartbeat, goodbye, silence: on real sockets, a real bus and real files."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from libs.common.events.agent import (
    AgentHello,
    AgentOffline,
    AgentSynced,
    OfflineReason,
)
from libs.common.testing.fake_agent import FakeAgent
from services.gateway.pacer import Pacer
from tests.integration.gateway.conftest import World


async def test_hello_is_durable_before_welcome_and_synced_follows(world: World) -> None:
    gateway = await world.start_gateway()
    async with await world.new_agent(gateway) as agent:
        welcome = await agent.connect()
        hello = await world.wait_event(AgentHello, agent.host_id)
        synced = await world.wait_event(AgentSynced, agent.host_id)
        assert welcome["host_id"] == agent.host_id
        assert welcome["session"] == hello.session == synced.session
        assert welcome["heartbeat_interval"] == 1.0
        assert hello.gateway == "gw-1"
        assert hello.connection == 1
        assert (await agent.heartbeat())["type"] == "beat"


async def test_goodbye_is_durable_then_closed_1000(world: World) -> None:
    gateway = await world.start_gateway()
    async with await world.new_agent(gateway) as agent:
        await agent.connect()
        await agent.goodbye("sleep")
        offline = await world.wait_event(AgentOffline, agent.host_id)
        assert offline.reason is OfflineReason.SLEEP
        assert offline.session == agent.welcome["session"]


async def test_r3_a_closed_socket_changes_nothing_before_the_time(world: World) -> None:
    gateway = await world.start_gateway()
    async with await world.new_agent(gateway) as agent:
        await agent.connect()
        session = agent.welcome["session"]
        await agent.heartbeat()
        await agent.abort()
        offline = await world.wait_event(AgentOffline, agent.host_id)
        assert offline.reason is OfflineReason.HEARTBEAT_TIMEOUT
        assert offline.session == session
        silence = world.of(AgentHello, agent.host_id)
        assert len(silence) == 1


async def test_r3_the_larger_counter_wins(world: World) -> None:
    gateway = await world.start_gateway()
    async with await world.new_agent(gateway) as first:
        second = FakeAgent(gateway.url, first.token)
        async with second:
            await first.connect(connection=10)
            await second.connect(connection=11)
            code, reason = await first.wait_closed()
            assert code == 4409
            assert "11" in reason
            await first.dial()
            await first.hello(connection=11)
            code, reason = await first.wait_closed()
            assert code == 4409
            assert "11" in reason
            await second.heartbeat()
            assert not world.of(AgentOffline)


async def test_r3_a_hello_that_waits_its_turn_is_no_silence(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Held back in a storm for longer than OFFLINE_AFTER, which another host's silence tells."""
    gateway, pace = await world.start_gateway(), Pacer.turn
    waits, turn = asyncio.Event(), asyncio.Event()

    @asynccontextmanager
    async def held(pacer: Pacer) -> AsyncIterator[None]:
        async with pace(pacer):
            waits.set()
            await turn.wait()
            yield

    async with await world.new_agent(gateway) as other:
        await other.connect()
        monkeypatch.setattr(Pacer, "turn", held)
        async with await world.new_agent(gateway, "waiting") as agent:
            connecting = asyncio.create_task(agent.connect())
            await waits.wait()
            await other.heartbeat()
            await other.abort()
            await world.wait_event(AgentOffline, other.host_id)
            turn.set()
            await connecting
            await agent.heartbeat()
            await gateway.service.submit(lambda tx: None)
            assert world.of(AgentOffline, agent.host_id) == []
            assert (await agent.heartbeat())["type"] == "beat"
