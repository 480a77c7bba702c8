"""Events and records of a small fleet, as the other services tell them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from libs.common.events.agent import OfflineReason
from libs.common.events.alert import Alert, AlertKind, AlertState, Severity
from libs.common.events.host import HostEnrolled, HostRecord, Schedule, SourceGroup
from libs.common.events.job import JobFinished, JobOrigin, JobRequested, JobStatus
from libs.common.events.presence import PresenceOffline, PresenceOnline
from libs.common.testing.rig import START, Rig
from services.ui import queries
from services.ui.machine import UiMachine
from services.ui.views import FleetDefaults, HostView

HOST = "host-1"
HOME = SourceGroup(id="g1", name="home", includes=("/home",))
NIGHTLY = Schedule(id="s1", name="nightly", cron="0 2 * * *", source_group_ids=("g1",))
FLEET = FleetDefaults()
HOUR = timedelta(hours=1)


def record(host_id: str = HOST, **more: Any) -> HostRecord:
    given = {"id": host_id, "name": host_id, "enrolled_at": START - timedelta(days=30)} | more
    return HostRecord.model_validate(given)


def rig(*records: HostRecord) -> Rig:
    made = Rig(UiMachine())
    for one in records or (record(),):
        made.publish(HostEnrolled(host_id=one.id, record=one))
    return made


def online(session: str = "S1", since: datetime = START, host_id: str = HOST) -> PresenceOnline:
    return PresenceOnline(
        host_id=host_id, name=host_id, always_on=True, session=session, gateway="gw", since=since
    )


def offline(session: str = "S1", since: datetime = START, host_id: str = HOST) -> PresenceOffline:
    return PresenceOffline(
        host_id=host_id, name=host_id, always_on=True, session=session, since=since,
        last_seen=since, reason=OfflineReason.SLEEP,
    )  # fmt: skip


def job_facts(job_id: str = "j1", **more: Any) -> dict[str, Any]:
    return {
        "host_id": HOST, "job_id": job_id, "origin": JobOrigin.SCHEDULE, "source_group_id": "g1",
        "schedule_id": "s1", "fire_time": START, **more,
    }  # fmt: skip


def requested(job_id: str = "j1", **more: Any) -> JobRequested:
    return JobRequested.model_validate(job_facts(job_id, at=START) | more)


def finished(
    job_id: str = "j1", status: JobStatus = JobStatus.SUCCEEDED, at: datetime = START, **more: Any
) -> JobFinished:
    return JobFinished.model_validate(job_facts(job_id, status=status, finished_at=at) | more)


def alert(kind: AlertKind = AlertKind.AGENT_OFFLINE, **more: Any) -> Alert:
    given = {
        "id": "A1", "host_id": HOST, "host_name": HOST, "kind": kind, "severity": Severity.WARNING,
        "message": "m", "state": AlertState.OPEN, "raised_at": START, "last_seen_at": START,
    }  # fmt: skip
    return Alert.model_validate(given | more)


def seen(fleet: Rig, host_id: str = HOST) -> HostView:
    view = queries.find_host(fleet.db, host_id, now=fleet.now, fleet=FLEET)
    assert view is not None
    return view
