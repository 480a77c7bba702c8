"""The bursts of catch-up and jobs, in which a neighbour answers what they ask for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from libs.common.events.agent import (
    AgentJobAccepted,
    AgentJobFinished,
    AgentJobStarted,
    AgentScheduleFired,
)
from libs.common.events.base import Event
from libs.common.events.catchup import CatchupRequested
from libs.common.events.job import JobDispatched, JobFinished, JobOrigin, JobStarted, JobStatus
from libs.common.protocol import RunStatus
from libs.common.runs import job_id, run_id
from tests.integration.system.burst import (
    Burst,
    Said,
    Teller,
    enrolled,
    hello,
    host_id,
    offline,
    session,
    synced,
)

# -- catch-up --------------------------------------------------------------------------------------


def for_catchup() -> Burst:
    """Laptops that wake, are asked for a backup of an old fire, run it, and sleep again."""
    tell = Teller()
    hosts = range(150)
    burst = Burst([[enrolled(tell, n, always_on=False) for n in hosts]], answer_catchup(tell))
    for cycle in range(6):
        burst.stages.append([hello(tell, number, cycle) for number in hosts])
        again = [hello(tell, number, max(0, cycle - 1)) for number in range(0, 150, 4)]
        burst.stages.append(again + [synced(tell, number, cycle) for number in hosts])
        burst.stages.append([offline(tell, number, cycle) for number in hosts])
    return burst


def answer_catchup(tell: Teller) -> Callable[[Event], Iterable[Said]]:
    """Return what jobs says to each request: its job ends well, as one of two years ago, so that
    the next waking finds the same fire overdue."""
    long_ago = tell.base - timedelta(days=730)

    def react(event: Event) -> Iterable[Said]:
        if not isinstance(event, CatchupRequested):
            return
        schedule, group = event.schedule_id, event.source_group_id
        run = run_id(event.host_id, schedule, group, event.fire_time)
        job = job_id(run, int(event.arm_id[-3:]) + 1)
        common: dict[str, Any] = {
            "host_id": event.host_id, "job_id": job, "origin": JobOrigin.CATCHUP, "run_id": run,
            "attempt": 1, "schedule_id": schedule, "source_group_id": group,
            "fire_time": event.fire_time, "arm_id": event.arm_id,
        }  # fmt: skip
        answers = (
            JobDispatched(**common, session=event.arm_id, at=long_ago),
            JobStarted(**common, at=long_ago),
            JobFinished(**common, status=JobStatus.SUCCEEDED, finished_at=long_ago),
        )
        for place, answer in enumerate(answers):
            yield tell.say(answer, f"0000-{job}-{place}", tell.base)

    return react


# -- jobs ------------------------------------------------------------------------------------------

CYCLES_OF_FIRES = 8


def for_jobs() -> Burst:
    """Fifty servers are sent what fires every minute, and run it; a hundred run theirs alone."""
    tell = Teller()
    hosts = range(150)
    start = [
        said for number in hosts
        for said in (enrolled(tell, number), hello(tell, number, 0), synced(tell, number, 0))
    ]  # fmt: skip
    burst = Burst([start], run=partial(answer_run, tell))
    for cycle in range(CYCLES_OF_FIRES):
        fires = [said for number in hosts[50:] for said in _alone(tell, number, cycle)]
        for number in hosts[:50]:
            fired = AgentScheduleFired(
                host_id=host_id(number), session=session(number, 0), schedule_id=f"s{number:03d}",
                source_group_id=f"g{number:03d}", received_at=fire_at(tell, cycle),
                fire_time=fire_at(tell, cycle),
            )  # fmt: skip
            fires.append(tell.say(fired))
            if number % 5 == 0:
                fires.append(tell.say(fired))  # Reported again, under another id.
        burst.stages.append(fires)
    return burst


def _alone(tell: Teller, number: int, cycle: int) -> list[Said]:
    """A run that the agent started by itself, told twice over; every fourth was cut short."""
    fire = fire_at(tell, cycle)
    run = run_id(host_id(number), f"s{number:03d}", f"g{number:03d}", fire)
    report: dict[str, Any] = {
        "host_id": host_id(number), "session": session(number, 0), "job_id": job_id(run, 1),
        "schedule_id": f"s{number:03d}", "source_group_id": f"g{number:03d}", "fire_time": fire,
        "attempt": 1, "at": fire, "received_at": fire,
    }  # fmt: skip
    status = RunStatus.SUCCEEDED if number % 4 else RunStatus.CANCELLED
    finished = AgentJobFinished(**report, status=status)
    return [tell.say(event) for event in
            (AgentJobStarted(**report), finished, AgentJobStarted(**report), finished)]  # fmt: skip


def fire_at(tell: Teller, cycle: int) -> datetime:
    return tell.base + timedelta(hours=1, minutes=cycle)  # After every hello.


def answer_run(tell: Teller, host: str, session_id: str, job: str) -> list[Said]:
    """Return what an agent reports of a job that it was sent: every third one fails."""
    at = tell.base + timedelta(hours=2)
    common: dict[str, Any] = {"host_id": host, "session": session_id, "job_id": job}
    report = common | {"at": at, "received_at": at}
    failed = int(job[:2], 16) % 3 == 0
    events: tuple[Event, ...] = (
        AgentJobAccepted(**common),
        AgentJobStarted(**report),
        AgentJobFinished(**report, status=RunStatus.FAILED if failed else RunStatus.SUCCEEDED),
    )
    return [tell.say(event, f"0000-{job}-{place}", at) for place, event in enumerate(events)]
