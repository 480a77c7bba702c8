"""A real Alertmanager hears of Dormice's alerts, goes on hearing of them, and tells their end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest_asyncio

from libs.common.clock import SystemClock
from libs.common.events.alert import Alert
from libs.common.testing.nats import NatsServer
from libs.common.testing.webhook_receiver import WebhookReceiver
from services.notify.kinds.alertmanager import LASTS, REPEAT_EVERY
from tests.integration.notify.alertmanager import Alertmanager, alertmanager
from tests.integration.notify.running import Outside, Running
from tests.unit.notify.world import acknowledged, make_alert, raised, resolved


@pytest_asyncio.fixture
async def receiver() -> AsyncIterator[WebhookReceiver]:
    async with WebhookReceiver() as made:
        yield made


@pytest_asyncio.fixture
async def peer(tmp_path: Path, receiver: WebhookReceiver) -> AsyncIterator[Alertmanager]:
    async with alertmanager(tmp_path / "am", receiver.url, resolve_timeout="2s") as made:
        yield made


@pytest_asyncio.fixture
async def outside(nats: NatsServer) -> AsyncIterator[Outside]:
    async with Outside(nats) as made:
        yield made


@pytest_asyncio.fixture
async def running(nats: NatsServer, tmp_path: Path) -> AsyncIterator[Running]:
    async with Running(nats, tmp_path) as made:
        yield made


def now_alert(name: str = "a1", **more: Any) -> Alert:
    """Alertmanager has a clock of its own: an alert of now, not of the tests' usual day."""
    before = SystemClock().now() - timedelta(seconds=20)
    return make_alert(name, raised_at=before, last_seen_at=before, **more)


async def add(outside: Outside, peer: Alertmanager, **config: Any) -> str:
    given = {"url": peer.url, **config}
    made = await outside.ask("create_channel", name="am", kind="alertmanager", config=given)
    return str(made["id"])


async def firing(peer: Alertmanager, count: int = 1) -> list[dict[str, Any]]:
    """Return what fires once so many do."""
    async with asyncio.timeout(20):
        while len(found := await peer.alerts()) != count:
            await asyncio.sleep(0.05)
    return found


async def test_an_alert_is_routed_by_it_and_so_is_its_end(
    running: Running, outside: Outside, peer: Alertmanager, receiver: WebhookReceiver
) -> None:
    await add(outside, peer, labels={"team": "ops"})
    alert = now_alert()
    await outside.publish([*raised(alert), acknowledged(alert)])
    (known,) = await firing(peer)
    assert known["labels"] == {
        "team": "ops", "alertname": "agent_offline", "severity": "warning", "alert_id": "a1",
        "source": "dormice", "host": "name-h1", "host_id": "h1",
    }  # fmt: skip
    assert known["annotations"]["summary"] == "name-h1: Agent offline for 17m0s (threshold 15m0s)"
    assert known["generatorURL"] == "http://127.0.0.1:8480/alerts/a1"
    assert datetime.fromisoformat(known["startsAt"]) == _to_millis(alert.raised_at)
    (told,) = await receiver.wait_for(1)
    assert told.json["status"] == "firing"
    await outside.publish([resolved(alert, SystemClock().now())])
    told = (await receiver.wait_for(2))[-1]
    assert (told.json["status"], told.json["groupLabels"]) == ("resolved", {"alert_id": "a1"})
    assert await peer.alerts() == []


def _to_millis(moment: datetime) -> datetime:
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


async def test_it_is_told_again_while_open_so_that_its_own_timeout_ends_nothing(
    running: Running, outside: Outside, peer: Alertmanager, receiver: WebhookReceiver
) -> None:
    """Its resolve_timeout is 2 s here; ours says how long an alert lasts, and moves on."""
    await add(outside, peer)
    await outside.publish(raised(now_alert()))
    (known,) = await firing(peer)
    for _ in range(3):
        before = datetime.fromisoformat(known["endsAt"])
        await running.advance(REPEAT_EVERY)
        async with asyncio.timeout(20):
            while (moved := (await firing(peer))[0])["endsAt"] == known["endsAt"]:
                await asyncio.sleep(0.05)
        known = moved
        assert datetime.fromisoformat(known["endsAt"]) - before >= REPEAT_EVERY
    assert datetime.fromisoformat(known["endsAt"]) - running.clock.now() <= LASTS
    await asyncio.sleep(2.5)  # Longer than its resolve_timeout.
    assert len(await peer.alerts()) == 1
    assert [told.json["status"] for told in receiver.received] == ["firing"]


async def test_one_that_forgot_everything_knows_it_again(
    running: Running, outside: Outside, receiver: WebhookReceiver, tmp_path: Path
) -> None:
    async with alertmanager(tmp_path / "one", receiver.url) as first:
        channel = await add(outside, first)
        await outside.publish(raised(now_alert("a1"), now_alert("a2", host="h2")))
        await firing(first, 2)
    async with alertmanager(tmp_path / "two", receiver.url) as second:
        await outside.ask("patch_channel", id=channel, config={"url": second.url})
        assert await second.alerts() == []
        await running.advance(REPEAT_EVERY)
        assert {one["labels"]["alert_id"] for one in await firing(second, 2)} == {"a1", "a2"}


async def test_a_test_is_an_alert_that_ends_by_itself(
    running: Running, outside: Outside, peer: Alertmanager, receiver: WebhookReceiver
) -> None:
    channel = await add(outside, peer)
    await outside.ask("test_channel", id=channel)
    (told,) = await receiver.wait_for(1)
    assert told.json["commonLabels"]["alertname"] == "dormice_test"
    (known,) = await peer.alerts()
    lasts = datetime.fromisoformat(known["endsAt"]) - datetime.fromisoformat(known["startsAt"])
    assert lasts == timedelta(minutes=1)
