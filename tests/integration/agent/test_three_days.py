"""A control plane that is away for three days costs no run, and afterwards doubles none."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

from agent.app import Agent
from libs.common.events.agent import (
    AgentHello,
    AgentJobFinished,
    AgentJobReport,
    AgentJobStarted,
    AgentScheduleFired,
    AgentSynced,
)
from libs.common.events.base import Event
from libs.common.events.host import HostEnrolled, Schedule, SourceGroup
from libs.common.events.job import JobFinished as JobEnded
from libs.common.protocol import (
    JobFinished,
    JobReport,
    JobStarted,
    ScheduleConfig,
    ScheduleFired,
)
from libs.common.runs import job_id, run_id
from libs.common.testing.agent_gateway import Line, ScriptedGateway
from libs.common.testing.rig import START, Fleet
from services.catchup.machine import CatchupMachine
from services.catchup.settings import CatchupSettings
from services.jobs.machine import JobsMachine
from services.jobs.settings import JobsSettings
from tests.integration.agent.conftest import HOST, OffsetClock, Rig
from tests.unit.jobs.world import record

HOUR = timedelta(hours=1)
HOURS = 72
FIRES = [START + number * HOUR for number in range(HOURS)]
HOURLY = ScheduleConfig(id="s1", name="hourly", cron="0 * * * *", source_group_ids=["group-1"])
QUICK = {
    "engine": "command", "command": "true {includes}", "autonomy_after": "20ms",
    "clock_slice": "5ms", "clock_gap": "3h",
}  # fmt: skip


def run_of(fire: datetime) -> str:
    return run_id(HOST, "s1", "group-1", fire)


async def live_through(agent: Agent, clock: OffsetClock, fires: list[datetime]) -> None:
    """Let the clock strike every hour, and wait until that hour's run has ended."""
    await until(lambda: hasattr(agent, "machine"))  # It has read its state.
    for fire in fires:
        clock.offset += fire - clock.now()
        await until(lambda fire=fire: agent.machine.ledger.has_succeeded(run_of(fire)))


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.sleep(0.002)


async def reports_of_three_days(rig: Rig, gateway: ScriptedGateway) -> Line:
    """Return the line on which the agent tells of 72 hours alone, restarted in the middle."""
    clock = OffsetClock(START - timedelta(minutes=5))
    async with rig.agent(clock, **QUICK) as agent:
        await rig.ready(rig.config(schedules=[HOURLY]))
        await gateway.stop()
        await live_through(agent, clock, FIRES[:40])
    async with rig.agent(clock, **QUICK) as agent:
        await live_through(agent, clock, FIRES[40:])
        await gateway.start()
        line = await gateway.welcomed()
        await until(lambda: agent.machine.spool.count() == 0)
    return line


async def test_every_run_happened_once_and_is_reported_in_order(
    rig: Rig, gateway: ScriptedGateway
) -> None:
    line = await reports_of_three_days(rig, gateway)
    reports = [one for one in line.frames if isinstance(one, ScheduleFired | JobReport)]
    assert [one.seq for one in reports] == list(range(1, 3 * HOURS + 1))
    assert [one.fire_time for one in line.seen(ScheduleFired)] == FIRES
    wanted = [job_id(run_of(fire), 1) for fire in FIRES]
    for kind in (JobStarted, JobFinished):
        told = line.seen(kind)
        assert [(one.job_id, one.fire_time) for one in told] == list(
            zip(wanted, FIRES, strict=True)
        )
    assert {one.status for one in line.seen(JobFinished)} == {"succeeded"}


async def test_no_catch_up_doubles_them(rig: Rig, gateway: ScriptedGateway) -> None:
    """The same reports, given to catch-up and jobs as the gateway tells them."""
    line = await reports_of_three_days(rig, gateway)
    fleet = Fleet(CatchupMachine(CatchupSettings()), JobsMachine(JobsSettings()))
    schedule = Schedule(id="s1", name="hourly", cron="0 * * * *", source_group_ids=("group-1",))
    group = SourceGroup(id="group-1", name="docs", includes=("/docs",))
    laptop = record(
        id=HOST, name="laptop", always_on=False, schedules=(schedule,), source_groups=(group,)
    )
    fleet.publish(HostEnrolled(host_id=HOST, record=laptop))
    fleet.advance(HOURS * HOUR - timedelta(minutes=30))
    fleet.publish(AgentHello(host_id=HOST, session="S1", gateway="gw-1", connection=1))
    fleet.publish(*(event_of(frame, fleet.now) for frame in told_by(line)))
    fleet.publish(AgentSynced(host_id=HOST, session="S1"))
    fleet.advance(timedelta(minutes=20))
    assert fleet.effects["jobs"] == [], "nothing is sent: all was done"
    ends = [event for event in fleet.log if isinstance(event, JobEnded)]
    assert [event.fire_time for event in ends] == FIRES
    jobs = fleet.call("jobs", "list_jobs", host_id=HOST, limit=1000)
    assert {(job["status"], job["origin"]) for job in jobs} == {("succeeded", "agent")}
    assert len(jobs) == HOURS


def told_by(line: Line) -> list[ScheduleFired | JobReport]:
    return [one for one in line.frames if isinstance(one, ScheduleFired | JobReport)]


def event_of(frame: ScheduleFired | JobReport, now: datetime) -> Event:
    """Return what the gateway makes of a report."""
    common = {"host_id": HOST, "session": "S1", "received_at": now}
    fields = frame.model_dump(exclude={"type", "seq"}) | common
    if isinstance(frame, ScheduleFired):
        return AgentScheduleFired.model_validate(fields)
    kind: type[AgentJobReport] = (
        AgentJobStarted if isinstance(frame, JobStarted) else AgentJobFinished
    )
    return kind.model_validate(fields)
