"""Being told: how soon, and how often."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from pathlib import Path

from cli.bench.crowd import percentile
from libs.common.clock import SystemClock
from libs.common.testing.webhook_receiver import WebhookReceiver
from tests.bench.healthchecks import installed, messages
from tests.bench.hosts import PATIENCE_SECONDS, add_channel, connected
from tests.bench.system import LOCAL, Running, up

FLOOR = timedelta(seconds=4)
QUICK = {
    "DORMICE_HEARTBEAT_INTERVAL": "1s",
    "DORMICE_OFFLINE_AFTER": "3s",
    "DORMICE_AGENT_OFFLINE_FLOOR": "4s",
    **LOCAL,
}
FLEET, SILENCED = 120, 24
SILENT, REST_SECONDS = 200, 15.0


# -- offline deadline → webhook --------------------------------------------------------------------


async def soon(folder: Path) -> dict[str, float]:
    """Of some hosts that go silent one by one: milliseconds from deadline to webhook, p99."""
    async with WebhookReceiver() as receiver, up(folder, **QUICK) as running:
        await add_channel(running, receiver)
        agents = await connected(running, FLEET)
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
        await add_channel(running, receiver)
        for agent in await connected(running, SILENT):
            await agent.abort()
        await receiver.wait_for(1, PATIENCE_SECONDS)
        await asyncio.sleep(REST_SECONDS)
        found = {"messages": float(len(receiver.received))}
    if (code := installed.source()) is not None:
        found["theirs"] = await messages.of_silent_checks(code, folder, SILENT)
    return found
