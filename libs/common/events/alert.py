"""Events of alerting, exported to other systems, and of notify."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, ClassVar

from pydantic import AwareDatetime, BaseModel, ConfigDict

from libs.common.events.base import Event


class AlertKind(StrEnum):
    AGENT_OFFLINE = "agent_offline"
    STALE_SCHEDULE = "stale_schedule"
    BACKUP_FAILED = "backup_failed"
    FORGET_FAILED = "forget_failed"
    CHECK_FAILED = "check_failed"
    PRUNE_FAILED = "prune_failed"
    FLEET_OUTAGE = "fleet_outage"
    PENDING_RUN_ABANDONED = "pending_run_abandoned"
    BACKUP_NOT_SUCCEEDING = "backup_not_succeeding"
    SCHEDULE_MISSED = "schedule_missed"

    @property
    def words(self) -> str:
        """As people say it: `agent offline`."""
        return self.value.replace("_", " ")


class Severity(StrEnum):
    WARNING = "warning"
    CRITICAL = "critical"


class AlertState(StrEnum):
    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


class Alert(BaseModel):
    """One condition of one host (or, host_id None, of the fleet), told once.

    `dedup_key` separates alerts of one kind on one host (the source group of a failed backup).
    `held_by` is the id of the fleet_outage that holds its notification back. `silenced`: a silence
    covers it, and nobody is told; `silence_changes` counts how often that changed, so that a fact
    which comes again is known for an old one. `rung`: the last rung of the staleness ladder that it
    has passed, 2, 4 or 12 times the threshold; 0: none.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    host_id: str | None
    host_name: str = ""
    kind: AlertKind
    dedup_key: str = ""
    severity: Severity
    message: str
    state: AlertState
    raised_at: AwareDatetime
    last_seen_at: AwareDatetime
    acknowledged_by: str | None = None
    acknowledged_at: AwareDatetime | None = None
    note: str | None = None
    resolved_at: AwareDatetime | None = None
    resolved_by: str | None = None
    silenced: bool = False
    silence_changes: int = 0
    held_by: str | None = None
    rung: int = 0
    facts: dict[str, Any] = {}


class AlertEvent(Event):
    """What happened to an alert; carries the whole alert. Idempotent by (alert id, state)."""

    alert: Alert

    def subject(self) -> str:
        host = self.alert.host_id or "fleet"
        return f"dormice.alert.{host}.{self.alert.kind}.{self.type.split('.')[2]}"


class AlertRaised(AlertEvent):
    """A condition holds that someone should know of."""

    type: ClassVar[str] = "dormice.alert.raised.v1"


class AlertReminded(AlertEvent):
    """A rung of the staleness ladder was reached, `alert.rung`: 2, 4 or 12 times the threshold.

    `message` is that of the alert as of now. Idempotent by (alert id, rung).
    """

    type: ClassVar[str] = "dormice.alert.reminded.v1"
    message: str = ""


class AlertAcknowledged(AlertEvent):
    """An operator took the alert."""

    type: ClassVar[str] = "dormice.alert.acknowledged.v1"


class AlertResolved(AlertEvent):
    """The condition is over, or an operator resolved it. `reason` says by what.

    For a fleet_outage `still_away` names the hosts that did not return: the single alerts that it
    held are released.
    """

    type: ClassVar[str] = "dormice.alert.resolved.v1"
    reason: str
    still_away: tuple[str, ...] = ()


class AlertSilenced(AlertEvent):
    """A silence covers an alert that none covered before. Idempotent by (id, `silence_changes`)."""

    type: ClassVar[str] = "dormice.alert.silenced.v1"


class AlertUnsilenced(AlertEvent):
    """No silence covers the alert any more, and it still holds: who was not told is told now.

    Idempotent by (alert id, `silence_changes`).
    """

    type: ClassVar[str] = "dormice.alert.unsilenced.v1"


class NotificationEvent(Event):
    """What became of a delivery. Idempotent by `delivery_id`."""

    channel_id: str
    channel_name: str
    delivery_id: str
    event: str
    alert_ids: tuple[str, ...] = ()
    tries: int
    at: AwareDatetime

    def subject(self) -> str:
        return f"dormice.notification.{self.channel_id}.{self.type.split('.')[2]}"


class NotificationDelivered(NotificationEvent):
    """The receiver took it."""

    type: ClassVar[str] = "dormice.notification.delivered.v1"


class NotificationFailed(NotificationEvent):
    """Given up: the receiver refused it, or 24 h of tries passed."""

    type: ClassVar[str] = "dormice.notification.failed.v1"
    error: str
