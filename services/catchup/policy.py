"""When a host catches up, and what: pure decisions.

    hello of an intermittent host ─▶ settling ─due─▶ waiting ⇄ queued ─slot─▶ running ─▶ finished
                 ▲                                     │         ▲              │
                 └──── the next hello arms again ◀─────┘         └── next pair ─┘

An arm belongs to one session. It leaves `settling` when due; from then on every step asks
`assess_arm` whether it goes on, waits or ends. Its list is made once, and each pair is judged again
just before it is asked for. A pair is one (enabled schedule, source group).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from libs.common import cron
from libs.common.events.catchup import SkipReason
from libs.common.events.host import CatchUp, HostRecord, Schedule, SourceGroup
from libs.common.events.job import SUCCESSES, JobEvent, JobFinished
from services.catchup.policy_conditions import Cause


@dataclass(frozen=True, slots=True)
class Situation:
    """What decides whether an arm goes on. `run_of_arm`: its own request has not ended.
    `unreachable_until`: nobody answered for the repository, which is tried again then."""

    record: HostRecord
    online: bool
    synced: bool
    job_running: bool
    run_of_arm: bool
    send_failed: bool
    due_at: datetime
    unreachable_until: datetime | None = None


class ArmVerdict(Enum):
    """Whether an arm goes on, and why not."""

    GO = "due, and the host is free"
    SETTLING = "not due yet"
    RUN_IN_PROGRESS = "its request has not ended"
    REMOVED = "the host left the fleet"
    ALWAYS_ON = "the host is always on by now"
    WENT_OFFLINE = "the host is away; its next hello arms again"
    SEND_FAILED = "the agent could not be reached; its next hello arms again"
    REPORTS_OUTSTANDING = "the host's reports have not all arrived"
    JOB_RUNNING = "a job runs on the host"
    REPOSITORY_UNREACHABLE = "the repository cannot be reached from the host"
    ON_BATTERY = Cause.ON_BATTERY.value
    METERED = Cause.METERED.value
    NOT_DURING = Cause.NOT_DURING.value


DROPS: Mapping[ArmVerdict, SkipReason] = {
    ArmVerdict.REMOVED: SkipReason.REMOVED,
    ArmVerdict.ALWAYS_ON: SkipReason.ALWAYS_ON,
    ArmVerdict.WENT_OFFLINE: SkipReason.WENT_OFFLINE,
}
WAITS = frozenset({ArmVerdict.SEND_FAILED, ArmVerdict.REPORTS_OUTSTANDING, ArmVerdict.JOB_RUNNING})


def assess_arm(at: Situation, now: datetime) -> ArmVerdict:
    """Say what becomes of an arm at `now` (R12, R16)."""
    if at.record.removed:
        return ArmVerdict.REMOVED
    if now < at.due_at:
        return ArmVerdict.SETTLING
    if not at.online:
        return ArmVerdict.WENT_OFFLINE
    if at.record.always_on:
        return ArmVerdict.ALWAYS_ON
    if at.run_of_arm:
        return ArmVerdict.RUN_IN_PROGRESS
    if at.send_failed:
        return ArmVerdict.SEND_FAILED
    if not at.synced:
        return ArmVerdict.REPORTS_OUTSTANDING
    if at.job_running:
        return ArmVerdict.JOB_RUNNING
    if at.unreachable_until is not None and now < at.unreachable_until:
        return ArmVerdict.REPOSITORY_UNREACHABLE
    return ArmVerdict.GO


@dataclass(frozen=True, slots=True)
class Pair:
    """A schedule and one of its source groups; `last_success` is the group's."""

    schedule_id: str
    source_group_id: str
    last_success: datetime | None = None


class PairVerdict(Enum):
    """Why a pair gets a run, or gets none. The values are those of CatchupSkipped."""

    OVERDUE = "overdue"
    NOT_OVERDUE = SkipReason.NOT_OVERDUE
    COVERED_BY = SkipReason.COVERED_BY
    SWITCHED_OFF = SkipReason.SWITCHED_OFF
    SCHEDULE_GONE = SkipReason.SCHEDULE_GONE
    GROUP_GONE = SkipReason.GROUP_GONE


def assess_pair(
    record: HostRecord, pair: Pair, *, armed_at: datetime, now: datetime
) -> PairVerdict:
    """Say whether `pair` gets a run at `now` (R13, R14)."""
    schedule = find_schedule(record, pair.schedule_id)
    if schedule is None:
        return PairVerdict.SCHEDULE_GONE
    if not schedule.enabled or schedule.catch_up is CatchUp.OFF:
        return PairVerdict.SWITCHED_OFF
    linked = pair.source_group_id in schedule.source_group_ids
    if not linked or find_group(record, pair.source_group_id) is None:
        return PairVerdict.GROUP_GONE
    if pair.last_success is not None and pair.last_success > armed_at:
        return PairVerdict.COVERED_BY
    try:
        zone = cron.zone(schedule.timezone or record.timezone)
    except cron.UnknownZone:
        return PairVerdict.NOT_OVERDUE
    overdue = cron.is_overdue(schedule.cron, zone, pair.last_success, now)
    return PairVerdict.OVERDUE if overdue else PairVerdict.NOT_OVERDUE


LISTED = frozenset({PairVerdict.OVERDUE, PairVerdict.COVERED_BY, PairVerdict.GROUP_GONE})
"""What goes on the list; a pair that is not overdue, or switched off, is not even mentioned."""


def list_pairs(
    record: HostRecord, successes: Mapping[str, datetime], *, armed_at: datetime, now: datetime
) -> list[Pair]:
    """Return the pairs to go through, longest without a success first, else in the record's order.

    Pairs whose group is gone, or was backed up since the arm, are among them: they are skipped with
    a decision when their turn comes.
    """
    pairs = [
        Pair(schedule.id, group_id, successes.get(group_id))
        for schedule in record.schedules
        for group_id in schedule.source_group_ids
    ]
    listed = [
        pair for pair in pairs if assess_pair(record, pair, armed_at=armed_at, now=now) in LISTED
    ]
    return sorted(
        listed, key=lambda pair: (pair.last_success is not None, pair.last_success or now)
    )


@dataclass(frozen=True, slots=True)
class Fire:
    """The run to ask for. `missed` is how many fires it makes up for."""

    time: datetime
    missed: int


def latest_fire(record: HostRecord, pair: Pair, now: datetime) -> Fire | None:
    """Return the latest fire not after `now` (R15) and the number missed, or None if none was."""
    schedule = find_schedule(record, pair.schedule_id)
    if schedule is None:
        return None
    zone = cron.zone(schedule.timezone or record.timezone)
    time = cron.previous_fire(schedule.cron, now, zone)
    if time is None:
        return None
    if pair.last_success is None:
        return Fire(time, 1)
    return Fire(time, max(1, cron.count_fires(schedule.cron, pair.last_success, now, zone)))


def find_schedule(record: HostRecord, schedule_id: str) -> Schedule | None:
    return next((found for found in record.schedules if found.id == schedule_id), None)


def find_group(record: HostRecord, group_id: str) -> SourceGroup | None:
    return next((found for found in record.source_groups if found.id == group_id), None)


# -- admission -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Queued:
    """A host that waits for a slot; the queue is in order (see `store.queue`)."""

    host_id: str
    repository_id: str | None


@dataclass(frozen=True, slots=True)
class Slots:
    """The slots in use by hosts that are online, and the caps."""

    fleet: int
    by_repository: Mapping[str | None, int]
    fleet_cap: int
    repository_cap: int


def next_admitted(queue: Iterable[Queued], slots: Slots) -> Queued | None:
    """Return the first host that may start now.

    A host that is blocked by its repository's cap blocks nobody behind it.
    """
    if slots.fleet >= slots.fleet_cap:
        return None
    for queued in queue:
        if slots.by_repository.get(queued.repository_id, 0) < slots.repository_cap:
            return queued
    return None


def ends_request(event: JobEvent, *, arm_id: str, run_id: str) -> bool:
    """Say whether a job's end is the end of the request for (`arm_id`, `run_id`).

    A failure that will be tried again is not: the run goes on, and keeps its slot. A success of the
    run ends it whoever started it (R15).
    """
    if event.run_id != run_id:
        return False
    if isinstance(event, JobFinished) and event.status in SUCCESSES:
        return True
    if event.arm_id != arm_id:
        return False
    return not isinstance(event, JobFinished) or event.last_attempt
