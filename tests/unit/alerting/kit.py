"""What the tests of alerting publish beside the sessions of presence's kit."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from libs.common.events.agent import AgentSynced, GatewayLost
from libs.common.events.alert import Alert, AlertKind, AlertRaised, AlertResolved
from libs.common.events.host import (
    HostChanged,
    HostModeChanged,
    HostRecord,
    HostThresholdsChanged,
    Schedule,
    SourceGroup,
    ThresholdRules,
    Thresholds,
)
from libs.common.events.job import JobFinished, JobKind, JobOrigin, JobStatus
from libs.common.testing.rig import START, Fleet, Rig
from services.alerting.machine import AlertingMachine
from services.alerting.settings import AlertingSettings
from tests.unit.presence.kit import (
    DAY,
    HOUR,
    LOST_AFTER,
    MINUTE,
    OFFLINE_AFTER,
    SECOND,
    beat,
    enrolled,
    hello,
    listening,
    offline,
    record,
    stopped,
)

__all__ = [
    "DAY", "HOUR", "LOST_AFTER", "MINUTE", "OFFLINE_AFTER", "SECOND", "START", "beat", "enrolled",
    "hello", "listening", "offline", "record", "stopped",
]  # fmt: skip

FLOOR = 15 * MINUTE
STALE_AFTER = 7 * DAY
HOME = SourceGroup(id="g1", name="home", includes=("/home",))
NIGHTLY = Schedule(id="sc1", name="nightly", cron="0 2 * * *", source_group_ids=("g1",))


def alerting(**fields: Any) -> Rig:
    """Return alerting with one listening gateway and the always-on host h1."""
    rig = Rig(AlertingMachine(AlertingSettings.load(**fields)))
    rig.publish(listening(START), enrolled())
    return rig


def laptop(version: int = 1, host_id: str = "h1", **fields: Any) -> HostRecord:
    """The record of an intermittent host with a nightly schedule."""
    fields = {"always_on": False, "schedules": (NIGHTLY,), "source_groups": (HOME,)} | fields
    return record(host_id, version=version, **fields)


def changed(new: HostRecord) -> HostChanged:
    return HostChanged(host_id=new.id, record=new)


def mode_changed(new: HostRecord) -> HostModeChanged:
    return HostModeChanged(host_id=new.id, record=new, always_on=new.always_on)


def rules(version: int = 1, **modes_and_tags: Any) -> HostThresholdsChanged:
    """`always_on`, `intermittent` are modes, other names tags; values seconds (offline, stale)."""
    limits = {
        name: Thresholds(offline_seconds=offline, stale_seconds=stale)
        for name, (offline, stale) in modes_and_tags.items()
    }
    modes = {name: limits.pop(name) for name in ("always_on", "intermittent") if name in limits}
    return HostThresholdsChanged(rules=ThresholdRules(version=version, tags=limits, modes=modes))


def synced(host_id: str = "h1", session: str = "s1", since: datetime | None = None) -> AgentSynced:
    return AgentSynced(host_id=host_id, session=session, since=since)


def lost(
    at: datetime, since: datetime = START, gateway: str = "gw-1", heard_at: datetime | None = None
) -> GatewayLost:
    return GatewayLost(gateway=gateway, at=at, since=since, heard_at=heard_at)


def finished(
    at: datetime, status: JobStatus = JobStatus.SUCCEEDED, job_id: str = "j1", **fields: Any
) -> JobFinished:
    """The end of a backup of home, unless `fields` say otherwise."""
    fields = {
        "host_id": "h1", "origin": JobOrigin.SCHEDULE, "source_group_id": "g1",
        "kind": JobKind.BACKUP, "schedule_id": "sc1",
    } | fields  # fmt: skip
    return JobFinished(job_id=job_id, status=status, finished_at=at, **fields)


def failed(at: datetime, job_id: str = "j1", **fields: Any) -> JobFinished:
    return finished(at, JobStatus.FAILED, job_id, **({"error": "no space left"} | fields))


def sleeping_laptop(**fields: Any) -> Rig:
    """Return alerting with the laptop h1, backed up and synced at START, then asleep."""
    rig = Rig(AlertingMachine(AlertingSettings.load(**fields)))
    rig.publish(listening(START), enrolled(**laptop().model_dump(exclude={"id"})))
    rig.publish(hello(), finished(START), synced(), offline(START))
    return rig


def silent_server(**fields: Any) -> Rig:
    """Return alerting with the always-on host h1, last seen at START, offline 90 s later."""
    rig = alerting(**fields)
    rig.publish(hello(), synced())
    rig.advance(OFFLINE_AFTER)
    rig.publish(offline(START))
    return rig


def open_alerts(fleet: Fleet, **wanted: Any) -> list[dict[str, Any]]:
    return fleet.call("alerting", "list_alerts", state="open", **wanted)


def open_kinds(fleet: Fleet, host_id: str | None = None) -> list[str]:
    return sorted(alert["kind"] for alert in open_alerts(fleet, host_id=host_id))


def raised(fleet: Fleet, kind: AlertKind | None = None) -> list[Alert]:
    return [e.alert for e in fleet.of(AlertRaised) if kind in (None, e.alert.kind)]


def resolved(fleet: Fleet) -> list[tuple[str, str]]:
    """Return (kind, reason) of each resolve."""
    return [(e.alert.kind, e.reason) for e in fleet.of(AlertResolved)]


def advance_to(fleet: Fleet, moment: datetime) -> None:
    fleet.advance(moment - fleet.now)


def minutes(count: float) -> timedelta:
    return count * MINUTE
