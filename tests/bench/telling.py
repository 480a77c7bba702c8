"""Being told: how soon, how often, and what a kill or an absent receiver costs."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from cli.bench.crowd import percentile
from libs.common.clock import SystemClock, monotonic_seconds, to_rfc3339
from libs.common.ids import new_id
from libs.common.runs import job_id, run_id
from libs.common.testing.fake_agent import FakeAgent
from libs.common.testing.webhook_receiver import Answer, WebhookReceiver
from tests.bench.system import Running, up

FLOOR = timedelta(seconds=4)
QUICK = {
    "DORMICE_HEARTBEAT_INTERVAL": "1s",
    "DORMICE_OFFLINE_AFTER": "3s",
    "DORMICE_AGENT_OFFLINE_FLOOR": "4s",
    "DORMICE_ALLOW_TARGETS": "127.0.0.0/8",
}
TOLD = {"DORMICE_ALLOW_TARGETS": "127.0.0.0/8"}
FLEET, SILENCED = 120, 24
SILENT, REST_SECONDS = 200, 15.0
ALERTS, AGENTS, AWAY_SECONDS = 200, 20, 15.0
MANY, MANY_AGENTS, KILL_AT = 7500, 75, (1000, 3000, 5000)
PATIENCE_SECONDS = 60.0
RUNS_AT_ONCE = 50  # An agent has no more than 100 reports unacknowledged.


# -- offline deadline → webhook --------------------------------------------------------------------


async def soon(folder: Path) -> dict[str, float]:
    """Of some hosts that go silent one by one: milliseconds from deadline to webhook, p99."""
    async with WebhookReceiver() as receiver, up(folder, **QUICK) as running:
        await _channel(running, receiver)
        agents = await _connected(running, FLEET)
        late = _Lateness(receiver)
        watching = asyncio.create_task(late.watch(SILENCED))
        for agent in agents[:SILENCED]:
            await agent.abort()
            await asyncio.sleep(0.25)
        came = await watching
        found = [await _late(running, host_id, at) for host_id, at in came.items()]
        for agent in agents[SILENCED:]:
            await agent.abort()
        return {"p99": percentile(found, 99)}


class _Lateness:
    """When the first message about each host came."""

    def __init__(self, receiver: WebhookReceiver) -> None:
        self._receiver = receiver

    async def watch(self, count: int) -> dict[str, datetime]:
        came: dict[str, datetime] = {}
        read = 0
        while len(came) < count:
            messages = await self._receiver.wait_for(read + 1, PATIENCE_SECONDS)
            now = SystemClock().now()
            for message in messages[read:]:
                for alert in message.json["alerts"]:
                    came.setdefault(alert["host_id"], now)
            read = len(messages)
        return came


async def _late(running: Running, host_id: str, came: datetime) -> float:
    host = (await running.api.get(f"/hosts/{host_id}")).json()
    deadline = datetime.fromisoformat(host["last_seen_at"]) + FLOOR
    return (came - deadline) / timedelta(milliseconds=1)


# -- a whole fleet silent --------------------------------------------------------------------------


async def silent(folder: Path) -> dict[str, float]:
    """Messages on a channel when 200 hosts fall silent at once and stay so."""
    async with WebhookReceiver() as receiver, up(folder, **QUICK) as running:
        await _channel(running, receiver)
        for agent in await _connected(running, SILENT):
            await agent.abort()
        await receiver.wait_for(1, PATIENCE_SECONDS)
        await asyncio.sleep(REST_SECONDS)
        return {"messages": len(receiver.received)}


# -- a receiver that is away -----------------------------------------------------------------------


async def away(folder: Path) -> dict[str, float]:
    """200 alerts to a receiver that answers 503 for 15 s: seconds to the last, tries of one."""
    async with WebhookReceiver() as receiver, up(folder, **TOLD) as running:
        await _channel(running, receiver)
        receiver.default = Answer(503)
        agents = await _connected(running, AGENTS)
        await asyncio.gather(*(_fail(agent, ALERTS // AGENTS) for agent in agents))
        await receiver.wait_for(1, PATIENCE_SECONDS)
        await asyncio.sleep(AWAY_SECONDS)
        receiver.default, back = Answer(), monotonic_seconds()
        refused = len(receiver.received)
        await receiver.wait_until(
            lambda all_: len(_told(all_[refused:])) >= ALERTS, PATIENCE_SECONDS
        )
        took = monotonic_seconds() - back
        for agent in agents:
            await agent.abort()
        tries = Counter(message.delivery_id for message in receiver.received)
        return {"seconds": took, "tries": max(tries.values())}


# -- kill -9 ---------------------------------------------------------------------------------------


async def killed(folder: Path) -> dict[str, float]:
    """kill -9 three times while 7,500 alerts are told: lost, told again under another id."""
    async with WebhookReceiver() as receiver:
        async with up(folder, **TOLD) as running:
            await _channel(running, receiver)
            agents = await _connected(running, MANY_AGENTS)
            await asyncio.gather(*(_fail(agent, MANY // MANY_AGENTS) for agent in agents))
            for agent in agents:
                await agent.abort()
            await _kill_at(running, receiver, KILL_AT[0])
        for count in KILL_AT[1:]:
            async with up(folder, **TOLD) as running:
                await _kill_at(running, receiver, count)
        async with up(folder, **TOLD):
            await _until_no_more(receiver)
    ids = _told(receiver.received)
    again = sum(len(deliveries) - 1 for deliveries in ids.values())
    return {"lost": MANY - len(ids), "again": again}


async def _kill_at(running: Running, receiver: WebhookReceiver, count: int) -> None:
    while len(receiver.received) < count:
        await asyncio.sleep(0.01)
    await running.server.kill()


async def _until_no_more(receiver: WebhookReceiver) -> None:
    seen, since = -1, monotonic_seconds()
    while len(_told(receiver.received)) < MANY and monotonic_seconds() - since < PATIENCE_SECONDS:
        if len(receiver.received) != seen:
            seen, since = len(receiver.received), monotonic_seconds()
        await asyncio.sleep(0.5)


def _told(messages: list[Any]) -> dict[str, set[str]]:
    """Return by alert under which ids its raise was told."""
    found: dict[str, set[str]] = defaultdict(set)
    for message in messages:
        if message.event == "raised":
            for alert in message.json["alerts"]:
                found[alert["id"]].add(message.delivery_id)
    return found


# -- the same for all ------------------------------------------------------------------------------


async def _channel(running: Running, receiver: WebhookReceiver) -> None:
    await running.post("/channels", name="hook", kind="webhook", config={"url": receiver.url})


async def _connected(running: Running, count: int) -> list[FakeAgent]:
    token = (await running.post("/enrollment-tokens", always_on=True, uses=count))["token"]
    agents = [
        await FakeAgent.enroll(running.gateway, token, hostname=f"h{number}")
        for number in range(count)
    ]
    for agent in agents:
        await agent.connect()
        agent.start_heartbeats(timedelta(seconds=1))
    return agents


async def _fail(agent: FakeAgent, times: int) -> None:
    """Report backups of that many groups, each failed."""
    fire_time = SystemClock().now().replace(second=0, microsecond=0)
    for number in range(times):
        schedule, group = new_id(), new_id()
        job = job_id(run_id(agent.host_id, schedule, group, fire_time), 1)
        named = {"schedule_id": schedule, "source_group_id": group, "attempt": 1,
                 "fire_time": to_rfc3339(fire_time)}  # fmt: skip
        await agent.report("job_started", job_id=job, at=agent.now(), **named)
        seq = await agent.report("job_finished", **agent.end_of(job, "failed", **named))
        if number % RUNS_AT_ONCE == RUNS_AT_ONCE - 1 or number == times - 1:
            await agent.wait_acked(seq, PATIENCE_SECONDS)
