"""How the fleet is shown: pure rules of what is known and of `now`.

A host has one display state (R2), an overlay of what it does, and an overlay of attention. Where
two services have not caught up with each other yet, what would contradict is not shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from libs.common.cron import BadCron, UnknownZone, is_overdue, next_fire, zone
from libs.common.events.alert import AlertKind
from libs.common.events.host import HostRecord, Schedule
from libs.common.thresholds import Subject, Threshold, missed_after, offline_floor, stale_after
from services.ui.views import Display, FleetDefaults, NextAlert

LastSuccess = Mapping[str, datetime]
"""Source group id → end of its last successful backup."""


def display_of(status: str, *, always_on: bool) -> Display:
    """Return how a host is shown: an intermittent host that is offline is asleep (R2)."""
    if status == "offline" and not always_on:
        return Display.ASLEEP
    return Display(status)


def needs_attention(open_alerts: int, failing: int) -> bool:
    """Say whether someone should look. Being asleep, or overdue while asleep, is no reason."""
    return open_alerts > 0 or failing > 0


# --- Schedules ------------------------------------------------------------------------------------


def schedule_zone(record: HostRecord, schedule: Schedule) -> str:
    """Return the zone in which a schedule fires: its own, or the host's wherever it is."""
    return schedule.timezone or record.timezone


def next_fire_of(record: HostRecord, schedule: Schedule, now: datetime) -> datetime | None:
    """Return the next fire after `now`; None if it is disabled, has no group or cannot fire."""
    if not _runs(record, schedule):
        return None
    try:
        return next_fire(schedule.cron, now, zone(schedule_zone(record, schedule)))
    except (BadCron, UnknownZone):
        return None


def overdue_from(record: HostRecord, schedule: Schedule, last: LastSuccess) -> datetime | None:
    """Return from when a schedule is overdue for any of its groups (R14), None: never.

    Never backed up: since the host joined. The answer may lie in the future.
    """
    if not _runs(record, schedule):
        return None
    moments = [
        _pair_overdue_from(record, schedule, last.get(group)) for group in _groups(record, schedule)
    ]
    return min((moment for moment in moments if moment is not None), default=None)


def _pair_overdue_from(
    record: HostRecord, schedule: Schedule, last_success: datetime | None
) -> datetime | None:
    try:
        where = zone(schedule_zone(record, schedule))
        if last_success is not None:
            return next_fire(schedule.cron, last_success, where)
    except (BadCron, UnknownZone):
        return None
    never = is_overdue(schedule.cron, where, None, record.enrolled_at)
    return record.enrolled_at if never else None


def is_overdue_now(overdue_from: datetime | None, current_job: str | None, now: datetime) -> bool:
    """Say whether a host is shown as overdue: not while it is at it."""
    return overdue_from is not None and overdue_from <= now and current_job is None


def host_overdue_from(record: HostRecord, last: LastSuccess) -> datetime | None:
    """Return the earliest of what `overdue_from` says of the host's schedules."""
    moments = [overdue_from(record, schedule, last) for schedule in record.schedules]
    return min((moment for moment in moments if moment is not None), default=None)


def host_next_fire(record: HostRecord, now: datetime) -> datetime | None:
    moments = [next_fire_of(record, schedule, now) for schedule in record.schedules]
    return min((moment for moment in moments if moment is not None), default=None)


def has_schedule(record: HostRecord) -> bool:
    """Say whether anything is scheduled at all."""
    return any(_runs(record, schedule) for schedule in record.schedules)


def _runs(record: HostRecord, schedule: Schedule) -> bool:
    return schedule.enabled and bool(_groups(record, schedule))


def _groups(record: HostRecord, schedule: Schedule) -> list[str]:
    present = {group.id for group in record.source_groups}
    return [group for group in schedule.source_group_ids if group in present]


# --- Alerts ---------------------------------------------------------------------------------------


class Showing(Enum):
    """Why an open alert is, or is not, shown."""

    SHOWN = "fits what is known of its host"
    HOST_GONE = "its host left the fleet"
    MAY_SLEEP = "agent_offline of a host that is intermittent by now (R4)"
    IS_BACK = "agent_offline of a host that is online by now (R5)"
    ALWAYS_ON = "missing backups of a host that is always-on by now (R6)"
    BACKED_UP = "a backup succeeded after it was raised (R9)"


@dataclass(frozen=True, slots=True)
class HostFacts:
    """What is known of an alert's host. `last_success_at`: of its group, or of any."""

    always_on: bool
    status: str
    removed: bool
    last_success_at: datetime | None


_OF_INTERMITTENT = frozenset({AlertKind.STALE_SCHEDULE, AlertKind.BACKUP_NOT_SUCCEEDING})
_ENDED_BY_BACKUP = _OF_INTERMITTENT | {AlertKind.BACKUP_FAILED}


def assess_showing(kind: str, raised_at: datetime, host: HostFacts | None) -> Showing:
    """Say whether an open alert contradicts what the read model knows of its host by now.

    None: the alert is of the fleet, or of a host not known here.
    """
    if host is None:
        return Showing.SHOWN
    if host.removed:
        return Showing.HOST_GONE
    if kind == AlertKind.AGENT_OFFLINE:
        if not host.always_on:
            return Showing.MAY_SLEEP
        return Showing.IS_BACK if host.status == "online" else Showing.SHOWN
    if kind in _OF_INTERMITTENT and host.always_on:
        return Showing.ALWAYS_ON
    if kind in _ENDED_BY_BACKUP:
        done = host.last_success_at
        return Showing.BACKED_UP if done is not None and done > raised_at else Showing.SHOWN
    return Showing.SHOWN


HOLDING = frozenset({
    AlertKind.AGENT_OFFLINE, AlertKind.STALE_SCHEDULE, AlertKind.FLEET_OUTAGE,
    AlertKind.BACKUP_NOT_SUCCEEDING,
})  # fmt: skip
"""Kinds that are conditions: while open they hold, so `last_seen_at` is now."""

STATE_ORDER = ("open", "acknowledged", "resolved")


def may_follow(state: str, present: str | None) -> bool:
    """Say whether an alert may move from `present` to `state`: never back, whatever is repeated."""
    return present is None or STATE_ORDER.index(state) >= STATE_ORDER.index(present)


def thresholds_of(record: HostRecord, fleet: FleetDefaults) -> dict[str, Threshold]:
    """Return the thresholds in force and who set them."""
    host = Subject(record.thresholds, record.tags, record.always_on)
    missed = missed_after(host, fleet.rules)
    return {
        "offline": offline_floor(host, fleet.rules, fleet.offline_floor),
        "stale": stale_after(host, fleet.rules, fleet.stale_after),
    } | ({} if missed is None else {"missed": missed})


@dataclass(frozen=True, slots=True)
class Silence:
    """What the next alert of a host depends on. `observed_since`: start of the present unbroken
    period with a listening gateway, None: none listens. `told`: kinds that are open already.
    `muted_until`: kinds that an operator has just resolved, and until when nothing is raised."""

    status: str
    always_on: bool
    last_seen_at: datetime | None
    last_backup_at: datetime | None
    observed_since: datetime | None
    has_schedule: bool
    told: frozenset[str] = frozenset()
    muted_until: Mapping[str, datetime] = field(default_factory=dict)


def next_alert(host: Silence, thresholds: Mapping[str, Threshold]) -> NextAlert | None:
    """Return the next alert about a host if nothing changes, None if none is ahead (R4-R6)."""
    if host.always_on:
        if host.status != "offline" or host.last_seen_at is None or host.observed_since is None:
            return None
        kind, start, after = AlertKind.AGENT_OFFLINE, host.last_seen_at, "offline"
        start = max(start, host.observed_since)
    else:
        if host.last_backup_at is None or not host.has_schedule:
            return None
        kind, start, after = AlertKind.STALE_SCHEDULE, host.last_backup_at, "stale"
    if kind in host.told:
        return None
    due = start + thresholds[after].value
    return NextAlert(kind.value, max(due, host.muted_until.get(kind, due)))
