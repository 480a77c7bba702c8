"""What the API answers: models made from the read model's views, and their JSON schema."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field

from libs.common.durations import format_duration

T = TypeVar("T")


class Shape(BaseModel):
    """Base of every answer; made with `model_validate(view)`."""

    model_config = ConfigDict(from_attributes=True, frozen=True, extra="ignore")


class ListOf(BaseModel, Generic[T]):
    """A page of a list; `next` goes into `cursor` for the next one."""

    items: list[T]
    next: str | None


def _said(value: Any) -> Any:
    return format_duration(value) if isinstance(value, timedelta) else value


class ThresholdOut(Shape):
    """A threshold in force; `from` is `host`, `tag:paris`, `mode:intermittent` or `fleet`."""

    value: Annotated[str, BeforeValidator(_said)]
    from_: str = Field(validation_alias=AliasChoices("source", "from"), serialization_alias="from")


class CatchUpOut(Shape):
    state: Literal["settling", "queued", "running", "waiting"]
    due_at: datetime | None
    place: int | None
    starts_at: datetime | None
    reason: str | None


class NextAlertOut(Shape):
    kind: str
    at: datetime


class PowerOut(Shape):
    on_battery: bool | None
    percent: float | None
    metered: bool | None


class HostOut(Shape):
    """A host. `status` is what is detected, `display` how it is shown."""

    id: str
    name: str
    always_on: bool
    status: Literal["online", "offline", "never_seen"]
    display: Literal["online", "offline", "asleep", "never_seen"]
    since: datetime | None
    last_seen_at: datetime | None
    last_backup_at: datetime | None
    current_job_id: str | None
    timezone: str
    tags: list[str]
    os: str
    arch: str
    agent_version: str
    power: PowerOut | None
    clock_offset_seconds: float | None
    catch_up: CatchUpOut | None
    overdue: bool
    next_fire_at: datetime | None
    open_alerts: int
    attention: bool
    thresholds: dict[str, ThresholdOut]
    next_alert: NextAlertOut | None
    enrolled_at: datetime
    has_repository: bool


class SourceGroupOut(Shape):
    id: str
    host_id: str
    name: str
    includes: list[str]
    excludes: list[str]
    retention: dict[str, Any] | None
    retry_max: int
    hooks: dict[str, Any] | None
    last_success_at: datetime | None
    last_run_at: datetime | None
    last_run_status: str | None


class ScheduleOut(Shape):
    """A schedule; `timezone` null: the host's, wherever it is."""

    id: str
    host_id: str
    name: str
    cron: str
    timezone: str | None
    enabled: bool
    catch_up: str
    source_group_ids: list[str]
    next_fire: datetime | None
    last_success_at: datetime | None
    overdue: bool
    overdue_since: datetime | None


class AlertOut(Shape):
    """An alert; `host_id` null: of the whole fleet."""

    id: str
    host_id: str | None
    host_name: str
    kind: str
    severity: str
    message: str
    state: Literal["open", "acknowledged", "resolved"]
    raised_at: datetime
    last_seen_at: datetime
    acknowledged_by: str | None
    acknowledged_at: datetime | None
    note: str | None
    resolved_at: datetime | None
    resolved_by: str | None
    silenced: bool
    held_by: str | None
    dedup_key: str


class JobOut(Shape):
    id: str
    host_id: str
    kind: str
    status: str
    origin: str
    attempt: int
    run_id: str | None = None
    schedule_id: str | None
    source_group_id: str | None
    fire_time: datetime | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    exit_code: int | None
    error: str | None
    reason: str | None = Field(
        default=None, description="Why it did not succeed, for programs: `FailureReason`."
    )
    stats: dict[str, Any] | None
    requested_by: str = ""
    pending: bool = False
    arguments: dict[str, Any] | None = None
    percent: float | None = None
    bytes_done: int | None = None
    bytes_total: int | None = None
    files_done: int | None = None
    seconds_left: float | None = None


class SnapshotOut(Shape):
    """`time` as restic writes it; `paths`: the first of `paths_total`."""

    id: str
    time: str
    hostname: str
    tags: list[str]
    paths: list[str]
    paths_total: int


class SnapshotsOut(Shape):
    """The newest of `total`, as job `job_id` listed them at `as_of`."""

    as_of: datetime
    job_id: str
    total: int
    items: list[SnapshotOut]


class JobLogOut(Shape):
    text: str
    complete: bool


class IntervalOut(Shape):
    from_: datetime = Field(
        validation_alias=AliasChoices("start", "from"), serialization_alias="from"
    )
    to: datetime | None = Field(validation_alias=AliasChoices("end", "to"))
    state: Literal["online", "offline", "not_observed", "never_seen"]
    reason: str | None


class DecisionOut(Shape):
    at: datetime
    service: str
    host_id: str
    what: str
    rule: str
    text: str
    facts: dict[str, Any]


class FleetOut(Shape):
    total: int
    online: int
    offline: int
    asleep: int
    never_seen: int
    backing_up: int
    catching_up: int
    attention: int
    overdue: int
    alerts: int


class FleetHealthOut(Shape):
    status: Literal["ok", "degraded", "failing"]
    reasons: list[str]


class ActorOut(Shape):
    kind: str
    id: str
    name: str
    role: str


class AuditOut(Shape):
    id: int
    at: datetime
    service: str
    target: str
    action: str
    actor: ActorOut
    host_id: str | None
    before: dict[str, Any] | None
    after: dict[str, Any] | None


class OperatorOut(Shape):
    id: str
    name: str
    role: str
    created_at: datetime
    last_login_at: datetime | None
    disabled: bool


class ApiTokenOut(Shape):
    id: str
    name: str
    role: str
    created_by: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None


class NewApiTokenOut(ApiTokenOut):
    """`token` is shown this once."""

    token: str


class JobStatusOut(Shape):
    status: str


class EnrollmentTokenOut(Shape):
    """`token` is shown this once."""

    token: str
    expires_at: datetime


class JobIdOut(Shape):
    job_id: str


class JobStartedOut(JobIdOut):
    """`host_id`: the host that does it."""

    host_id: str


class IdOut(Shape):
    id: str


class SetupCodeOut(Shape):
    code: str
    expires_at: datetime


class ProblemOut(Shape):
    """RFC 9457; `code` is stable."""

    type: str
    title: str
    status: int
    detail: str
    code: str
