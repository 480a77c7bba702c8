"""What happens to each service in its burst: a table service → burst."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from libs.common.events.agent import (
    AgentPower,
    GatewayListening,
)
from libs.common.events.alert import (
    Alert,
    AlertAcknowledged,
    AlertKind,
    AlertRaised,
    AlertResolved,
    AlertState,
    Severity,
)
from libs.common.events.host import HostChanged, Thresholds
from libs.common.events.job import JobFinished, JobOrigin, JobStatus
from tests.integration.system.burst import (
    SIZE,
    Burst,
    Said,
    Stage,
    Teller,
    enrolled,
    hello,
    host_id,
    offline,
    record,
    session,
    synced,
)
from tests.integration.system.burst_of_all import days
from tests.integration.system.burst_of_runs import for_catchup, for_jobs

STAGES = 4


def cut(said: list[Said], stages: int = STAGES) -> list[Stage]:
    """Cut a burst that may be taken in any batches into stages for kills to fall into."""
    size = -(-len(said) // stages)
    return [said[start : start + size] for start in range(0, len(said), size)]


# -- who only follows the log ----------------------------------------------------------------------


def for_registry() -> Burst:
    """Agents that report another version with each hello; every fifth hello comes again later."""
    tell = Teller()
    said = [enrolled(tell, number) for number in range(50)]
    for cycle in range(83):
        said += [hello(tell, number, cycle) for number in range(50)]
        said += [hello(tell, number, max(0, cycle - 2)) for number in range(0, 50, 5)]
    return Burst(cut(said))


def for_presence() -> Burst:
    """Hosts that come and go; the ends of older sessions come again."""
    tell = Teller()
    said = [tell.say(GatewayListening(gateway="gw-1", since=tell.now))]
    said += [enrolled(tell, number, always_on=number % 2 == 0) for number in range(50)]
    for cycle in range(25):
        for number in range(50):
            power = AgentPower(host_id=host_id(number), session=session(number, cycle),
                               on_battery=True, battery_percent=float(cycle))  # fmt: skip
            said += [hello(tell, number, cycle), tell.say(power)]
            said += [offline(tell, number, max(0, cycle - 3)), offline(tell, number, cycle)]
    return Burst(cut(said))


# -- alerting --------------------------------------------------------------------------------------

APART = timedelta(minutes=3)
"""Hosts go away further apart than a mass outage would have it."""


def for_alerting() -> Burst:
    """Servers that vanish and return, laptops without backups, backups that fail and succeed."""
    tell = Teller()
    hosts = range(150)
    start = [tell.say(GatewayListening(gateway="gw-1", since=tell.now))]
    start += [enrolled(tell, number, always_on=number % 2 == 0) for number in hosts]
    start += [_success(tell, number, 0) for number in hosts]
    burst = Burst([start])
    for cycle in range(1, 6):
        version = 2 * cycle
        burst.stages.append(_up(tell, hosts, cycle))
        burst.stages.append(_down(tell, hosts, cycle, version))
        burst.stages.append([_threshold(tell, n, version + 1, 30 * 86400) for n in hosts])
    burst.stages.append(_up(tell, hosts, 6))
    return burst


def _up(tell: Teller, hosts: range, cycle: int) -> Stage:
    return [
        said for number in hosts
        for said in (hello(tell, number, cycle), synced(tell, number, cycle),
                     _success(tell, number, cycle))
    ]  # fmt: skip


def _down(tell: Teller, hosts: range, cycle: int, version: int) -> Stage:
    gone = [
        offline(tell, number, cycle, last_seen=tell.base + APART * place)
        for place, number in enumerate(hosts)
    ]
    failed = [_ended(tell, number, f"failed-{cycle}-{number}", JobStatus.FAILED)
              for number in hosts if number % 3 == 0]  # fmt: skip
    return failed + gone + [_threshold(tell, number, version, 60) for number in hosts]


def _threshold(tell: Teller, number: int, version: int, seconds: int) -> Said:
    changed = record(
        number, tell.base, version=version, always_on=number % 2 == 0,
        thresholds=Thresholds(stale_seconds=seconds),
    )  # fmt: skip
    fact = HostChanged(host_id=changed.id, record=changed, changed=("thresholds",))
    return tell.say(fact)


def _success(tell: Teller, number: int, cycle: int) -> Said:
    return _ended(tell, number, f"good-{cycle}-{number}", JobStatus.SUCCEEDED)


def _ended(tell: Teller, number: int, job: str, status: JobStatus) -> Said:
    return tell.say(
        JobFinished(host_id=host_id(number), job_id=job, origin=JobOrigin.MANUAL, status=status,
                    source_group_id=f"g{number:03d}", finished_at=tell.now)
    )  # fmt: skip


# -- notify ----------------------------------------------------------------------------------------


def for_notify() -> Burst:
    """Alerts that are raised, taken and resolved; every tenth is critical, and so told."""
    tell = Teller()
    said = [enrolled(tell, number) for number in range(50)]
    for first in range(0, SIZE // 3, 50):
        numbers = range(first, first + 50)
        for state, kind in ((AlertState.OPEN, AlertRaised),
                            (AlertState.ACKNOWLEDGED, AlertAcknowledged)):  # fmt: skip
            said += [tell.say(kind(alert=_alert(tell, number, state))) for number in numbers]
        said += [
            tell.say(AlertResolved(alert=_alert(tell, number, AlertState.RESOLVED), reason="over"))
            for number in numbers
        ]
    return Burst(cut(said))


def _alert(tell: Teller, number: int, state: AlertState) -> Alert:
    ended = tell.base if state is AlertState.RESOLVED else None
    return Alert(
        id=f"alert-{number:04d}", host_id=host_id(number % 50), kind=AlertKind.BACKUP_FAILED,
        dedup_key=f"g{number}", message="Backup of home failed", state=state,
        severity=Severity.WARNING if number % 10 else Severity.CRITICAL,
        raised_at=tell.base, last_seen_at=tell.base, resolved_at=ended,
    )  # fmt: skip


# -- all of them -----------------------------------------------------------------------------------


def for_ui() -> Burst:
    """A bit of everything that its read model is made of."""
    return Burst(cut(days(Teller())))


BURSTS: dict[str, Callable[[], Burst]] = {
    "registry": for_registry, "presence": for_presence, "alerting": for_alerting,
    "catchup": for_catchup, "jobs": for_jobs, "notify": for_notify, "ui": for_ui,
}  # fmt: skip
