"""Fires: reported, answered, held, and run alone when nobody answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from agent.state import StateDirectory
from libs.common.clock import SystemClock
from libs.common.protocol import (
    Beat,
    Cancel,
    Config,
    ConfigApplied,
    Hold,
    JobAccepted,
    JobDeclined,
    JobFinished,
    JobStarted,
    Run,
    RunStatus,
    ScheduleConfig,
    ScheduleFired,
)
from libs.common.runs import job_id, run_id
from libs.common.testing.agent_gateway import ScriptedGateway
from tests.integration.agent.conftest import HOST, OffsetClock, Rig

FIRE = datetime(2026, 6, 15, 2, 0, tzinfo=UTC)
RUN = run_id(HOST, "nightly", "group-1", FIRE)
JOB = job_id(RUN, 1)
QUIET = {"engine": "command", "command": "true {includes}"}
AtTwo = Callable[..., OffsetClock]


def answer(attempt: int = 1) -> Run:
    return Run(
        job_id=job_id(RUN, attempt), schedule_id="nightly", source_group_id="group-1",
        fire_time=FIRE, config_version=1, attempt=attempt,
    )  # fmt: skip


async def test_a_fire_is_reported_and_run_alone_when_nobody_answers(
    rig: Rig, at_two: AtTwo
) -> None:
    clock = at_two()
    async with rig.agent(clock, **QUIET):
        line = await rig.ready()
        clock.strike()
        fired = await line.expect(ScheduleFired)
        assert (fired.schedule_id, fired.source_group_id) == ("nightly", "group-1")
        assert fired.fire_time == FIRE
        started = await line.expect(JobStarted)
        assert started.job_id == JOB
        assert (started.schedule_id, started.fire_time, started.attempt) == ("nightly", FIRE, 1)
        assert started.at - FIRE >= timedelta(milliseconds=300)
        finished = await line.expect(JobFinished)
        assert finished.status is RunStatus.SUCCEEDED
        await line.send(answer())
        accepted = await line.expect(JobAccepted)
        assert (accepted.job_id, accepted.state) == (JOB, "succeeded")
        await line.send(answer(attempt=2))
        assert (await line.expect(JobDeclined)).reason == "already_succeeded"
        assert len(line.seen(JobStarted)) == 1


async def test_an_answered_fire_is_run_once(rig: Rig, at_two: AtTwo) -> None:
    clock = at_two()
    async with rig.agent(clock, **{**QUIET, "autonomy_after": "60s"}) as agent:
        line = await rig.ready()
        clock.strike()
        await line.expect(ScheduleFired)
        await line.send(answer())
        await line.send(answer())
        first = await line.expect(JobAccepted)
        second = await line.expect(JobAccepted)
        assert first.state == "accepted"
        assert second.state in ("accepted", "running", "succeeded")
        started = await line.expect(JobStarted)
        assert started.schedule_id is None  # The server knows this run.
        await line.expect(JobFinished)
        await until(lambda: not agent.machine.ledger.waiting())
        assert len(line.seen(JobStarted)) == 1


async def test_a_control_plane_that_is_down_costs_no_backup(
    rig: Rig, gateway: ScriptedGateway, at_two: AtTwo
) -> None:
    clock = at_two()
    async with rig.agent(clock, **QUIET) as agent:
        await rig.ready()
        await gateway.stop()
        clock.strike()
        await until(lambda: agent.machine.ledger.has_succeeded(RUN))
        await gateway.start()
        line = await gateway.welcomed()
        assert line.hello.running == []
        assert line.hello.spool is not None
        assert line.hello.spool.last_seq == 3
        await line.expect(JobFinished)
        reports = [frame for frame in line.frames if hasattr(frame, "seq")]
        assert [frame.type for frame in reports] == [
            "schedule_fired",
            "job_started",
            "job_finished",
        ]
        assert [frame.seq for frame in reports] == [1, 2, 3]
        await line.send(answer())
        assert (await line.expect(JobAccepted)).state == "succeeded"


async def test_hold_puts_the_lone_run_off(rig: Rig, at_two: AtTwo) -> None:
    clock = at_two()
    async with rig.agent(clock, **{**QUIET, "autonomy_after": "1s"}):
        line = await rig.ready()
        clock.strike()
        await line.expect(ScheduleFired)
        # The server's clock is the real one; `until` counts on it.
        await line.send(Beat(server_time=SystemClock().now()))
        until_ = SystemClock().now() + timedelta(seconds=2)
        await line.send(Hold(job_id=job_id(RUN, 2), reason="busy", until=until_))
        started = await line.expect(JobStarted)
        assert started.job_id == job_id(RUN, 2)
        assert started.attempt == 2
        assert started.at > until_ + clock.offset - timedelta(milliseconds=500)


async def test_a_cancelled_fire_does_not_run_alone(rig: Rig, at_two: AtTwo) -> None:
    clock = at_two()
    async with rig.agent(clock, **{**QUIET, "autonomy_after": "60s"}) as agent:
        line = await rig.ready()
        clock.strike()
        await line.expect(ScheduleFired)
        held = SystemClock().now() + timedelta(minutes=10)
        await line.send(Hold(job_id=JOB, reason="busy", until=held))
        await line.send(Cancel(job_id="another"))
        await line.send(rig.config(2))
        await line.expect(ConfigApplied)
        assert [waiting.job_id for waiting in agent.machine.ledger.waiting()] == [JOB]
        await line.send(Cancel(job_id=JOB))
        await until(lambda: not agent.machine.ledger.waiting())
        assert agent.machine.ledger.find_job(JOB) is None


async def test_a_clock_set_back_does_not_delay_the_lone_run(rig: Rig, at_two: AtTwo) -> None:
    clock = at_two()
    async with rig.agent(clock, **{**QUIET, "autonomy_after": "1s"}):
        line = await rig.ready()
        clock.strike()
        await line.expect(ScheduleFired)
        clock.offset -= timedelta(hours=1)
        assert (await line.expect(JobStarted)).job_id == JOB
        assert len(line.seen(ScheduleFired)) == 1


async def test_a_damaged_configuration_is_sent_again(rig: Rig, gateway: ScriptedGateway) -> None:
    rig.state.joinpath("config.json").write_text('{"config": 1')
    async with rig.agent(**QUIET):
        line = await gateway.welcomed()
        assert line.hello.config_version == 0
        await line.send(rig.config(7))
        await line.expect(ConfigApplied)
    assert StateDirectory(rig.state).find_config() is not None


async def test_a_fire_that_it_slept_through_is_not_made_up(rig: Rig, at_two: AtTwo) -> None:
    clock = at_two(3600)
    async with rig.agent(clock, **QUIET) as agent:
        line = await rig.ready()
        clock.offset += timedelta(hours=1, seconds=61)  # It wakes 61 s after the fire.
        await line.closed.wait()  # A gap of the clock was sleep: it takes a new line at once.
        line = await rig.gateway.welcomed()
        await line.send(rig.config(2))
        await line.expect(ConfigApplied)
        assert not agent.machine.ledger.knows_fire(RUN)
        assert line.seen(ScheduleFired) == []


async def test_a_fire_that_it_met_a_little_late_counts(rig: Rig, at_two: AtTwo) -> None:
    clock = at_two(3600)
    async with rig.agent(clock, **QUIET):
        await rig.ready()
        clock.offset += timedelta(hours=1, seconds=50)
        line = await rig.gateway.welcomed()
        assert (await line.expect(ScheduleFired)).fire_time == FIRE


async def test_a_waiting_fire_survives_a_restart(
    rig: Rig, gateway: ScriptedGateway, at_two: AtTwo
) -> None:
    clock = at_two()
    async with rig.agent(clock, autonomy_after="60s", **QUIET):
        line = await rig.ready()
        clock.strike()
        await line.expect(ScheduleFired)
    clock.offset += timedelta(seconds=61)
    async with rig.agent(clock, **QUIET):
        line = await gateway.welcomed()
        assert (await line.expect(JobStarted)).job_id == JOB
        assert line.seen(ScheduleFired) == []  # Acknowledged before, and fired once.


@pytest.mark.parametrize(
    ("run", "reason"),
    [
        (answer().model_copy(update={"config_version": 2}), "stale_config"),
        (answer().model_copy(update={"source_group_id": "other"}), "unknown_group"),
        (answer().model_copy(update={"kind": "prune"}), "unsupported_kind"),
    ],
)
async def test_what_is_declined(rig: Rig, run: Run, reason: str) -> None:
    async with rig.agent(**QUIET):
        line = await rig.ready()
        await line.send(run)
        assert (await line.expect(JobDeclined)).reason == reason


async def test_a_bad_schedule_is_told_and_the_others_run(rig: Rig, at_two: AtTwo) -> None:
    schedules = [
        ScheduleConfig(id="bad", name="broken", cron="not a cron", source_group_ids=["group-1"]),
        ScheduleConfig(
            id="lost", name="lost", cron="0 2 * * *", timezone="Not/There",
            source_group_ids=["group-1"],
        ),
        *rig.config().schedules,
    ]  # fmt: skip
    clock = at_two()
    async with rig.agent(clock, **QUIET):
        line = await rig.gateway.welcomed()
        await line.send(rig.config(schedules=schedules))
        applied = await line.expect(ConfigApplied)
        clock.strike()
        assert applied.error is not None
        assert "broken" in applied.error
        assert (await line.expect(ScheduleFired)).schedule_id == "nightly"


async def test_the_configuration_holds_without_a_gateway(
    rig: Rig, gateway: ScriptedGateway, at_two: AtTwo
) -> None:
    async with rig.agent(at_two(3600), **QUIET):
        await rig.ready(rig.config(7))
    await gateway.stop()
    async with rig.agent(at_two(0.1), **QUIET) as agent:
        await until(lambda: hasattr(agent, "machine"))
        await until(lambda: agent.machine.ledger.has_succeeded(RUN))
        await gateway.start()
        assert (await gateway.welcomed()).hello.config_version == 7
    assert rig.state.joinpath("config.json").stat().st_mode & 0o777 == 0o600


async def test_schedules_in_the_hosts_zone(rig: Rig) -> None:
    midnight = datetime(2026, 6, 15, tzinfo=UTC)
    clock = OffsetClock(midnight - timedelta(seconds=25))
    async with rig.agent(clock, **QUIET):
        line = await rig.ready(rig.config(timezone="Europe/Berlin"))
        clock.offset += midnight - clock.now()
        assert (await line.expect(ScheduleFired)).fire_time == datetime(2026, 6, 15, tzinfo=UTC)


async def test_an_empty_configuration(rig: Rig) -> None:
    async with rig.agent(**QUIET):
        line = await rig.ready(Config(version=3))
        await line.send(answer())
        assert (await line.expect(JobDeclined)).reason == "unknown_group"


async def until(holds: Callable[[], bool]) -> None:
    """Wait for something inside the agent that tells nobody."""
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.02)
