"""The line to the gateway: hello, heartbeats, silence, close codes, the spool over reconnects."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from websockets.frames import CloseCode as WebSocketCode

from agent.app import Agent
from libs.common.protocol import (
    Ack,
    CloseCode,
    ConfigApplied,
    Goodbye,
    GoodbyeReason,
    Heartbeat,
    JobAccepted,
    JobDeclined,
    JobFinished,
    JobStarted,
    Run,
)
from libs.common.testing.agent_gateway import Line, ScriptedGateway
from tests.integration.agent.conftest import TOKEN, OffsetClock, Rig

QUIET = {"engine": "command", "command": "true {includes}"}


def manual(job_id: str = "job-1") -> Run:
    return Run(job_id=job_id, source_group_id="group-1", config_version=1)


async def test_hello_says_everything(rig: Rig) -> None:
    async with rig.agent(**QUIET):
        hello = (await rig.gateway.accepted()).hello
    assert hello.protocol == 1
    assert hello.connection is not None
    assert hello.now is not None
    assert hello.spool is not None
    assert (hello.spool.last_seq, hello.running, hello.config_version) == (0, [], 0)
    for said in (hello.hostname, hello.os, hello.arch, hello.timezone, hello.boot_id):
        assert said
    assert hello.agent_version


async def test_heartbeats_at_the_interval_of_the_welcome(rig: Rig) -> None:
    async with rig.agent(**QUIET):
        line = await rig.gateway.welcomed(interval=0.05)
        for _ in range(3):
            assert (await line.expect(Heartbeat)).now is not None


async def test_a_silent_gateway_is_hung_up_on(rig: Rig) -> None:
    async with rig.agent(**QUIET):
        line = await rig.gateway.accepted()
        line.answer_heartbeats = False
        await line.welcome(interval=0.1)
        await asyncio.wait_for(line.closed.wait(), 5)
        assert line.seen(Heartbeat)
        again = await rig.gateway.accepted()
        assert (again.hello.connection or 0) > (line.hello.connection or 0)


async def test_the_counter_grows_over_restarts(rig: Rig) -> None:
    counters = []
    for _ in range(3):
        async with rig.agent(**QUIET):
            counters.append((await rig.gateway.welcomed()).hello.connection or 0)
    assert counters == sorted(set(counters))


async def test_an_unknown_token_is_tried_for_ever(rig: Rig, gateway: ScriptedGateway) -> None:
    gateway.token = "another"
    async with rig.agent(**QUIET) as agent:
        await state_is(agent, "waiting")
        gateway.token = TOKEN
        await gateway.welcomed()


@pytest.mark.parametrize("code", [CloseCode.UNKNOWN_TOKEN, CloseCode.NO_COMMON_PROTOCOL])
async def test_who_is_not_known_tries_slowly(rig: Rig, gateway: ScriptedGateway, code: int) -> None:
    gateway.refuse = (code, "no")
    async with rig.agent(token_retry="10m", **QUIET) as agent:
        await state_is(agent, "waiting")
        waits = (agent.files.find_status() or {})["connection"]["seconds"]
    assert 300 <= waits <= 600


async def test_the_counter_grows_when_the_clock_is_set_back(rig: Rig) -> None:
    counters = []
    for start in (datetime(2026, 6, 15, tzinfo=UTC), datetime(2025, 6, 15, tzinfo=UTC)):
        async with rig.agent(OffsetClock(start), **QUIET):
            counters.append((await rig.gateway.welcomed()).hello.connection or 0)
    assert counters[1] == counters[0] + 1


async def test_a_replaced_agent_goes_above_the_winner(rig: Rig, gateway: ScriptedGateway) -> None:
    winner = 99_999_999_999_999
    gateway.refuse = (CloseCode.REPLACED, f"replaced by connection {winner}")
    async with rig.agent(backoff_min="20s", backoff_max="20s", **QUIET):
        await hellos(gateway, 2)  # The second is dialled at once; then it backs off.
    first, second = gateway.hellos[:2]
    assert (first.connection or 0) < winner
    assert second.connection == winner + 1
    assert len(gateway.hellos) == 2


async def test_try_later_is_backed_off_and_tried_again(rig: Rig, gateway: ScriptedGateway) -> None:
    gateway.refuse = (CloseCode.TRY_LATER, "registry away")
    async with rig.agent(**QUIET):
        await hellos(gateway, 3)
        gateway.refuse = None
        await gateway.welcomed()


async def test_no_gateway_at_start(rig: Rig, gateway: ScriptedGateway) -> None:
    await gateway.stop()
    async with rig.agent(**QUIET) as agent:
        await state_is(agent, "waiting")
        await gateway.start()
        await gateway.welcomed()


async def test_a_wake_amid_the_goodbye_spares_the_wait(rig: Rig) -> None:
    async with rig.agent(backoff_min="10m", backoff_max="10m", **QUIET) as agent:
        line = await rig.ready()
        agent.lid.close()
        agent.lid.open()  # Before the goodbye was sent.
        assert (await line.expect(Goodbye)).reason is GoodbyeReason.SLEEP
        await rig.gateway.welcomed()


async def test_a_jump_of_the_clock_takes_a_new_line_at_once(rig: Rig) -> None:
    clock = OffsetClock()
    async with rig.agent(clock, backoff_min="10m", backoff_max="10m", **QUIET):
        line = await rig.ready()
        clock.offset += timedelta(minutes=5)
        await rig.gateway.welcomed()
        assert line.seen(Goodbye) == []


async def test_no_dial_without_its_counter_on_disk(rig: Rig, gateway: ScriptedGateway) -> None:
    """A disk that refuses ends no agent: it tries again, as with any other dial."""
    async with rig.agent(**QUIET) as agent:
        line = await rig.ready()
        first = line.hello.connection
        agent.store.rows("PRAGMA query_only = ON")
        await line.close(WebSocketCode.GOING_AWAY)
        await state_is(agent, "waiting")
        assert len(gateway.hellos) == 1
        assert agent.store.find_meta("connection") == str(first)
        agent.store.rows("PRAGMA query_only = OFF")
        again = await gateway.welcomed()
        assert agent.store.find_meta("connection") == str(again.hello.connection)


async def test_frames_that_it_does_not_know_are_ignored_and_bad_ones_end_the_line(rig: Rig) -> None:
    async with rig.agent(**QUIET):
        line = await rig.ready()
        await line.socket.send('{"type": "of_the_future", "x": 1}')
        await line.socket.send('{"type": "ack", "seq": 99999, "new_field": true}')
        await line.send(rig.config(2))
        await line.expect(ConfigApplied)
        await line.socket.send('{"type": "run"}')
        await line.closed.wait()
        await rig.ready(rig.config(2))


async def test_unacknowledged_reports_come_again_in_order(
    rig: Rig, gateway: ScriptedGateway
) -> None:
    gateway.acknowledge = False
    async with rig.agent(**QUIET):
        line = await rig.ready()
        for number in (1, 2):
            await line.send(manual(f"job-{number}"))
            await line.expect(JobFinished)
        await line.send(Ack(seq=1))
        await line.close(WebSocketCode.GOING_AWAY)
        line = await gateway.welcomed()
        assert line.hello.spool is not None
        assert line.hello.spool.last_seq == 4
        await line.expect(JobFinished, lambda frame: frame.job_id == "job-2")
        seqs = [frame.seq for frame in line.frames if isinstance(frame, (JobStarted, JobFinished))]
        assert seqs == [2, 3, 4]
        await line.send(Ack(seq=4))
        await line.send(rig.config(2))
        await line.expect(ConfigApplied)
        await line.close(WebSocketCode.GOING_AWAY)
        line = await rig.ready(rig.config(2))
        assert line.seen(JobFinished) == []
        assert line.hello.spool is not None
        assert line.hello.spool.last_seq == 0


async def test_at_most_so_many_reports_are_in_flight(rig: Rig, gateway: ScriptedGateway) -> None:
    gateway.acknowledge = False
    async with rig.agent(in_flight=3, **QUIET) as agent:
        line = await rig.ready()
        for number in range(4):
            await line.send(manual(f"job-{number}"))
            await answered(line, number + 1)
            await idle(agent)
        await line.expect(JobStarted, lambda frame: frame.seq == 3)
        await line.send(rig.config(2))
        await line.expect(ConfigApplied)
        assert [frame.seq for frame in reports(line)] == [1, 2, 3]
        await line.send(Ack(seq=3))
        await line.expect(JobFinished, lambda frame: frame.seq == 6)
        await line.send(Ack(seq=8))
        await line.send(rig.config(3))
        await line.expect(ConfigApplied)


async def test_a_new_token_replaces_the_old(rig: Rig, gateway: ScriptedGateway) -> None:
    async with rig.agent(**QUIET):
        line = await gateway.welcomed()
        await line.send(rig.config(agent_token="fresh-token"))
        await line.expect(ConfigApplied)
        gateway.token = "fresh-token"
        await line.close(WebSocketCode.GOING_AWAY)
        await gateway.welcomed()
    assert "fresh-token" in rig.state.joinpath("identity.json").read_text()
    assert "fresh-token" not in rig.state.joinpath("config.json").read_text()


async def test_a_full_spool_takes_no_new_run(rig: Rig, gateway: ScriptedGateway) -> None:
    gateway.acknowledge = False
    async with rig.agent(spool_bytes=4096, in_flight=1, **QUIET) as agent:
        line = await rig.ready()
        for number in range(60):
            await line.send(manual(f"job-{number}"))
            answer = await answered(line, number + 1)
            if answer.type == "job_declined":
                assert answer.reason == "spool_full"
                break
            await idle(agent)
        assert agent.machine.spool.is_full()
        line.acknowledge = True
        await line.send(Ack(seq=10_000))
        await line.send(manual("after"))
        await line.expect(JobFinished, lambda frame: frame.job_id == "after")


def reports(line: Line) -> list[JobStarted | JobFinished]:
    return [frame for frame in line.frames if isinstance(frame, (JobStarted, JobFinished))]


async def answered(line: Line, count: int) -> JobAccepted | JobDeclined:
    """Return the `count`-th answer to a run."""
    async with asyncio.timeout(5):
        while True:
            found = [f for f in line.frames if isinstance(f, (JobAccepted, JobDeclined))]
            if len(found) >= count:
                return found[count - 1]
            await asyncio.sleep(0.01)


async def state_is(agent: Agent, state: str) -> None:
    async with asyncio.timeout(10):
        while (agent.files.find_status() or {}).get("state") != state:
            await asyncio.sleep(0.02)


async def idle(agent: Agent) -> None:
    """Wait until no job runs."""
    async with asyncio.timeout(5):
        while agent.machine.running is not None:
            await asyncio.sleep(0.01)


async def hellos(gateway: ScriptedGateway, count: int) -> None:
    async with asyncio.timeout(10):
        while len(gateway.hellos) < count:
            await asyncio.sleep(0.02)
