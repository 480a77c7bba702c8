"""Local cron: which fires of the pushed configuration are due. Pure; the clock is the caller's."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from libs.common import cron
from libs.common.clock import TICK
from libs.common.errors import DormiceError
from libs.common.protocol import Config, ScheduleConfig

FIRES_AT_ONCE = 10


@dataclass(frozen=True, slots=True)
class Fire:
    """One fire of one schedule for one source group."""

    schedule_id: str
    source_group_id: str
    fire_time: datetime


def zone_of(schedule: ScheduleConfig, config: Config) -> ZoneInfo:
    """Return the schedule's own zone, or the host's. Raises cron.UnknownZone."""
    return cron.zone(schedule.timezone or config.timezone)


def find_problem(config: Config) -> str | None:
    """Say which schedule cannot run here, and why; the others run all the same."""
    for schedule in config.schedules:
        try:
            zone_of(schedule, config)
            cron.validate(schedule.cron)
        except DormiceError as error:
            return f"schedule {schedule.name}: {error.message}"
    return None


def due_fires(
    config: Config, *, looked_until: datetime, now: datetime, tolerance: timedelta
) -> list[Fire]:
    """Return the fires after `looked_until` and not after `now`, oldest first.

    A fire more than `tolerance` ago is left out: this machine was not awake for it, and making it
    up is catch-up's business.
    """
    after = max(looked_until, now - tolerance - TICK)
    fires = [
        Fire(schedule.id, group_id, fire_time)
        for schedule in _running(config)
        for fire_time in cron.fires_between(
            schedule.cron, after, now, zone_of(schedule, config), limit=FIRES_AT_ONCE
        )
        for group_id in _known_groups(schedule, config)
    ]
    return sorted(fires, key=lambda fire: fire.fire_time)


def next_fire_time(config: Config, now: datetime) -> datetime | None:
    """Return when anything fires next."""
    fires = [
        cron.next_fire(schedule.cron, now, zone_of(schedule, config))
        for schedule in _running(config)
        if _known_groups(schedule, config)
    ]
    return min((fire for fire in fires if fire is not None), default=None)


def next_look(
    now: datetime, *, fire_time: datetime | None, due_at: datetime | None, slice_: timedelta
) -> timedelta:
    """Return how long to sleep: to the nearest of both, but never longer than one slice.

    The wall clock may be set, and the machine may sleep; a long timer would notice neither.
    """
    moments = [moment for moment in (fire_time, due_at) if moment is not None]
    nearest = min(moments, default=now + slice_)
    return max(min(nearest - now, slice_), timedelta())


def _running(config: Config) -> list[ScheduleConfig]:
    return [
        schedule for schedule in config.schedules if schedule.enabled and _works(schedule, config)
    ]


def _works(schedule: ScheduleConfig, config: Config) -> bool:
    try:
        zone_of(schedule, config)
    except cron.UnknownZone:
        return False
    return cron.is_valid(schedule.cron)


def _known_groups(schedule: ScheduleConfig, config: Config) -> list[str]:
    known = {group.id for group in config.source_groups}
    return [group_id for group_id in dict.fromkeys(schedule.source_group_ids) if group_id in known]
