"""What happened, as a reader is shown it: alerts, jobs, audit, timelines, decisions; and who may
come in. Import these from `views`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class DeliveryView:
    """What became of a notification: told, or given up with `error`."""

    id: str
    channel_id: str
    channel_name: str
    event: str
    tries: int
    at: datetime
    delivered: bool
    error: str | None


@dataclass(frozen=True, slots=True)
class AlertView:
    """An alert; `host_id` None: of the whole fleet. `state` open, acknowledged or resolved."""

    id: str
    host_id: str | None
    host_name: str
    kind: str
    severity: str
    message: str
    state: str
    raised_at: datetime
    last_seen_at: datetime
    acknowledged_by: str | None
    acknowledged_at: datetime | None
    note: str | None
    resolved_at: datetime | None
    resolved_by: str | None
    resolved_reason: str | None
    silenced: bool
    held_by: str | None
    dedup_key: str
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AlertCounts:
    """Alerts to be shown now. `open` without the acknowledged ones; `silenced` of both."""

    open: int
    acknowledged: int
    silenced: int
    last_resolved_at: datetime | None


@dataclass(frozen=True, slots=True)
class JobView:
    """One attempt at a run. `host_gone`: its host has no page, as it was removed."""

    id: str
    host_id: str
    host_name: str
    kind: str
    status: str
    origin: str
    attempt: int
    run_id: str | None
    schedule_id: str | None
    source_group_id: str | None
    fire_time: datetime | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    exit_code: int | None
    error: str | None
    stats: Mapping[str, Any] | None
    requested_by: str
    pending: bool
    percent: float | None
    seconds_left: float | None
    arguments: Mapping[str, Any] | None = None
    bytes_done: int | None = None
    bytes_total: int | None = None
    files_done: int | None = None
    reason: str | None = None
    host_gone: bool = False


@dataclass(frozen=True, slots=True)
class SnapshotView:
    """One snapshot as restic lists it; `time` as restic writes it. `paths`: the first of them."""

    id: str
    time: str
    hostname: str
    tags: tuple[str, ...]
    paths: tuple[str, ...]
    paths_total: int


@dataclass(frozen=True, slots=True)
class SnapshotsView:
    """A host's snapshots as job `job_id` listed them at `as_of`: the newest of `total`."""

    as_of: datetime
    job_id: str
    total: int
    items: tuple[SnapshotView, ...]


@dataclass(frozen=True, slots=True)
class AuditView:
    """Who changed what: `action` is `<noun>.<past participle>`; before and after hold no secret."""

    id: int
    at: datetime
    service: str
    target: str
    action: str
    actor_kind: str
    actor_id: str
    actor_name: str
    actor_role: str
    host_id: str | None
    host_name: str | None
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    host_gone: bool = False


@dataclass(frozen=True, slots=True)
class TimelineInterval:
    """A stretch of a host's time; `end` None: still so. Halves open: [start, end)."""

    start: datetime
    end: datetime | None
    state: Literal["online", "offline", "not_observed", "never_seen"]
    reason: str | None


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened at a moment of a strip."""

    at: datetime
    kind: Literal["backup", "failed", "alert"]
    text: str


@dataclass(frozen=True, slots=True)
class Strip:
    """A host's presence over some days, oldest first, and what happened in them."""

    intervals: tuple[TimelineInterval, ...] = ()
    marks: tuple[Mark, ...] = ()


@dataclass(frozen=True, slots=True)
class DecisionView:
    """What a service decided about a host, by which rule, from which facts (R19)."""

    at: datetime
    service: str
    host_id: str
    what: str
    rule: str
    text: str
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class OperatorView:
    """A person who may log in. Role viewer, operator or admin."""

    id: str
    name: str
    role: str
    created_at: datetime
    last_login_at: datetime | None
    disabled: bool


@dataclass(frozen=True, slots=True)
class ApiTokenView:
    """An API token, without its secret."""

    id: str
    name: str
    role: str
    created_by: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
