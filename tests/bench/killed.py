"""kill -9 amid 7,500 alerts: how many are lost, how many told again as if they were new ones; and
Alertmanager's, who gets the same alerts again after its restart, as Prometheus would give them."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import suppress
from pathlib import Path

import httpx

from libs.common.clock import monotonic_seconds
from libs.common.testing.webhook_receiver import Received, WebhookReceiver
from tests.bench.hosts import PATIENCE_SECONDS, add_channel, connected, fail
from tests.bench.peer import Peer, make_alerts
from tests.bench.sink import Sink
from tests.bench.system import LOCAL, Running, up
from tests.integration.notify.alertmanager import alertmanager

MANY, AGENTS, KILL_AT = 7500, 75, (1000, 3000, 5000)
NO_MORE_SECONDS = 5.0


async def measure(folder: Path) -> dict[str, float]:
    """Lost and told again, of ours (killed three times) and of Alertmanager's (killed once)."""
    lost, again = await _ours(folder / "ours")
    their_lost, their_again = await _theirs(folder / "theirs")
    return {"lost": lost, "again": again, "their_lost": their_lost, "their_again": their_again}


# -- ours: the whole embedded system dies ----------------------------------------------------------


async def _ours(folder: Path) -> tuple[int, int]:
    async with WebhookReceiver() as receiver:
        async with up(folder, **LOCAL) as running:
            await add_channel(running, receiver)
            agents = await connected(running, AGENTS)
            await asyncio.gather(*(fail(agent, MANY // AGENTS) for agent in agents))
            for agent in agents:
                await agent.abort()
            await _kill_at(running, receiver, KILL_AT[0])
        for count in KILL_AT[1:]:
            async with up(folder, **LOCAL) as running:
                await _kill_at(running, receiver, count)
        async with up(folder, **LOCAL):
            await _until_no_more(receiver)
    ids = _told(receiver.received)
    return MANY - len(ids), sum(len(deliveries) - 1 for deliveries in ids.values())


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


def _told(messages: list[Received]) -> dict[str, set[str]]:
    """Return by alert under which ids its raise was told."""
    found: dict[str, set[str]] = defaultdict(set)
    for message in messages:
        if message.event == "raised":
            for alert in message.json["alerts"]:
                found[alert["id"]].add(message.delivery_id)
    return found


# -- theirs ----------------------------------------------------------------------------------------


async def _theirs(folder: Path) -> tuple[int, int]:
    """It tells nobody of an alert's id, so each that comes twice was told again."""
    peer = Peer(make_alerts(MANY))
    async with Sink() as sink:
        async with alertmanager(folder, sink.url) as before:
            posting = asyncio.create_task(peer.post(before))
            await sink.wait_for(KILL_AT[0], PATIENCE_SECONDS)
        with suppress(httpx.HTTPError):
            await posting
        taken = peer.taken
        async with alertmanager(folder, sink.url) as after:
            await asyncio.sleep(NO_MORE_SECONDS)
            lost = taken - len(await sink.alerts())
            await peer.post(after)
            await sink.wait_for(MANY, PATIENCE_SECONDS)
            await asyncio.sleep(NO_MORE_SECONDS)
            told = await sink.alerts()
    return max(0, lost), sum(count - 1 for count in told.values())
