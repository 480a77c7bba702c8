"""R18 for the gateway, whose burst are the reports of real connections: killed amid 5,000 of them.

Fifty agents send a hundred reports each and dial again when the gateway dies. In the end every
report is in the log once, in its spool's order, and nobody was said to be offline.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

from websockets.exceptions import WebSocketException

from libs.common.bus.base import Outgoing
from libs.common.events import registry as _events  # noqa: F401  makes every event known
from libs.common.events.agent import AgentJobReport, AgentOffline, AgentScheduleFired, AgentSynced
from libs.common.events.base import Event, decode
from libs.common.security import hash_token
from libs.common.testing.agent_line import NoSuchFrame
from libs.common.testing.fake_agent import FakeAgent
from libs.common.testing.nats import NatsServer
from libs.common.testing.ports import free_ports
from tests.integration.system.burst import BASE, host_id, record
from tests.integration.system.victim import Victim, differences

AGENTS = 50
REPORTS = 100
KILLS = 4
PATIENCE_SECONDS = 60
REDIAL_SECONDS = 0.05
IGNORED = {
    "migration": {"*"},
    "position": {"*"},
    "outbox": {"*"},
    "deadline": {"due_at"},
    "decision": {"row_id", "at", "facts"},
    "gateway": {"*"},  # When it began to listen, and its last pulse.
    "hello": {"*"},  # Each run has other sessions, and a killed one more of them.
    "session": {"session", "connection", "last_seen", "log_seq"},  # The same.
    "spool": {"last_report_at", "used_at"},
}


async def know_hosts(nats: NatsServer) -> None:
    """Put tokens and records where a gateway finds them at its start."""
    bus = nats.bus("registry")
    await bus.connect()
    entries = []
    for number in range(AGENTS):
        found = record(number, BASE)
        token = json.dumps({"host_id": found.id, "token_version": 1}).encode()
        entries += [
            Outgoing("", found.id, found.model_dump_json().encode(), "hosts"),
            Outgoing("", hash_token(f"token-{number}"), token, "agent-tokens"),
        ]
    await bus.publish(entries)
    await bus.close()


def make_agent(number: int, port: int) -> FakeAgent:
    """Return an agent that was alone for a while: its spool is full."""
    url = f"http://127.0.0.1:{port}"
    agent = FakeAgent(url, f"token-{number}", host_id(number), f"host-{number}")
    agent.spool_id, agent.config_version = f"spool-{number}", 1
    fire = BASE - timedelta(days=1)
    for place in range(REPORTS // 2):
        at = fire + timedelta(minutes=place)
        agent.spool("schedule_fired", schedule_id="s", source_group_id="g",
                    fire_time=at.isoformat())  # fmt: skip
        agent.spool("job_started", job_id=f"{host_id(number)}-{place}", at=at.isoformat())
    return agent


async def report_all(agent: FakeAgent) -> None:
    """Dial until everything is acknowledged, then stay connected."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while agent.unacked:
            with suppress(OSError, WebSocketException, NoSuchFrame, TimeoutError):
                await agent.connect()
                await agent.wait_acked(agent.last_seq)
            await asyncio.sleep(REDIAL_SECONDS)


async def kill_amid(victim: Victim, random: Random) -> None:
    """Kill it again and again, each time after it has taken some more of the reports."""
    for part in range(KILLS):
        goal = AGENTS * REPORTS * (part + random.uniform(0.2, 0.9)) / (KILLS + 1)
        await victim.until_position(int(goal))
        await asyncio.sleep(random.uniform(0.0, 0.02))  # The moment of the kill.
        await victim.kill()
        await victim.start()


def fact(event: Event) -> tuple[Any, ...] | None:
    """Return what a report says; None for what each session has anew."""
    if isinstance(event, AgentScheduleFired):
        return event.type, event.host_id, event.fire_time.strftime("%H:%M")
    if isinstance(event, AgentJobReport):
        return event.type, event.host_id, event.job_id
    return (event.type, event.host_id) if isinstance(event, AgentOffline) else None


async def read_log(nats: NatsServer) -> list[Event]:
    bus = nats.bus("ui")
    await bus.connect()
    reader = await bus.open_reader(1)
    tail, seq, found = await reader.tail(), 0, []
    while seq < tail:
        for message in await reader.read(timedelta(seconds=5)):
            seq = message.seq
            envelope = decode(message.data)
            assert envelope is not None
            found.append(envelope.event)
    await reader.close()
    await bus.close()
    return found


async def run(folder: Path, random: Random | None) -> tuple[Any, list[Event]]:
    nats, (port,) = NatsServer(folder / "bus"), free_ports(1)
    nats.start()
    listen = {"DORMICE_GATEWAY_LISTEN": f"127.0.0.1:{port}"}
    victim = Victim("gateway", nats, folder, **listen)
    agents = [make_agent(number, port) for number in range(AGENTS)]
    try:
        await nats.create_topology()
        await know_hosts(nats)
        await victim.start()
        async with asyncio.TaskGroup() as group:
            if random is not None:
                group.create_task(kill_amid(victim, random))
            for agent in agents:
                group.create_task(report_all(agent))
        await asyncio.gather(*(bring_back(agent) for agent in agents))
        events = await read_log(nats)
    finally:
        for agent in agents:
            await agent.abort()
        await victim.end()
        nats.stop()
    return victim.dump(IGNORED), events


async def bring_back(agent: FakeAgent) -> None:
    """A kill may have come after the last acknowledgement."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while agent.is_closed:
            with suppress(OSError, WebSocketException, NoSuchFrame, TimeoutError):
                await agent.connect()


async def test_r18_gateway_killed_amid_5000_reports(tmp_path: Path) -> None:
    calm, events = await run(tmp_path / "calm", None)
    dump, again = await run(tmp_path / "killed", Random(18))
    facts = Counter(filter(None, map(fact, events)))
    assert facts.total() == len(facts) == AGENTS * REPORTS
    assert differences({"events": facts}, {"events": Counter(filter(None, map(fact, again)))}) == []
    assert differences(calm, dump) == []
    synced = [event.session for event in again if isinstance(event, AgentSynced)]
    assert len(synced) == len(set(synced)) >= AGENTS
    for number in range(AGENTS):
        own = [
            event.job_id for event in again
            if isinstance(event, AgentJobReport) and event.host_id == host_id(number)
        ]  # fmt: skip
        assert own == [f"{host_id(number)}-{place}" for place in range(REPORTS // 2)]
