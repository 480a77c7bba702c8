"""What every bus promises, over memory and over a real nats-server."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from libs.common.bus.base import (
    BATCH,
    Bus,
    BusAway,
    LogMessage,
    NoResponder,
    Outgoing,
    PublishRefused,
    Reader,
    ReaderLost,
)
from libs.common.ids import new_id
from tests.contract.conftest import World, until

SECOND = timedelta(seconds=1)
SHORT = timedelta(milliseconds=30)


def event(n: int = 0, subject: str = "dormice.host.h1.changed") -> Outgoing:
    return Outgoing(new_id(), subject, f"event {n}".encode())


def alert(n: int = 0) -> Outgoing:
    return event(n, "dormice.alert.h1.agent_offline.raised")


def value(key: str, data: bytes | None) -> Outgoing:
    return Outgoing(new_id(), key, data, bucket="hosts")


async def read_to(reader: Reader, seq: int) -> list[LogMessage]:
    """Return all that `reader` gives up to `seq`."""
    messages: list[LogMessage] = []
    async with asyncio.timeout(10):
        while not messages or messages[-1].seq < seq:
            messages += await reader.read(SECOND)
    return messages


# --- the log -------------------------------------------------------------------------------------


async def test_an_empty_log(world: World) -> None:
    bus = await world.bus("registry")
    info = await bus.log_info()
    assert (info.first_seq, info.last_seq) == (1, 0)
    assert info.created_at
    reader = await bus.open_reader(1)
    assert await reader.tail() == 0
    assert list(await reader.read(SHORT)) == []
    assert await bus.event_id_at(1) is None


async def test_events_are_read_in_the_order_of_publishing(world: World) -> None:
    bus = await world.bus("registry")
    reader = await bus.open_reader(1)
    sent = [event(n) for n in range(3 * BATCH + 7)]
    last = await bus.publish(sent)
    got = await read_to(reader, last)
    assert [m.event_id for m in got] == [m.event_id for m in sent]
    assert [m.seq for m in got] == list(range(1, len(sent) + 1))
    assert (got[0].subject, got[0].data) == (sent[0].subject, b"event 0")
    assert await bus.event_id_at(last) == sent[-1].event_id
    assert await bus.event_id_at(last + 1) is None


async def test_a_reader_gives_at_most_a_batch_at_a_time(world: World) -> None:
    bus = await world.bus("registry")
    await bus.publish([event(n) for n in range(2 * BATCH)])
    reader = await bus.open_reader(1)
    await reader.tail()
    assert len(await reader.read(SECOND)) <= BATCH


@pytest.mark.parametrize("from_seq", [1, 5, 10, 11])
async def test_reading_starts_at_a_position(world: World, from_seq: int) -> None:
    """11 is the one behind the tail: where every service waits when it has nothing to do."""
    bus = await world.bus("registry")
    await bus.publish([event(n) for n in range(10)])
    reader = await bus.open_reader(from_seq)
    assert await reader.tail() == 10
    last = await bus.publish([event(10)])
    assert [m.seq for m in await read_to(reader, last)] == list(range(from_seq, 12))


async def test_tail_knows_a_long_backlog(world: World) -> None:
    bus = await world.bus("registry")
    last = await bus.publish([event(n) for n in range(10_000)])
    reader = await bus.open_reader(1)
    assert await reader.tail() == last == 10_000
    assert len(await read_to(reader, last)) == last
    assert await reader.tail() == last


async def test_tail_is_a_barrier_while_others_publish(world: World) -> None:
    """What was acknowledged before `tail` began is at or before it, and `read` gives all of it."""
    writer, bus = await world.bus("registry"), await world.bus("presence")
    reader = await bus.open_reader(1)
    acknowledged = 0
    done = False

    async def publish() -> None:
        nonlocal acknowledged
        while not done:
            acknowledged = await writer.publish([event(n) for n in range(3)])

    publishing = asyncio.create_task(publish())
    seen = 0
    for _ in range(100):
        before = acknowledged
        tail = await reader.tail()
        assert tail >= before
        while seen < tail:
            batch = await reader.read(SECOND)
            assert [m.seq for m in batch] == list(range(seen + 1, seen + 1 + len(batch)))
            seen = batch[-1].seq
    done = True
    await publishing


async def test_many_may_ask_for_the_tail_at_once(world: World) -> None:
    bus = await world.bus("registry")
    last = await bus.publish([event(n) for n in range(700)])
    reader = await bus.open_reader(1)
    assert set(await asyncio.gather(*(reader.tail() for _ in range(50)))) == {last}
    assert len(await read_to(reader, last)) == last


async def test_an_id_is_stored_once(world: World) -> None:
    bus = await world.bus("registry")
    first, second, third = event(1), event(2), event(3)
    assert await bus.publish([first]) == 1
    assert await bus.publish([first, second]) == 2
    assert await bus.publish([first, second]) == 2
    assert await bus.publish([third, second]) >= 3
    assert (await bus.log_info()).last_seq == 3


async def test_exported_events_keep_their_place_among_others(world: World) -> None:
    bus = await world.bus("presence")
    subjects = ["dormice.presence.h1.online", "dormice.agent.h1.offline"]
    sent = [event(n, subjects[n % 5 > 1]) for n in range(40)]
    last = await bus.publish(sent)
    got = await read_to(await bus.open_reader(1), last)
    assert [m.event_id for m in got] == [m.event_id for m in sent]


async def test_exported_events_of_many_hosts_are_stored_in_order_each_once(world: World) -> None:
    """Those of different hosts are on their way at once; of one host, one after the other."""
    bus = await world.bus("alerting")
    hosts = [*range(250), *range(250), 7, 7, 7]
    sent = [event(n, f"dormice.alert.h{host}.agent_offline.raised")
            for n, host in enumerate(hosts)]  # fmt: skip
    last = await bus.publish(sent)
    assert last == len(sent)
    assert await bus.publish(sent[100:]) == last  # Sent again after a doubt: known, all of them.
    got = await read_to(await bus.open_reader(1), last)
    assert [m.event_id for m in got] == [m.event_id for m in sent]


async def test_publishing_nothing_or_only_values_returns_0(world: World) -> None:
    bus = await world.bus("registry")
    assert await bus.publish([]) == 0
    assert await bus.publish([value("a", b"1")]) == 0


@pytest.mark.parametrize(
    "subject",
    ["dormice-live.beat.g1", "dormice-cmd.g1.h1", "dormice-rpc.registry.decisions", "dormice.host"],
)
async def test_what_has_another_root_is_never_stored(world: World, subject: str) -> None:
    bus = await world.bus("registry")
    with pytest.raises(PublishRefused):
        await bus.publish([event(1, subject)])
    gateway, jobs, ui = [await world.bus(user) for user in ("gateway", "jobs", "ui")]
    gateway.send_live("dormice-live.beat.g1", b"x")
    for caller, asked in ((jobs, "dormice-cmd.g1.h1"), (ui, "dormice-rpc.registry.decisions")):
        with pytest.raises(NoResponder):
            await caller.call(asked, b"x", SECOND)
    assert (await bus.log_info()).last_seq == 0


async def test_too_large_is_refused_and_the_bus_goes_on(world: World) -> None:
    bus = await world.bus("registry")
    large = Outgoing(new_id(), "dormice.host.h1.changed", b"x" * (2 * 2**20 + 1))
    with pytest.raises(PublishRefused):
        await bus.publish([large])
    assert await bus.publish([event()]) == 1


# --- buckets -------------------------------------------------------------------------------------


async def test_a_bucket_holds_the_last_value_of_each_key(world: World) -> None:
    bus = await world.bus("registry")
    await bus.publish([value("a", b"1"), value("b", b"1"), value("a", b"2"), value("c", b"1")])
    await bus.publish([value("b", None), value("a", b"3"), value("gone", b"1")])
    await bus.publish([value("gone", None), value("b", None)])
    assert await bus.load_bucket("hosts") == {"a": b"3", "c": b"1"}
    assert await bus.load_bucket("alerts") == {}


async def test_who_reads_an_event_finds_its_value_in_the_bucket(world: World) -> None:
    bus, other = await world.bus("registry"), await world.bus("alerting")
    reader = await other.open_reader(1)
    for n in range(20):
        publishing = asyncio.create_task(bus.publish([event(n), value("k", b"%d" % n)]))
        (message,) = await reader.read(SECOND)
        assert message.data == b"event %d" % n
        assert (await other.load_bucket("hosts"))["k"] == b"%d" % n
        await publishing


async def test_a_large_bucket_loads_completely_while_it_is_written(world: World) -> None:
    bus, other = await world.bus("registry"), await world.bus("alerting")
    keys = [f"h{n}" for n in range(3000)]
    await bus.publish([value(key, b"old") for key in keys])
    writing = asyncio.create_task(bus.publish([value(key, b"new") for key in keys]))
    for _ in range(5):
        loaded = await other.load_bucket("hosts")
        assert set(loaded) == set(keys)
    await writing
    assert set((await other.load_bucket("hosts")).values()) == {b"new"}


# --- not stored ----------------------------------------------------------------------------------


async def test_live_messages_reach_who_listens_by_wildcard(world: World) -> None:
    gateway, ui = await world.bus("gateway"), await world.bus("ui")
    heard: list[tuple[str, bytes]] = []
    await ui.listen("dormice-live.beat.*", lambda subject, data: heard.append((subject, data)))
    gateway.send_live("dormice-live.job.h1.j1", b"other")
    gateway.send_live("dormice-live.beat.g1", b"1")
    gateway.send_live("dormice-live.beat.g2", b"2")
    await until(lambda: len(heard) == 2)
    assert heard == [("dormice-live.beat.g1", b"1"), ("dormice-live.beat.g2", b"2")]


async def test_calls_are_answered_concurrently(world: World) -> None:
    jobs, ui = await world.bus("jobs"), await world.bus("ui")
    together = asyncio.Barrier(3)

    async def answer(subject: str, data: bytes) -> bytes:
        await together.wait()
        return subject.encode() + b" " + data

    await jobs.serve("dormice-rpc.jobs.*", answer)
    calls = [ui.call(f"dormice-rpc.jobs.v{n}", b"%d" % n, 5 * SECOND) for n in range(3)]
    assert await asyncio.gather(*calls) == [b"dormice-rpc.jobs.v%d %d" % (n, n) for n in range(3)]


async def test_a_call_that_nobody_serves_fails_at_once(world: World) -> None:
    ui = await world.bus("ui")
    async with asyncio.timeout(1):
        with pytest.raises(NoResponder):
            await ui.call("dormice-rpc.jobs.decisions", b"", 60 * SECOND)


async def test_a_call_without_an_answer_in_time_says_so(world: World) -> None:
    jobs, ui = await world.bus("jobs"), await world.bus("ui")
    never = asyncio.Event()

    async def hang(subject: str, data: bytes) -> bytes:
        await never.wait()
        return b""

    await jobs.serve("dormice-rpc.jobs.*", hang)
    with pytest.raises(BusAway):
        await ui.call("dormice-rpc.jobs.decisions", b"", SHORT)


async def test_a_server_is_known_when_serve_returns(world: World) -> None:
    """Not one false "no responders": it would mean "the agent is not connected"."""
    jobs, ui = await world.bus("jobs"), await world.bus("ui")

    async def answer(subject: str, data: bytes) -> bytes:
        return data

    for n in range(200):
        await jobs.serve(f"dormice-rpc.jobs.v{n}", answer)
        assert await ui.call(f"dormice-rpc.jobs.v{n}", b"x", SECOND) == b"x"


# --- when things break ---------------------------------------------------------------------------


async def _lost(reader: Reader) -> None:
    async with asyncio.timeout(10):
        with pytest.raises(ReaderLost):
            await read_to(reader, 2**63)


async def test_a_restart_grows_the_generation_and_loses_the_reader(world: World) -> None:
    bus = await world.bus("registry")
    assert (bus.connected, bus.generation) == (True, 1)
    last = await bus.publish([event(n) for n in range(5)])
    reader = await bus.open_reader(1)
    await read_to(reader, last)
    before = await bus.log_info()
    await world.restart()
    await until(lambda: bus.connected and bus.generation > 1)
    await _lost(reader)
    with pytest.raises(ReaderLost):
        await reader.tail()
    await reader.close()
    assert await bus.log_info() == before
    again = await bus.open_reader(last + 1)
    assert await bus.publish([event(5)]) == last + 1
    assert [m.seq for m in await again.read(SECOND)] == [last + 1]


async def _again(bus: Bus) -> None:
    await until(lambda: bus.connected and bus.generation > 1)


async def test_listening_and_serving_survive_a_restart(world: World) -> None:
    registry, ui, gateway = [await world.bus(user) for user in ("registry", "ui", "gateway")]
    heard: list[bytes] = []

    async def answer(subject: str, data: bytes) -> bytes:
        return data

    await ui.listen("dormice-live.beat.*", lambda _, data: heard.append(data))
    await registry.serve("dormice-rpc.registry.*", answer)
    await world.restart()
    for bus in (registry, ui, gateway):
        await _again(bus)
    gateway.send_live("dormice-live.beat.g1", b"1")
    assert await ui.call("dormice-rpc.registry.decisions", b"x", SECOND) == b"x"
    await until(lambda: heard == [b"1"])


async def test_a_wiped_log_is_another_log(world: World) -> None:
    bus = await world.bus("registry")
    await bus.publish([event(), value("a", b"1")])
    before = await bus.log_info()
    await world.wipe()
    await until(lambda: bus.connected and bus.generation > 1)
    after = await bus.log_info()
    assert after.created_at != before.created_at
    assert (after.first_seq, after.last_seq) == (1, 0)
    assert await bus.load_bucket("hosts") == {}


async def test_a_rewound_log_hands_out_its_sequences_again(world: World) -> None:
    bus = await world.bus("registry")
    await bus.publish([event(n) for n in range(3)])
    await world.mark()
    await until(lambda: bus.connected)
    created_at = (await bus.log_info()).created_at
    lost = event(3)
    assert await bus.publish([lost]) == 4
    generation = bus.generation
    await world.rewind()
    await until(lambda: bus.connected and bus.generation > generation)
    info = await bus.log_info()
    assert (info.created_at, info.last_seq) == (created_at, 3)
    assert await bus.event_id_at(4) is None
    assert await bus.publish([event(4)]) == 4
    assert await bus.event_id_at(4) not in (None, lost.event_id)


async def _publish_through(bus: Bus, messages: list[Outgoing]) -> int:
    """Do what the outbox does: the same again, until it is acknowledged."""
    while True:
        try:
            return await bus.publish(messages)
        except BusAway:
            await bus.wait_connected()
            await asyncio.sleep(0.01)


async def test_publishing_again_after_a_restart_stores_each_id_once(world: World) -> None:
    bus = await world.bus("registry")
    sent = [event(n) for n in range(3000)]
    publishing = asyncio.create_task(_publish_through(bus, sent))
    await asyncio.sleep(0.02)
    await world.restart()
    async with asyncio.timeout(20):
        last = await publishing
    got = await read_to(await bus.open_reader(1), last)
    assert [m.event_id for m in got] == [m.event_id for m in sent]
