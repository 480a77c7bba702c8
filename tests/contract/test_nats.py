"""What only a real server can do to us: cut connections in mid-delivery, deny, and be away."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from libs.common.bus.base import BusAway, NoResponder, Outgoing, PublishRefused, ReaderLost
from libs.common.bus.nats import NatsBus
from libs.common.bus.nats_reader import NatsReader
from libs.common.bus.topology import ensure, ensure_log
from libs.common.ids import new_id
from libs.common.testing.nats import NatsServer
from libs.common.testing.proxy import CuttableProxy
from tests.contract.conftest import Buses, until

SECOND = timedelta(seconds=1)
SHORT = timedelta(milliseconds=30)


def events(count: int) -> list[Outgoing]:
    return [Outgoing(new_id(), "dormice.host.h1.changed", b"x" * (n % 700)) for n in range(count)]


@pytest.fixture
async def proxy(server: NatsServer) -> AsyncIterator[CuttableProxy]:
    proxy = CuttableProxy(*server.address)
    await proxy.start()
    yield proxy
    await proxy.stop()


async def _follow(bus: NatsBus, last: int) -> tuple[list[int], int]:
    """Read to `last` as the loop does, with a new reader from the position after each loss.

    Returns the sequences read, and how often the reader was lost.
    """
    seen: list[int] = []
    losses = 0
    reader: NatsReader | None = None
    while not seen or seen[-1] < last:
        try:
            await bus.wait_connected()
            reader = reader or await bus.open_reader(len(seen) + 1)
            seen += [message.seq for message in await reader.read(SECOND)]
        except (ReaderLost, BusAway):
            losses += 1
            if reader is not None:
                await reader.close()
            reader = None
            await asyncio.sleep(0.01)
    return seen, losses


async def test_a_cut_in_mid_delivery_loses_the_reader_and_never_skips(
    server: NatsServer, proxy: CuttableProxy, buses: Buses
) -> None:
    """Cut after a random number of bytes, 20 times, while 3,000 messages are on their way."""
    writer = await buses.connect("registry")
    last = await writer.publish(events(3000))
    bus = await buses.connect("presence", proxy.url)
    choice = random.Random(7)
    for _ in range(20):
        before = proxy.cuts
        proxy.cut_after(choice.randrange(2_000, 900_000))
        async with asyncio.timeout(30):
            seen, losses = await _follow(bus, last)
        assert seen == list(range(1, last + 1))
        assert (proxy.cuts, losses > 0) == (before + 1, True)


async def test_a_cut_while_publishing_stores_everything_once_and_in_order(
    server: NatsServer, proxy: CuttableProxy, buses: Buses
) -> None:
    bus = await buses.connect("registry", proxy.url)
    choice = random.Random(11)
    sent: list[Outgoing] = []
    for _ in range(10):
        batch = events(1200)
        sent += batch
        proxy.cut_after(choice.randrange(10, 900))
        async with asyncio.timeout(30):
            while True:
                try:
                    await bus.publish(batch)
                except BusAway:
                    await bus.wait_connected()
                    await asyncio.sleep(0.01)
                else:
                    break
    proxy.heal()
    reader = await bus.open_reader(1)
    stored: list[str] = []
    while len(stored) < len(sent):
        stored += [message.event_id for message in await reader.read(SECOND)]
    assert stored == [event.event_id for event in sent]


async def test_no_event_is_sent_before_its_value_is_acknowledged(
    server: NatsServer, buses: Buses, proxy: CuttableProxy
) -> None:
    """Cut at the first answer: the value is stored, and who reads the log sees nothing of it."""
    bus = await buses.connect("registry", proxy.url)
    other = await buses.connect("alerting")
    proxy.cut_after(1)
    value = Outgoing(new_id(), "h1", b"new", bucket="hosts")
    with pytest.raises(BusAway):
        await bus.publish([*events(1), value])
    assert await other.load_bucket("hosts") == {"h1": b"new"}
    assert (await other.log_info()).last_seq == 0


async def test_a_deleted_consumer_loses_the_reader(server: NatsServer, buses: Buses) -> None:
    bus = await buses.connect("registry")
    reader = await bus.open_reader(1)
    await bus.publish(events(3))
    await reader.read(SECOND)
    await bus.api(f"CONSUMER.DELETE.EVENTS.{reader.consumer}")
    with pytest.raises(ReaderLost, match="409"):
        await reader.read(SECOND)


async def test_connect_waits_for_a_server_that_starts_later(
    nats_server: NatsServer, buses: Buses
) -> None:
    nats_server.stop()
    bus = buses.new("registry")
    connecting = asyncio.create_task(bus.connect())
    await asyncio.sleep(0.05)
    assert (bus.connected, bus.generation, connecting.done()) == (False, 0, False)
    with pytest.raises(BusAway):
        await bus.publish(events(1))
    bus.send_live("dormice-live.beat.g1", b"")
    nats_server.start()
    async with asyncio.timeout(10):
        await connecting
    assert (bus.connected, bus.generation) == (True, 1)


async def test_what_is_listened_to_before_the_server_is_there_is_heard(
    nats_server: NatsServer, buses: Buses
) -> None:
    nats_server.stop()
    presence, gateway = buses.new("presence"), buses.new("gateway")
    connecting = [asyncio.create_task(bus.connect()) for bus in (presence, gateway)]
    await asyncio.sleep(0)
    heard = asyncio.Event()
    await presence.listen("dormice-live.beat.*", lambda *_: heard.set())
    nats_server.start()
    async with asyncio.timeout(10):
        await asyncio.gather(*connecting)
        while not heard.is_set():  # What is sent before the server knows the listener is lost.
            gateway.send_live("dormice-live.beat.g1", b"")
            await asyncio.sleep(0.01)


async def test_wrong_credentials_are_tried_again(
    nats_server: NatsServer, capsys: pytest.CaptureFixture[str], buses: Buses
) -> None:
    """The server may get its new configuration after us; one line says what is wrong."""
    bus = NatsBus(nats_server.url, user="registry", password="wrong")
    connecting = asyncio.create_task(bus.connect())
    said = ""
    async with asyncio.timeout(10):
        while "bus_refused_credentials" not in said:
            said += capsys.readouterr().out
            await asyncio.sleep(0.01)
    assert not connecting.done()
    assert "wrong" not in said
    connecting.cancel()
    await bus.close()


async def test_credentials_that_end_in_mid_life_are_tried_again(
    server: NatsServer, buses: Buses
) -> None:
    """The client library closes for good then; ours comes back with all that it listened to."""
    presence, gateway = await buses.connect("presence"), await buses.connect("gateway")
    heard = asyncio.Event()
    await presence.listen("dormice-live.beat.*", lambda *_: heard.set())
    reader = await presence.open_reader(1)
    server.change_password("presence", "another")
    await until(lambda: not presence.connected)
    with pytest.raises(ReaderLost):
        await reader.read(SECOND)
    server.change_password("presence", server.passwords["presence"])
    await until(lambda: presence.connected and presence.generation == 2)
    gateway.send_live("dormice-live.beat.g1", b"")
    async with asyncio.timeout(5):
        await heard.wait()
    await presence.open_reader(1)


async def test_a_kill_of_the_server_loses_nothing_acknowledged(
    server: NatsServer, buses: Buses
) -> None:
    bus = await buses.connect("registry")
    sent = events(700)
    last = await bus.publish(sent)
    server.kill()
    server.start()
    await until(lambda: bus.connected and bus.generation > 1)
    seen, _ = await _follow(bus, last)
    assert len(seen) == last == 700


async def test_a_call_in_flight_fails_when_the_connection_breaks(
    server: NatsServer, proxy: CuttableProxy, buses: Buses
) -> None:
    registry, ui = await buses.connect("registry"), await buses.connect("ui", proxy.url)
    asked = asyncio.Event()

    async def hang(subject: str, data: bytes) -> bytes:
        asked.set()
        await asyncio.Event().wait()
        return b""

    await registry.serve("dormice-rpc.registry.*", hang)
    calling = asyncio.create_task(ui.call("dormice-rpc.registry.decisions", b"", 60 * SECOND))
    await asked.wait()
    proxy.cut()
    async with asyncio.timeout(5):
        with pytest.raises(BusAway):
            await calling


async def test_a_denied_subject_is_refused_and_counted(server: NatsServer, buses: Buses) -> None:
    bus = await buses.connect("notify")
    async with asyncio.timeout(2):
        with pytest.raises(PublishRefused):
            await bus.publish(events(1))
        with pytest.raises(PublishRefused):
            await bus.publish(events(5))
        with pytest.raises(PublishRefused):
            await bus.publish([Outgoing("", "h1", b"{}", bucket="hosts")])
        with pytest.raises(PublishRefused):
            await bus.call("dormice-rpc.registry.get_host", b"", 60 * SECOND)
    assert bus.violations >= 4
    assert bus.connected
    assert (await bus.log_info()).last_seq == 0


async def test_a_request_that_a_consumer_delivers_is_refused(
    server: NatsServer, buses: Buses
) -> None:
    """Whoever may create consumers can point one at a subject that he may not publish.

    (The server delivers only where somebody subscribes exactly that subject, no wildcard.)
    """
    registry, attacker, ui = [await buses.connect(user) for user in ("registry", "notify", "ui")]
    handled: list[bytes] = []

    async def handle(subject: str, data: bytes) -> bytes:
        handled.append(data)
        return b"done"

    await registry.serve("dormice-rpc.registry.get_host", handle)
    await registry.publish(events(3))
    config = {
        "name": "evil",
        "deliver_subject": "dormice-rpc.registry.get_host",
        "deliver_group": "q",
        "ack_policy": "none",
        "deliver_policy": "all",
    }
    body = {"stream_name": "EVENTS", "config": config}
    answer = await attacker.api("CONSUMER.CREATE.EVENTS.evil", body)
    assert "error" not in answer
    await until(lambda: registry.refused == 3)
    assert await ui.call("dormice-rpc.registry.get_host", b"honest", SECOND) == b"done"
    assert handled == [b"honest"]


async def test_the_topology_is_made_once_and_brought_up_to_date(
    nats_server: NatsServer, buses: Buses
) -> None:
    setup = await buses.connect("setup")
    await ensure(setup)
    before = (await setup.api("STREAM.INFO.EVENTS"))["config"]
    assert before["subjects"] == [
        f"dormice.{family}.>"
        for family in (
            *("agent", "gateway", "host", "presence", "catchup"),
            *("job", "alert", "notification", "audit", "dead"),
        )
    ]
    await setup.api("STREAM.UPDATE.EVENTS", before | {"max_age": 3600 * 10**9})
    await ensure(setup)
    await ensure(setup)
    assert (await setup.api("STREAM.INFO.EVENTS"))["config"] == before


async def test_who_may_not_create_the_log_waits_for_it(
    nats_server: NatsServer, buses: Buses
) -> None:
    bus, setup = await buses.connect("alerting"), await buses.connect("setup")
    waiting = asyncio.create_task(ensure_log(bus, poll=SHORT))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    await ensure(setup)
    async with asyncio.timeout(5):
        await waiting
    await ensure_log(setup)
    assert bus.violations == 0


async def _call_until_noticed(bus: NatsBus) -> None:
    """Until the server has noticed that who serves is gone, nobody answers."""
    async with asyncio.timeout(10):
        while True:
            with contextlib.suppress(BusAway):
                await bus.call("dormice-rpc.registry.decisions", b"", SECOND)


async def test_nobody_serves_once_the_server_of_calls_is_gone(
    server: NatsServer, buses: Buses
) -> None:
    registry, ui = await buses.connect("registry"), await buses.connect("ui")

    async def answer(subject: str, data: bytes) -> bytes:
        return data

    await registry.serve("dormice-rpc.registry.*", answer)
    await registry.close()
    with pytest.raises(NoResponder):
        await _call_until_noticed(ui)


async def test_durable_by_configuration(server: NatsServer) -> None:
    """`sync_interval: always`: an acknowledgement means that it was fsynced."""
    text = (server.folder / "nats" / "server.conf").read_text()
    assert "sync_interval: always" in text
    assert json.loads((server.folder / "nats" / "passwords.json").read_text()) == server.passwords
