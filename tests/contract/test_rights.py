"""Each user can do its own, and is denied the others': on a real server, from the one table."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta

import pytest
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.errors import TimeoutError as NatsTimeout

from libs.common.bus.base import BUCKETS, NoResponder, Outgoing, PublishRefused
from libs.common.bus.rights import TABLE, USERS
from libs.common.ids import new_id
from libs.common.testing.nats import NatsServer
from tests.contract.conftest import Buses, until

SECOND = timedelta(seconds=1)
SERVICES = tuple(TABLE)


def _example(pattern: str) -> str:
    return pattern.replace("*", "x").replace(">", "y.z")


def event(subject: str) -> Outgoing:
    return Outgoing(new_id(), subject, b"{}")


EVENTS = {user: [_example(pattern) for pattern in TABLE[user].events] for user in SERVICES}


@pytest.mark.parametrize("user", SERVICES)
async def test_a_service_can_do_its_own(server: NatsServer, buses: Buses, user: str) -> None:
    bus = await buses.connect(user)
    rights = TABLE[user]
    reader = await bus.open_reader(1)
    last = await bus.publish([event(subject) for subject in EVENTS[user]])
    assert last == await reader.tail() == len(EVENTS[user])
    assert (await reader.read(SECOND))[0].subject == EVENTS[user][0]
    assert await bus.event_id_at(last)
    assert (await bus.log_info()).last_seq == last
    for bucket in rights.writes:
        await bus.publish([Outgoing("", "key", b"value", bucket=bucket)])
    for bucket in rights.reads:
        await bus.load_bucket(bucket)
    for subject in rights.live:
        bus.send_live(_example(subject), b"")
    for subject in rights.listens:
        await bus.listen(subject, lambda *_: None)
    for subject in rights.calls:
        with pytest.raises(NoResponder):
            await bus.call(_example(subject), b"", SECOND)
    await reader.close()
    await bus.log_info()  # Whatever was denied has been said by now.
    assert bus.violations == 0


@pytest.mark.parametrize("user", SERVICES)
async def test_any_client_can_read_the_log_and_the_buckets_as_a_service(
    server: NatsServer, buses: Buses, user: str
) -> None:
    """Not only ours: a pull with one filter, and the value of one key."""
    registry = await buses.connect("registry")
    await registry.publish([event("dormice.host.h1.changed"), event("dormice.host.h2.removed")])
    await registry.publish([Outgoing("", "h1", b"{}", bucket="hosts")])
    url = server.url.replace("//", f"//{user}:{server.passwords[user]}@")
    client = Client()
    await client.connect(url, inbox_prefix=f"_INBOX_{user}")
    try:
        stream = client.jetstream()
        consumer = await stream.pull_subscribe("dormice.host.h2.>", stream="EVENTS")
        assert [m.subject for m in await consumer.fetch(1, timeout=2)] == [
            "dormice.host.h2.removed"
        ]
        bucket = await stream.key_value("hosts")
        assert (await bucket.get("h1")).value == b"{}"
    finally:
        await client.close()


async def test_everyone_serves_its_verbs_to_ui(server: NatsServer, buses: Buses) -> None:
    async def answer(subject: str, data: bytes) -> bytes:
        return subject.encode()

    ui = await buses.connect("ui")
    for user in SERVICES:
        if user == "ui":
            continue
        bus = await buses.connect(user)
        subject = f"dormice-rpc.{user}.decisions"
        await bus.serve(f"dormice-rpc.{user}.*", answer)
        assert await ui.call(subject, b"", SECOND) == subject.encode()
        assert bus.violations == 0


async def test_a_command_reaches_its_gateway(server: NatsServer, buses: Buses) -> None:
    async def answer(subject: str, data: bytes) -> bytes:
        return b"sent"

    gateway, jobs = await buses.connect("gateway"), await buses.connect("jobs")
    await gateway.serve("dormice-cmd.gw-1.*", answer)
    assert await jobs.call("dormice-cmd.gw-1.h1", b"", SECOND) == b"sent"


@pytest.mark.parametrize("user", SERVICES)
async def test_a_service_is_denied_what_others_publish(
    server: NatsServer, buses: Buses, user: str
) -> None:
    bus = await buses.connect(user)
    foreign = {subject for other in SERVICES if other != user for subject in EVENTS[other]}
    own = TABLE[user].events
    for subject in foreign:
        if user == "gateway" and subject.startswith("dormice.agent."):
            continue  # Presence ends the sessions of a lost gateway in the gateway's family.
        with pytest.raises(PublishRefused):
            await bus.publish([event(subject)])
    for bucket in set(BUCKETS) - set(TABLE[user].writes):
        with pytest.raises(PublishRefused):
            await bus.publish([Outgoing("", "key", b"value", bucket=bucket)])
    assert (await bus.log_info()).last_seq == 0
    assert own


@pytest.mark.parametrize("user", [u for u in SERVICES if u not in ("gateway", "registry")])
async def test_agent_tokens_are_for_gateway_and_registry_only(
    server: NatsServer, buses: Buses, user: str
) -> None:
    bus = await buses.connect(user)
    with pytest.raises(PublishRefused):
        await bus.load_bucket("agent-tokens")
    for verb in (
        "DIRECT.GET.KV_agent-tokens",
        "DIRECT.GET.KV_agent-tokens.$KV.agent-tokens.x",
        "STREAM.MSG.GET.KV_agent-tokens",
        "CONSUMER.CREATE.KV_agent-tokens",
        "CONSUMER.CREATE.KV_agent-tokens.x.$KV.agent-tokens.>",
        "CONSUMER.DURABLE.CREATE.KV_agent-tokens.x",
        "CONSUMER.MSG.NEXT.KV_agent-tokens.x",
        "STREAM.CREATE.mine",
        "STREAM.UPDATE.EVENTS",
    ):
        with pytest.raises(PublishRefused):
            await bus.api(verb, {})
    heard: list[str] = []
    await bus.listen("$KV.agent-tokens.>", lambda subject, _: heard.append(subject))
    registry = await buses.connect("registry")
    await registry.publish([Outgoing("", "hash", b"h1", bucket="agent-tokens")])
    await bus.log_info()
    assert not heard


@pytest.mark.parametrize("user", [u for u in SERVICES if u not in ("gateway", "ui")])
async def test_the_repository_is_for_the_gateway_only(
    server: NatsServer, buses: Buses, user: str
) -> None:
    """ui may call every verb of the registry; it is the registry that refuses it this one."""
    bus = await buses.connect(user)
    with pytest.raises(PublishRefused):
        await bus.call("dormice-rpc.registry.secrets", b"", SECOND)


async def test_answers_are_not_overheard(server: NatsServer, buses: Buses) -> None:
    async def answer(subject: str, data: bytes) -> bytes:
        return b"secret"

    registry, gateway, notify = [
        await buses.connect(user) for user in ("registry", "gateway", "notify")
    ]
    heard: list[bytes] = []
    for spied in ("_INBOX_gateway.>", "_INBOX.>", "dormice-rpc.>", ">"):
        await notify.listen(spied, lambda _, data: heard.append(data))
    await registry.serve("dormice-rpc.registry.*", answer)
    assert await gateway.call("dormice-rpc.registry.secrets", b"", SECOND) == b"secret"
    await notify.log_info()
    assert not heard
    assert notify.violations == 4


async def test_only_the_gateway_may_ask_for_secrets(server: NatsServer, buses: Buses) -> None:
    async def answer(subject: str, data: bytes) -> bytes:
        return b"secret"

    registry, ui = [await buses.connect(user) for user in ("registry", "ui")]
    await registry.serve("dormice-rpc.registry.*", answer)
    assert await ui.call("dormice-rpc.registry.get_host", b"", SECOND) == b"secret"
    for verb in ("secrets", "find_tokens", "enroll"):
        with pytest.raises(PublishRefused):
            await ui.call(f"dormice-rpc.registry.{verb}", b"", SECOND)


async def _reader_client(server: NatsServer) -> tuple[Client, list[str]]:
    """What another system uses: a plain client with nothing but the URL."""
    errors: list[str] = []

    async def on_error(error: Exception) -> None:
        errors.append(str(error))

    url = server.url.replace("//", f"//reader:{server.passwords['reader']}@")
    client = Client()
    await client.connect(url, error_cb=on_error)
    return client, errors


async def test_a_reader_consumes_alerts_durably(server: NatsServer, buses: Buses) -> None:
    alerting = await buses.connect("alerting")
    presence = await buses.connect("presence")
    client, errors = await _reader_client(server)
    try:
        live = await client.subscribe("dormice.alert.>")
        await client.flush()
        sent = [event(f"dormice.alert.h{n % 3}.agent_offline.raised") for n in range(5)]
        await alerting.publish(sent)
        await presence.publish([event("dormice.presence.h1.online")])
        stream = client.jetstream()
        consumer = await stream.pull_subscribe("", durable="pager", stream="ALERTS")
        got = await consumer.fetch(6, timeout=2)
        assert [(m.headers or {})["Nats-Msg-Id"] for m in got[:5]] == [e.event_id for e in sent]
        assert got[5].subject == "dormice.presence.h1.online"
        for message in got:
            await message.ack_sync()
        assert (await live.next_msg(timeout=2)).subject == sent[0].subject
        await alerting.publish([event("dormice.alert.h2.agent_offline.raised")])
        again = await stream.pull_subscribe("", durable="pager", stream="ALERTS")
        assert [m.subject for m in await again.fetch(5, timeout=0.3)] == [
            "dormice.alert.h2.agent_offline.raised"
        ]
        assert errors == []
    finally:
        await client.close()


async def test_a_reader_can_touch_nothing_else(server: NatsServer, buses: Buses) -> None:
    alerting = await buses.connect("alerting")
    client, errors = await _reader_client(server)
    denied = (
        "dormice.alert.h1.agent_offline.raised",
        "dormice.host.h1.changed",
        "dormice-rpc.alerting.decisions",
        "$JS.API.STREAM.DELETE.ALERTS",
        "$JS.API.STREAM.PURGE.ALERTS",
        "$JS.API.STREAM.INFO.EVENTS",
        "$JS.API.STREAM.CREATE.MINE",
        "$JS.API.CONSUMER.CREATE.EVENTS.x",
        "$KV.hosts.x",
    )
    try:
        for subject in denied:
            with pytest.raises((NatsTimeout, NatsError)):
                await client.request(subject, b"{}", timeout=0.02)
        for subject in ("dormice.>", "dormice.host.>", "$KV.>", "_INBOX_alerting.>"):
            await client.subscribe(subject)
        await until(lambda: len(errors) == len(denied) + 4)
        assert all("permissions violation" in error.lower() for error in errors)
        stored = await client.request("$JS.API.STREAM.INFO.ALERTS", b"", timeout=1)
        assert json.loads(stored.data)["state"]["messages"] == 0
        assert (await alerting.log_info()).last_seq == 0
    finally:
        await client.close()


async def test_an_unknown_user_or_none_is_not_let_in(server: NatsServer) -> None:
    for url in (server.url, server.url.replace("//", "//alerting:guess@")):
        refused = asyncio.Event()

        async def on_error(error: Exception, refused: asyncio.Event = refused) -> None:
            refused.set()

        client = Client()
        with pytest.raises(NatsError):
            await client.connect(url, error_cb=on_error, allow_reconnect=False)
        await client.close()
        assert refused.is_set()


def test_every_user_of_the_table_has_an_account() -> None:
    assert set(USERS) == {*SERVICES, "setup", "reader", "setup-readers"}
