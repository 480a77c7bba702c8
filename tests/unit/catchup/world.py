"""What the tests of catch-up share: records, agent and job events in few words."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from libs.common.events.agent import AgentHello, AgentOffline, AgentSynced, OfflineReason
from libs.common.events.catchup import CatchupRequested
from libs.common.events.host import (
    HostChanged,
    HostEnrolled,
    HostModeChanged,
    HostRecord,
    SourceGroup,
)
from libs.common.events.host import Schedule as ScheduleRecord
from libs.common.events.job import (
    JobDispatched,
    JobFinished,
    JobInterrupted,
    JobOrigin,
    JobStatus,
    JobUndeliverable,
)
from libs.common.protocol import FailureReason
from libs.common.runs import job_id, run_id
from libs.common.testing.rig import START, Fleet, Rig
from services.catchup.machine import CatchupMachine
from services.catchup.settings import CatchupSettings

SETTLE = timedelta(seconds=60)
SECOND = timedelta(seconds=1)
DAILY = ScheduleRecord(id="s1", name="nightly", cron="0 2 * * *", source_group_ids=("g1",))
HOME = SourceGroup(id="g1", name="home", includes=("/home",))
MAIL = SourceGroup(id="g2", name="mail", includes=("/var/mail",))
LONG_AGO = START - timedelta(days=3)


def record(host_id: str = "h1", **changes: Any) -> HostRecord:
    """A laptop with one daily schedule, a repository, one source group."""
    fields: dict[str, Any] = {
        "id": host_id,
        "name": host_id,
        "always_on": False,
        "enrolled_at": LONG_AGO,
        "schedules": (DAILY,),
        "source_groups": (HOME, MAIL),
        "repository_id": "repo",
    }
    return HostRecord(**{**fields, **changes})


def rig(**settings: Any) -> Rig:
    return Rig(CatchupMachine(CatchupSettings(**settings)))


def enroll(fleet: Fleet, *records: HostRecord) -> None:
    for one in records or (record(),):
        fleet.publish(HostEnrolled(host_id=one.id, record=one))


def change(fleet: Fleet, one: HostRecord) -> None:
    fleet.publish(HostChanged(host_id=one.id, record=one))


def set_mode(fleet: Fleet, one: HostRecord) -> None:
    fleet.publish(HostModeChanged(host_id=one.id, record=one, always_on=one.always_on))


def hello(host_id: str = "h1", session: str = "S1", **fields: Any) -> AgentHello:
    return AgentHello(host_id=host_id, session=session, gateway="gw-1", **fields)


def synced(host_id: str = "h1", session: str = "S1") -> AgentSynced:
    return AgentSynced(host_id=host_id, session=session)


def offline(fleet: Fleet, host_id: str = "h1", session: str = "S1") -> AgentOffline:
    return AgentOffline(
        host_id=host_id, session=session, last_seen=fleet.now, reason=OfflineReason.SLEEP
    )


def wake(fleet: Fleet, host_id: str = "h1", session: str = "S1", **fields: Any) -> None:
    fleet.publish(hello(host_id, session, **fields), synced(host_id, session))


def _job(fleet: Fleet, request: CatchupRequested, attempt: int) -> dict[str, Any]:
    run = run_id(request.host_id, request.schedule_id, request.source_group_id, request.fire_time)
    return {
        "host_id": request.host_id,
        "job_id": job_id(run, attempt),
        "origin": JobOrigin.CATCHUP,
        "run_id": run,
        "attempt": attempt,
        "schedule_id": request.schedule_id,
        "source_group_id": request.source_group_id,
        "fire_time": request.fire_time,
        "arm_id": request.arm_id,
    }


def dispatched(fleet: Fleet, request: CatchupRequested, attempt: int = 1) -> JobDispatched:
    return JobDispatched(**_job(fleet, request, attempt), session=request.arm_id, at=fleet.now)


def finished(
    fleet: Fleet, request: CatchupRequested, attempt: int = 1, *,
    status: JobStatus = JobStatus.SUCCEEDED, last: bool = True, at: datetime | None = None,
    reason: str | None = None,
) -> JobFinished:  # fmt: skip
    job = _job(fleet, request, attempt)
    end = at or fleet.now
    return JobFinished(**job, status=status, finished_at=end, last_attempt=last, reason=reason)


def out_of_reach(fleet: Fleet, request: CatchupRequested, attempt: int = 1) -> JobFinished:
    """A run that came to nothing: nobody answered for its repository."""
    reason = FailureReason.REPOSITORY_UNREACHABLE
    return finished(
        fleet, request, attempt, status=JobStatus.FAILED, last=False, reason=reason.value
    )


def interrupted(fleet: Fleet, request: CatchupRequested, attempt: int = 1) -> JobInterrupted:
    return JobInterrupted(**_job(fleet, request, attempt), at=fleet.now)


def undeliverable(fleet: Fleet, request: CatchupRequested, attempt: int = 1) -> JobUndeliverable:
    job = _job(fleet, request, attempt)
    return JobUndeliverable(**job, session=request.arm_id, at=fleet.now, reason="not_connected")


def foreign_success(
    fleet: Fleet, host_id: str = "h1", group: str = "g1", *, at: datetime | None = None,
    job: str = "manual-1",
) -> JobFinished:  # fmt: skip
    """A success that no catch-up asked for."""
    return JobFinished(
        host_id=host_id, job_id=job, origin=JobOrigin.MANUAL, source_group_id=group,
        status=JobStatus.SUCCEEDED, finished_at=at or fleet.now,
    )  # fmt: skip
