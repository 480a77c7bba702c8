"""The gateway, its file and the bus die and come back: nothing is lost, nobody is slandered."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime, timedelta

import pytest

from libs.common.clock import SystemClock
from libs.common.errors import StoreBroken, StoreLocked
from libs.common.events.agent import (
    AgentHello,
    AgentJobFinished,
    AgentOffline,
    GatewayListening,
    GatewayStopped,
    OfflineReason,
)
from libs.common.testing.fake_agent import FakeAgent
from services.gateway import store
from services.gateway.app import Gateway, build
from services.gateway.connections import State
from services.gateway.pulse import Pulse
from services.gateway.settings import GatewaySettings
from tests.integration.gateway.conftest import HEARTBEAT, World


async def test_an_orderly_stop_closes_4503_and_leaves_hosts_online(world: World) -> None:
    gateway = await world.start_gateway()
    async with await world.new_agent(gateway) as agent:
        await agent.connect()
        await world.stop("gw-1")
        assert (await agent.wait_closed())[0] == 4503
        await world.wait_event(GatewayStopped)
        assert not world.of(AgentOffline)
        gateway = await world.start_gateway()
        agent.url = FakeAgent(gateway.url, "").url
        await agent.connect()
        agent.start_heartbeats(HEARTBEAT)
        await world.wait_event(GatewayListening, count=2)
        other = await world.new_agent(gateway, "other")
        async with other:
            await other.connect()
            await world.wait_event(AgentOffline, other.host_id)
        assert not world.of(AgentOffline, agent.host_id)


async def test_r18_after_a_kill_who_stays_away_goes_offline_as_last_seen(world: World) -> None:
    gateway = await world.start_gateway()
    gone, back = await world.new_agent(gateway, "gone"), await world.new_agent(gateway, "back")
    async with gone, back:
        await gone.connect()
        await back.connect()
        seen = (await world.wait_event(AgentHello, gone.host_id)).session
        await world.kill("gw-1")
        gateway = await world.start_gateway()
        back.url = FakeAgent(gateway.url, "").url
        await back.connect()
        back.start_heartbeats(HEARTBEAT)
        offline = await world.wait_event(AgentOffline, gone.host_id)
        restarted = world.of(GatewayListening)[-1].since
        assert offline.session == seen
        assert offline.reason is OfflineReason.HEARTBEAT_TIMEOUT
        assert offline.last_seen < restarted
        assert not world.of(AgentOffline, back.host_id)


async def test_r18_a_frame_after_a_pause_is_on_disk_before_the_next_batch(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who beats every 30 s would after a kill be known by a frame that is 30 s too old."""

    async def no_batches(_: Pulse) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(Pulse, "run", no_batches)
    gateway = await world.start_gateway(offline_after=timedelta(seconds=6))
    async with await world.new_agent(gateway) as agent:
        await agent.connect()
        (connection,) = gateway.hub.all
        said_hello = heard = connection.last_seen
        while heard - said_hello < gateway.settings.pulse_interval:
            await agent.heartbeat()
            heard = connection.last_seen
        async with asyncio.timeout(gateway.settings.pulse_interval.total_seconds()):
            while await stored_last_seen(gateway, agent.host_id) < heard:
                await asyncio.sleep(0.01)


async def stored_last_seen(gateway: Gateway, host_id: str) -> datetime:
    session = await gateway.service.read(lambda db: store.find_session(db, host_id))
    assert session is not None
    return session.last_seen


async def test_r18_reports_while_the_bus_restarts_are_all_acknowledged(world: World) -> None:
    gateway = await world.start_gateway()
    async with await world.new_agent(gateway) as agent:
        await agent.connect()
        agent.start_heartbeats(HEARTBEAT)
        world.nats.stop()
        for count in range(5):
            await agent.report("job_finished", **agent.end_of(f"job-{count}"))
        await agent.heartbeat()
        assert not agent.of("ack")
        world.nats.start()
        await agent.wait_acked(5)
    await world.wait_event(AgentJobFinished, count=5)
    told = [event.job_id for event in world.of(AgentJobFinished)]
    assert told == [f"job-{count}" for count in range(5)]
    assert not world.of(AgentOffline)


async def test_hello_while_the_bus_is_away_is_4503(world: World) -> None:
    gateway = await world.start_gateway()
    away = asyncio.Event()
    gateway.service.on_signal("disconnected", lambda _: away.set())
    async with await world.new_agent(gateway) as agent:
        world.nats.stop()
        await away.wait()
        await agent.dial()
        await agent.hello()
        assert (await agent.wait_closed())[0] == 4503
        world.nats.start()
        listening = gateway.hub.ready
        await listening.wait()
        await agent.connect()


async def test_r18_a_report_is_acknowledged_once_it_is_in_the_log(world: World) -> None:
    """The bus goes away; what is reported meanwhile is acknowledged when it is back."""
    gateway = await world.start_gateway(offline_after=timedelta(seconds=30))
    async with await world.new_agent(gateway) as agent:
        await agent.connect()
        world.nats.stop()
        seq = await agent.report("job_finished", **agent.end_of("job-1"))
        for _ in range(2):  # An ack that waits for nothing would come between them.
            await agent.heartbeat()
        assert list(agent.unacked) == [seq]
        world.nats.start()
        await agent.wait_acked(seq)
    await world.wait_event(AgentJobFinished)


async def test_r18_a_hello_is_welcomed_once_it_is_in_the_log(world: World) -> None:
    """The bus goes away between dial and hello; nobody is welcomed before it is back."""
    gateway = await world.start_gateway(offline_after=timedelta(seconds=30))
    async with await world.new_agent(gateway) as agent:
        await agent.connect()
        await agent.abort()
        while gateway.hub.all:
            await asyncio.sleep(0)
        await agent.dial()
        while not gateway.hub.all:
            await asyncio.sleep(0)
        await gateway.service.read(lambda _: None)  # After the one that says whose token it is.
        world.nats.stop()
        await agent.hello()
        (connection,) = gateway.hub.all
        while connection.state is State.GREETING:
            await asyncio.sleep(0)
        back = SystemClock().now()
        world.nats.start()
        welcome = await agent.wait_for("welcome")
        assert datetime.fromisoformat(welcome["server_time"]) > back
    await world.wait_event(AgentHello, where=lambda told: told.session == welcome["session"])


async def test_r10_listening_and_a_beat_after_every_return_of_the_bus(world: World) -> None:
    beats: list[dict[str, object]] = []
    heard = asyncio.Event()

    def take(_: str, data: bytes) -> None:
        beats.append(json.loads(data))
        heard.set()

    await world.ui.listen("dormice-live.beat.*", take)
    gateway = await world.start_gateway()
    await heard.wait()
    async with await world.new_agent(gateway) as agent:
        await agent.connect()
        agent.start_heartbeats(HEARTBEAT)
        heard.clear()
        await heard.wait()
        assert beats[-1]["hosts"] == [agent.host_id]
        first = beats[-1]["since"]
        world.nats.restart()
        while beats[-1]["since"] == first:
            heard.clear()
            await heard.wait()
    assert beats[-1]["gateway"] == "gw-1"
    await world.wait_event(GatewayListening, count=2)


async def test_a_wiped_log_makes_every_agent_say_hello_again(world: World) -> None:
    gateway = await world.start_gateway()
    async with await world.new_agent(gateway) as agent:
        await agent.connect()
        world.nats.stop()
        world.nats.wipe()
        world.nats.start()
        await world.nats.create_topology()
        assert (await agent.wait_closed())[0] == 4503
        await gateway.hub.ready.wait()
        await agent.connect()
    await world.wait_event(AgentHello, agent.host_id)
    await world.wait_event(GatewayListening)


async def test_r3_two_gateways_the_larger_counter_wins(world: World) -> None:
    one = await world.start_gateway("gw-1", offline_after=timedelta(seconds=30))
    two = await world.start_gateway("gw-2", offline_after=timedelta(seconds=30))
    async with await world.new_agent(one) as agent, FakeAgent(two.url, agent.token) as other:
        await agent.connect(connection=5)
        await other.connect(connection=6)
        code, reason = await agent.wait_closed()
        assert code == 4409
        assert "6" in reason
        await agent.dial()
        await agent.hello(connection=5)
        assert (await agent.wait_closed())[0] == 4409
        await agent.connect(connection=7)
        assert (await other.wait_closed())[0] == 4409


async def test_the_bus_away_at_start_comes_later(world: World) -> None:
    world.nats.stop()
    bus = world.nats.bus("gateway")
    settings = GatewaySettings.load(data=world.folder / "late", gateway_listen="127.0.0.1:0")
    gateway = build(settings, bus)
    running = asyncio.create_task(gateway.run())
    await gateway.listening.wait()
    async with FakeAgent(gateway.url, "any") as agent:
        await agent.dial()
        assert (await agent.wait_closed())[0] == 4503
    world.nats.start()
    await gateway.hub.ready.wait()
    async with await world.new_agent(gateway) as agent:
        await agent.connect()
    async with asyncio.timeout(5):
        world.nats.stop()
        await gateway.stop()
        await running
    await bus.close()
    world.nats.start()


async def test_a_second_gateway_on_the_file_is_refused(world: World) -> None:
    first = await world.start_gateway()
    settings = first.settings.model_copy(update={"gateway_listen": "127.0.0.1:0"})
    bus = world.nats.bus("gateway")
    with pytest.raises(StoreLocked):
        await build(settings, bus).run()
    await bus.close()
    await world.stop("gw-1")
    settings.database_path.write_bytes(b"no database at all" * 1000)
    with pytest.raises(StoreBroken):
        await world.start_gateway()
