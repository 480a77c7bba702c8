"""200 alerts for a receiver that answers 503 for 15 s: how soon all are told then, in how many
tries; Alertmanager's; and what healthchecks never tells."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from libs.common.clock import monotonic_seconds
from libs.common.testing.webhook_receiver import Answer, Received, WebhookReceiver
from tests.bench.healthchecks import installed, messages
from tests.bench.hosts import PATIENCE_SECONDS, add_channel, connected, fail
from tests.bench.peer import Peer, make_alerts
from tests.bench.system import LOCAL, up
from tests.integration.notify.alertmanager import alertmanager

ALERTS, AGENTS, AWAY_SECONDS = 200, 20, 15.0

AlertOf = Callable[[Received], str]
"""Says which alert a message tells of."""


@dataclass(frozen=True)
class Return:
    """What came after the receiver's return: how long until the last, the tries of the alert tried
    most, and of how many nobody was told."""

    seconds: float
    tries: int
    lost: int


async def measure(folder: Path) -> dict[str, float]:
    ours, theirs = await _ours(folder / "ours"), await _theirs(folder / "theirs")
    found = {"seconds": ours.seconds, "tries": ours.tries, "lost": ours.lost,
             "their_seconds": theirs.seconds, "their_tries": theirs.tries}  # fmt: skip
    if (code := installed.source()) is not None:
        found["dropped"] = await messages.dropped(code, folder, ALERTS, AWAY_SECONDS)
    return found


async def _ours(folder: Path) -> Return:
    async with WebhookReceiver() as receiver, up(folder, **LOCAL) as running:
        await add_channel(running, receiver)
        receiver.default = Answer(503)
        agents = await connected(running, AGENTS)
        await asyncio.gather(*(fail(agent, ALERTS // AGENTS) for agent in agents))
        found = await _return_of(receiver, _our_alert)
        for agent in agents:
            await agent.abort()
        return found


async def _theirs(folder: Path) -> Return:
    async with WebhookReceiver() as receiver, alertmanager(folder, receiver.url) as peer:
        receiver.default = Answer(503)
        await Peer(make_alerts(ALERTS)).post(peer)
        return await _return_of(receiver, _their_alert)


async def _return_of(receiver: WebhookReceiver, alert_of: AlertOf) -> Return:
    """Be away from the first message on, and return."""
    await receiver.wait_for(1, PATIENCE_SECONDS)
    await asyncio.sleep(AWAY_SECONDS)
    receiver.default, back = Answer(), monotonic_seconds()
    refused = len(receiver.received)
    with suppress(TimeoutError):  # Who is missing is counted.
        await receiver.wait_until(
            lambda all_: len({alert_of(one) for one in all_[refused:]}) >= ALERTS, PATIENCE_SECONDS
        )
    took = monotonic_seconds() - back
    tries = Counter(alert_of(one) for one in receiver.received)
    told = {alert_of(one) for one in receiver.received[refused:]}
    return Return(took, max(tries.values()), ALERTS - len(told))


def _our_alert(message: Received) -> str:
    return str(message.json["alerts"][0]["id"])


def _their_alert(message: Received) -> str:
    return str(message.json["alerts"][0]["labels"]["alert_id"])
