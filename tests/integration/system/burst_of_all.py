"""The burst for the read model: every kind of event that it follows."""

from __future__ import annotations

from typing import Any

from libs.common.events.agent import GatewayListening, OfflineReason
from libs.common.events.alert import (
    Alert,
    AlertKind,
    AlertRaised,
    AlertResolved,
    AlertState,
    NotificationDelivered,
    Severity,
)
from libs.common.events.base import Event
from libs.common.events.catchup import CatchupArmed, CatchupFinished, CatchupRequested
from libs.common.events.host import SYSTEM, Audit, HostModeChanged
from libs.common.events.job import (
    JobDispatched,
    JobFinished,
    JobOrigin,
    JobRequested,
    JobStarted,
    JobStatus,
)
from libs.common.events.presence import PresenceOffline, PresenceOnline
from tests.integration.system.burst import (
    Said,
    Teller,
    enrolled,
    hello,
    host_id,
    record,
    session,
)

HOSTS = 30
CYCLES = 12


def days(tell: Teller) -> list[Said]:
    """Return about 5,000 events: each host wakes, catches up, fails, is told of, and sleeps."""
    said = [tell.say(GatewayListening(gateway="gw-1", since=tell.now))]
    said += [enrolled(tell, number) for number in range(HOSTS)]
    for cycle in range(CYCLES):
        for number in range(HOSTS):
            said.append(hello(tell, number, cycle))
            said += [tell.say(event) for event in _one_day(tell, number, cycle)]
    return said


def _one_day(tell: Teller, number: int, cycle: int) -> list[Event]:
    host, at = host_id(number), tell.now
    arm = session(number, cycle)
    common: dict[str, Any] = {
        "host_id": host, "name": f"host-{number:03d}", "always_on": True, "session": arm,
    }  # fmt: skip
    ended = PresenceOffline(**common, since=at, last_seen=at, reason=OfflineReason.SLEEP)
    return [
        *_mode(tell, number, cycle),
        PresenceOnline(**common, gateway="gw-1", since=at),
        CatchupArmed(host_id=host, arm_id=arm, due_at=at),
        CatchupRequested(host_id=host, arm_id=arm, schedule_id=f"s{number:03d}",
                         source_group_id=f"g{number:03d}", fire_time=at),
        *_job(tell, number, cycle, arm),
        CatchupFinished(host_id=host, arm_id=arm, runs=1, succeeded=cycle % 2),
        *_alert(tell, number, cycle),
        ended,
    ]  # fmt: skip


def _mode(tell: Teller, number: int, cycle: int) -> list[Event]:
    always_on = cycle % 2 == 0
    changed = record(number, tell.base, version=cycle + 2, always_on=always_on)
    audit = Audit(service="registry", target=changed.id, action="host.mode_updated", actor=SYSTEM,
                  at=tell.now, host_id=changed.id, after={"always_on": always_on})  # fmt: skip
    return [HostModeChanged(host_id=changed.id, record=changed, always_on=always_on), audit]


def _job(tell: Teller, number: int, cycle: int, arm: str) -> list[Event]:
    at = tell.now
    common: dict[str, Any] = {
        "host_id": host_id(number), "job_id": f"job-{number:03d}-{cycle:03d}",
        "origin": JobOrigin.CATCHUP, "source_group_id": f"g{number:03d}", "arm_id": arm,
    }  # fmt: skip
    status = JobStatus.SUCCEEDED if cycle % 2 else JobStatus.FAILED
    return [
        JobRequested(**common, at=at),
        JobDispatched(**common, session=arm, at=at),
        JobStarted(**common, at=at),
        JobFinished(**common, status=status, started_at=at, finished_at=at),
    ]


def _alert(tell: Teller, number: int, cycle: int) -> list[Event]:
    at = tell.now
    raised = Alert(
        id=f"alert-{number:03d}-{cycle:03d}", host_id=host_id(number), message="failed",
        kind=AlertKind.BACKUP_FAILED, severity=Severity.WARNING, state=AlertState.OPEN,
        raised_at=at, last_seen_at=at,
    )  # fmt: skip
    told = NotificationDelivered(
        channel_id="c1", channel_name="desk", delivery_id=f"d-{raised.id}", event="raised",
        alert_ids=(raised.id,), tries=1, at=at,
    )  # fmt: skip
    over = raised.model_copy(update={"state": AlertState.RESOLVED, "resolved_at": at})
    resolved = AlertResolved(alert=over, reason="backup_succeeded")
    return [AlertRaised(alert=raised), told, *([resolved] if cycle < CYCLES - 1 else [])]
