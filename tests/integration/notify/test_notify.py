"""Notify over a real bus, with a real receiver: from an alert in the log to a body received."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
import structlog

from libs.common.errors import RemoteError
from libs.common.events.alert import Alert, NotificationDelivered, NotificationFailed
from libs.common.events.host import Audit
from libs.common.rpc import call
from libs.common.testing.nats import NatsServer
from libs.common.testing.rig import VIEWER
from libs.common.testing.webhook_receiver import CLOSE, HANG, Answer, WebhookReceiver
from services.notify.kinds.http import Site
from services.notify.kinds.webhook import WebhookConfig
from tests.integration.notify.running import Outside, Running, start_process
from tests.unit.notify.world import (
    acknowledged,
    make_alert,
    outage,
    raised,
    resolved,
)

SECRET = "geheim-5f1c"


@pytest_asyncio.fixture
async def receiver() -> AsyncIterator[WebhookReceiver]:
    async with WebhookReceiver() as made:
        yield made


@pytest_asyncio.fixture
async def outside(nats: NatsServer) -> AsyncIterator[Outside]:
    async with Outside(nats) as made:
        yield made


@pytest_asyncio.fixture
async def running(nats: NatsServer, tmp_path: Path) -> AsyncIterator[Running]:
    async with Running(nats, tmp_path) as made:
        yield made


async def test_an_alert_s_life_arrives_signed_and_in_order(
    running: Running, outside: Outside, receiver: WebhookReceiver
) -> None:
    channel = await outside.add_channel("ops", receiver.url, secret=SECRET)
    alert = make_alert()
    await outside.publish([*raised(alert), acknowledged(alert), resolved(alert)])
    got = await receiver.wait_for(3)
    assert [request.event for request in got] == ["raised", "acknowledged", "resolved"]
    assert all(request.is_signed_with(SECRET) for request in got)
    assert all(request.delivery_id == request.json["id"] for request in got)
    assert got[0].json["alerts"][0]["url"] == "http://127.0.0.1:8480/alerts/a1"
    async with outside.log() as log:
        delivered = await log.wait_for(NotificationDelivered, 3)
    assert [event.delivery_id for event in delivered] == [request.delivery_id for request in got]
    assert {event.channel_id for event in delivered} == {channel}
    listed = await outside.ask("deliveries", channel_id=channel)
    assert [row["state"] for row in listed] == ["delivered"] * 3


async def test_tries_repeat_the_same_message_until_it_is_taken(
    running: Running, outside: Outside, receiver: WebhookReceiver
) -> None:
    receiver.next_answers(Answer(503), Answer(429, retry_after="60"), CLOSE)
    channel = await outside.add_channel("ops", receiver.url)
    await outside.publish(raised(make_alert()))
    for count, wait in ((1, 6), (2, 61), (3, 30)):
        await receiver.wait_for(count)
        await until_waiting(outside, channel)
        await running.advance(timedelta(seconds=wait))
    got = await receiver.wait_for(4)
    assert len({request.delivery_id for request in got}) == 1
    assert len({request.headers["dormice-timestamp"] for request in got}) == 4
    assert all(request.is_signed_with("geheim") for request in got)
    bodies = [{**request.json, "sent_at": None} for request in got]
    assert all(body == bodies[0] for body in bodies)
    async with outside.log() as log:
        (event,) = await log.wait_for(NotificationDelivered)
    assert event.tries == 4


async def test_a_server_that_answers_500_for_an_hour_gets_it_then(
    running: Running, outside: Outside, receiver: WebhookReceiver
) -> None:
    receiver.default = Answer(500)
    channel = await outside.add_channel("ops", receiver.url)
    began = running.clock.now()
    await outside.publish(raised(make_alert()))
    while running.clock.now() - began < timedelta(hours=1):
        tried = len(await receiver.wait_for(1))
        await until_waiting(outside, channel)
        (row,) = await outside.ask("deliveries", channel_id=channel)
        wait = datetime.fromisoformat(row["next_try_at"]) - running.clock.now()
        await running.advance(wait)
        await receiver.wait_for(tried + 1)
    assert 8 <= len(receiver.received) <= 12
    receiver.default = Answer(200)
    await until_waiting(outside, channel)
    await running.advance(timedelta(minutes=40))
    async with outside.log() as log:
        (event,) = await log.wait_for(NotificationDelivered)
    assert event.tries == len(receiver.received)
    assert len({request.delivery_id for request in receiver.received}) == 1


async def until_waiting(outside: Outside, channel: str) -> None:
    """Return once the try's outcome is decided; each question waits for the loop's next pass."""
    async with asyncio.timeout(10):
        while (await outside.ask("deliveries", channel_id=channel))[0]["state"] != "waiting":
            pass


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Answer(404), "HTTP 404"),
        (Answer(302, headers={"Location": "/elsewhere"}), "HTTP 302: redirects are not followed"),
        (
            Answer(307, headers={"Location": "http://169.254.169.254/latest/meta-data/"}),
            "HTTP 307: redirects are not followed",
        ),
    ],
)
async def test_a_refusal_fails_visibly(
    running: Running, outside: Outside, receiver: WebhookReceiver, answer: Answer, error: str
) -> None:
    receiver.default = answer
    channel = await outside.add_channel("ops", receiver.url)
    await outside.ask("test_channel", id=channel)
    async with outside.log() as log:
        (event,) = await log.wait_for(NotificationFailed)
    assert event.error == error
    assert len(receiver.received) == 1
    shown = await outside.ask("get_channel", id=channel)
    assert shown["in_trouble"]
    assert shown["last_error"] == error


async def test_a_channel_that_hangs_keeps_no_other_waiting(
    running: Running, outside: Outside, receiver: WebhookReceiver
) -> None:
    async with WebhookReceiver() as hanging:
        hanging.default = HANG
        await outside.add_channel("hangs", hanging.url)
        await outside.add_channel("works", receiver.url)
        await outside.publish(raised(*(make_alert(f"a{n}", f"h{n}") for n in range(100))))
        await receiver.wait_for(100, timeout_seconds=8)
        await hanging.wait_for(4)
        assert hanging.most_in_flight <= 4
        assert receiver.most_in_flight <= 4
        assert len(hanging.received) == 4


async def test_however_many_channels_hang_another_gets_its_messages(
    running: Running, outside: Outside, receiver: WebhookReceiver
) -> None:
    async with WebhookReceiver() as hanging:
        hanging.default = HANG
        for number in range(20):
            await outside.add_channel(f"hangs-{number}", hanging.url)
        await outside.publish(raised(*(make_alert(f"a{n}", f"h{n}") for n in range(4))))
        await hanging.wait_for(80)
        await outside.add_channel("works", receiver.url)
        await outside.publish(raised(make_alert("last", "h-last")))
        await receiver.wait_for(1, timeout_seconds=5)
        assert hanging.most_in_flight == 80


async def test_an_outage_is_told_once_and_ended_once(
    running: Running, outside: Outside, receiver: WebhookReceiver
) -> None:
    await outside.add_channel("ops", receiver.url)
    alerts = [make_alert(f"a{n}", f"h{n}", held_by="o1") for n in range(200)]
    await outside.publish([*raised(outage(), *alerts), *(resolved(a) for a in alerts[:190])])
    await outside.publish([resolved(outage(), still_away=tuple(f"h{n}" for n in range(190, 200)))])
    await outside.publish([resolved(alert) for alert in alerts[190:]])
    got = await receiver.wait_for(12)
    assert [request.event for request in got[:2]] == ["raised", "summary"]
    assert len(got[1].json["alerts"]) == 10
    assert [request.event for request in got[2:]] == ["resolved"] * 10
    await outside.publish(raised(make_alert("last", "h-last")))
    assert len(await receiver.wait_for(13)) == 13


async def test_r20_secrets_appear_nowhere(
    nats: NatsServer, tmp_path: Path, outside: Outside, receiver: WebhookReceiver
) -> None:
    """Not in the log of events, the log of the process, the answers, or the file."""
    url = receiver.url.replace("//", "//ada:pass-77aa@") + "/T0KEN-31"
    receiver.next_answers(Answer(500, body=b"cannot POST /hook/T0KEN-31"), CLOSE, Answer(404))
    with structlog.testing.capture_logs() as lines:
        async with Running(nats, tmp_path) as running:
            channel = await outside.add_channel("ops", url, secret=SECRET)
            await outside.publish(raised(make_alert()))
            for count in (1, 2):
                await receiver.wait_for(count)
                await until_waiting(outside, channel)
                await running.advance(timedelta(seconds=30))
            async with outside.log() as log:
                await log.wait_for(NotificationFailed)
                (audit,) = log.of(Audit)
            answers = [await outside.ask("list_channels"),
                       await outside.ask("deliveries", channel_id=channel)]  # fmt: skip
    assert audit.after["site"] == receiver.url.removesuffix("/hook")
    assert [line["event"] for line in lines].count("notification_tried") == 3
    written = b"".join((tmp_path / name).read_bytes() for name in ("notify.db", "notify.key"))
    everything = b"".join(log.raw) + repr(lines).encode() + written
    for secret in (SECRET, "pass-77aa"):
        assert secret.encode() not in everything + repr(answers).encode()
    assert b"T0KEN-31" not in everything
    key = tmp_path / "notify.key"
    assert key.stat().st_mode & 0o777 == 0o600


async def test_r20_a_deleted_channel_s_secret_does_not_stay_in_memory(
    running: Running, outside: Outside, receiver: WebhookReceiver
) -> None:
    url = receiver.url.replace("//", "//ada:pass-77aa@")
    channel = await outside.add_channel("ops", url, secret=SECRET)
    await outside.ask("test_channel", id=channel)
    async with outside.log() as log:
        await log.wait_for(NotificationDelivered)
    place = urlsplit(receiver.url).netloc
    assert opened(WebhookConfig, place)
    assert opened(Site, place)
    await outside.ask("delete_channel", id=channel)
    assert opened(WebhookConfig, place) == opened(Site, place) == []


def opened(kind: type[WebhookConfig | Site], place: str) -> list[WebhookConfig | Site]:
    """Return what of a kind, for a receiver at `place`, is still in this process's memory."""
    gc.collect()
    found = (one for one in gc.get_objects() if isinstance(one, kind))
    return [one for one in found if place in str(one.url)]


async def test_r20_the_owner_checks_the_role_again(
    nats: NatsServer, running: Running, outside: Outside
) -> None:
    bus = nats.bus("ui")
    await bus.connect()
    arguments = {"name": "x", "kind": "webhook", "config": {"url": "http://127.0.0.1/"}}
    with pytest.raises(RemoteError, match="admin") as refusal:
        await call(bus, "notify", "create_channel", arguments, actor=VIEWER)
    assert refusal.value.code == "forbidden"
    assert (await call(bus, "notify", "list_channels", {}, actor=VIEWER)).result == []
    await bus.close()


async def test_an_ordinary_restart_repeats_nothing(
    nats: NatsServer, tmp_path: Path, outside: Outside, receiver: WebhookReceiver
) -> None:
    """What is being sent gets its moment to end, and its end is written down before we go."""
    alerts = [make_alert(f"a{n:02}", f"h{n}") for n in range(40)]
    receiver.default = Answer(delay_seconds=0.2)
    async with Running(nats, tmp_path):
        await outside.add_channel("ops", receiver.url)
        await outside.publish(raised(*alerts))
        await receiver.wait_for(6)
    receiver.default = Answer()
    async with Running(nats, tmp_path):
        got = await receiver.wait_until(lambda all_: len({r.delivery_id for r in all_}) == 40)
    assert len(got) == 40


async def test_r18_bus_cut_while_sending_loses_and_repeats_nothing(
    nats: NatsServer, running: Running, outside: Outside, receiver: WebhookReceiver
) -> None:
    await outside.add_channel("ops", receiver.url)
    receiver.default = Answer(delay_seconds=0.05)
    await outside.publish(raised(*(make_alert(f"a{n:02}", f"h{n}") for n in range(60))))
    await receiver.wait_for(10)
    nats.restart()
    await receiver.wait_until(lambda all_: len({r.delivery_id for r in all_}) == 60)
    async with outside.log() as log:
        delivered = await log.wait_for(NotificationDelivered, 60)
    assert len(receiver.received) == 60
    assert len({event.delivery_id for event in delivered}) == 60


async def test_r18_killed_amid_a_burst_none_lost_and_in_flight_repeated_at_most_once(
    nats: NatsServer, tmp_path: Path, outside: Outside, receiver: WebhookReceiver
) -> None:
    alerts = [make_alert(f"a{n:03}", f"h{n}") for n in range(300)]
    receiver.default = Answer(delay_seconds=0.01)
    process = await start_process(nats, tmp_path)
    await outside.add_channel("ops", receiver.url, secret=SECRET)
    facts = [*raised(*alerts), *(resolved(alert) for alert in alerts)]
    await outside.publish(facts)
    kills = 4
    for number in range(1, kills + 1):
        await receiver.wait_for(number * 100)
        process.kill()
        await process.wait()
        process = await start_process(nats, tmp_path)
    await receiver.wait_until(lambda all_: len({r.delivery_id for r in all_}) == 600)
    async with outside.log() as log:
        delivered = await log.wait_for(NotificationDelivered, 600)
    process.kill()
    await process.wait()
    assert_each_told_in_order(receiver, alerts)
    repeats = Counter(request.delivery_id for request in receiver.received)
    assert max(repeats.values()) <= 1 + kills
    assert sum(count - 1 for count in repeats.values()) <= kills * 32
    assert len({event.delivery_id for event in delivered}) == 600


def assert_each_told_in_order(receiver: WebhookReceiver, alerts: list[Alert]) -> None:
    """Every alert: raised first, then resolved; a repeat carries the same body but for sent_at."""
    told: dict[str, list[str]] = {}
    bodies: dict[str, object] = {}
    for request in receiver.received:
        body = {**request.json, "sent_at": None}
        assert bodies.setdefault(request.delivery_id, body) == body
        words = told.setdefault(body["alerts"][0]["id"], [])
        if words[-1:] != [request.event]:
            words.append(request.event)
    assert told == {alert.id: ["raised", "resolved"] for alert in alerts}
