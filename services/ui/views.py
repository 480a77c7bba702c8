"""What a reader of the fleet is shown: frozen records, read from the model by `queries`.

API and pages use the same ones. Times are aware UTC, durations are timedeltas; what is None is not
known or does not apply.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Generic, Literal, TypeVar

from libs.common.events.host import ThresholdRules
from libs.common.thresholds import Threshold
from services.ui.histories import (
    AlertCounts,
    AlertView,
    ApiTokenView,
    AuditView,
    DecisionView,
    DeliveryView,
    JobView,
    Mark,
    OperatorView,
    SnapshotsView,
    SnapshotView,
    Strip,
    TimelineInterval,
)

__all__ = [
    "AlertCounts",
    "AlertView",
    "ApiTokenView",
    "AuditView",
    "CatchUpView",
    "DecisionView",
    "DeliveryView",
    "Display",
    "FleetCounts",
    "FleetDefaults",
    "FleetHealth",
    "HostView",
    "JobView",
    "Mark",
    "NextAlert",
    "OperatorView",
    "Page",
    "PowerView",
    "Problem",
    "RunningJob",
    "ScheduleView",
    "SnapshotView",
    "SnapshotsView",
    "SourceGroupView",
    "Status",
    "Strip",
    "Threshold",
    "TimelineInterval",
    "Verdict",
]

T = TypeVar("T")

Status = Literal["online", "offline", "never_seen"]


class Display(StrEnum):
    """How a host is shown (R2): exactly one each, so their counts sum to the total."""

    ONLINE = "online"
    OFFLINE = "offline"
    ASLEEP = "asleep"
    NEVER_SEEN = "never_seen"


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a list. Cursors are opaque, None where there is no such page."""

    items: tuple[T, ...]
    next: str | None = None
    previous: str | None = None


@dataclass(frozen=True, slots=True)
class FleetDefaults:
    """The fleet's own thresholds, from the settings, and those of its tags and modes."""

    offline_floor: timedelta = timedelta(minutes=15)
    stale_after: timedelta = timedelta(days=7)
    rules: ThresholdRules = field(default_factory=ThresholdRules)


@dataclass(frozen=True, slots=True)
class NextAlert:
    """The next alert about a host if nothing changes: its kind and when."""

    kind: str
    at: datetime


@dataclass(frozen=True, slots=True)
class CatchUpView:
    """A catch-up under way. `place` counts from 1, None while settling or running; `starts_at` is
    an estimate, while it has a place; `reason` is why it waits, in words."""

    state: Literal["settling", "queued", "running", "waiting"]
    due_at: datetime | None = None
    place: int | None = None
    starts_at: datetime | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class PowerView:
    on_battery: bool | None
    percent: float | None
    metered: bool | None


@dataclass(frozen=True, slots=True)
class RunningJob:
    """The job that a host runs, with its progress as last heard (None: not heard yet)."""

    id: str
    kind: str
    status: str
    percent: float | None
    seconds_left: float | None


@dataclass(frozen=True, slots=True)
class HostView:
    """A host as a row and as a page. `since` is when `status` began."""

    id: str
    name: str
    always_on: bool
    status: Status
    display: Display
    since: datetime | None
    offline_reason: str | None
    last_seen_at: datetime | None
    last_backup_at: datetime | None
    current_job: RunningJob | None
    pending_jobs: int
    timezone: str
    tags: tuple[str, ...]
    os: str
    arch: str
    agent_version: str
    power: PowerView | None
    clock_offset_seconds: float | None
    catch_up: CatchUpView | None
    overdue: bool
    overdue_since: datetime | None
    next_fire_at: datetime | None
    open_alerts: int
    failing: int
    """Source groups whose last backup failed."""
    failed_runs: int
    """Failures of these groups since their last success."""
    told: frozenset[str]
    """Kinds of its open alerts."""
    attention: bool
    has_schedule: bool
    """At least one enabled schedule with a source group."""
    thresholds: Mapping[str, Threshold]
    """Keys `offline` and `stale`; and `missed`, if somebody asked for it."""
    next_alert: NextAlert | None
    enrolled_at: datetime
    has_repository: bool
    version: int
    config_version: int
    """The configuration that its agent has applied; 0: none yet."""

    @property
    def current_job_id(self) -> str | None:
        return self.current_job.id if self.current_job else None


@dataclass(frozen=True, slots=True)
class SourceGroupView:
    """What is backed up together. `failed_runs`: failures since the last success."""

    id: str
    host_id: str
    name: str
    includes: tuple[str, ...]
    excludes: tuple[str, ...]
    retention: Mapping[str, Any] | None
    retry_max: int
    hooks: Mapping[str, Any] | None
    last_success_at: datetime | None
    last_success_job_id: str | None
    last_run_at: datetime | None
    last_run_status: str | None
    failed_runs: int


@dataclass(frozen=True, slots=True)
class ScheduleView:
    """A schedule. `zone` is in force (`timezone`, or the host's); `overdue`: any pair is."""

    id: str
    host_id: str
    host_name: str
    name: str
    cron: str
    timezone: str | None
    zone: str
    enabled: bool
    catch_up: str
    source_group_ids: tuple[str, ...]
    next_fire: datetime | None
    last_success_at: datetime | None
    overdue: bool
    overdue_since: datetime | None


@dataclass(frozen=True, slots=True)
class FleetCounts:
    """The fleet in numbers: online + offline + asleep + never_seen = total. `alerts` open ones,
    acknowledged included; `attention` hosts with an open alert or a failed backup."""

    total: int = 0
    online: int = 0
    offline: int = 0
    asleep: int = 0
    never_seen: int = 0
    backing_up: int = 0
    catching_up: int = 0
    attention: int = 0
    overdue: int = 0
    alerts: int = 0


@dataclass(frozen=True, slots=True)
class FleetHealth:
    """`reasons` are sentences, empty when ok. An asleep host is never one."""

    status: Literal["ok", "degraded", "failing"]
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """A host that needs someone, and why, in a few words (`offline 18 min`)."""

    host_id: str
    host_name: str
    text: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """The first line of the fleet page: a sentence, then the hosts that it is about."""

    text: str
    problems: tuple[Problem, ...]
    more: int
    """Problems that are not listed."""

    never: str = ""
    """How many have no backup yet, in words."""
