"""Events of the registry: which hosts exist, what is expected of them, what they back up."""

from __future__ import annotations

from enum import StrEnum
from functools import lru_cache
from typing import Any, ClassVar, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict

from libs.common.events.base import Event, HostEvent


class CatchUp(StrEnum):
    """What a schedule asks of the catch-up after missed windows."""

    LATEST_ONCE = "latest_once"
    OFF = "off"


class Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Schedule(Record):
    """When to back up which source groups. `timezone` None: the host's own, wherever it is."""

    id: str
    name: str
    cron: str
    timezone: str | None = None
    enabled: bool = True
    catch_up: CatchUp = CatchUp.LATEST_ONCE
    source_group_ids: tuple[str, ...] = ()


class SourceGroup(Record):
    """What to back up together. `name` is the restic tag."""

    id: str
    name: str
    includes: tuple[str, ...]
    excludes: tuple[str, ...] = ()
    retention: dict[str, Any] | None = None
    retry_max: int = 0
    hooks: dict[str, Any] | None = None


class Thresholds(Record):
    """Thresholds in seconds, of a host, a tag or a mode; None: whatever holds otherwise.

    `missed_seconds`: how long a fire of an always-on host may stay without a run; None: for ever.
    """

    offline_seconds: int | None = None
    stale_seconds: int | None = None
    missed_seconds: int | None = None


class HostMode(StrEnum):
    """What `always_on` says, as a word."""

    ALWAYS_ON = "always_on"
    INTERMITTENT = "intermittent"


class ThresholdRules(Record):
    """The thresholds of tags and of modes. `version` grows with every change, 0: none ever was."""

    version: int = 0
    tags: dict[str, Thresholds] = {}
    modes: dict[HostMode, Thresholds] = {}


@lru_cache(maxsize=16)
def read_rules(text: str) -> ThresholdRules:
    """Return the rules that a state file holds as JSON; the same text is not parsed again."""
    return ThresholdRules.model_validate_json(text)


class HostRecord(Record):
    """All that anyone may know of a host; no secret is in it.

    `version` grows with every change, `config_version` with every change that the agent must
    apply. `removed` is a tombstone that stays for ever. `repository_id` is a salted hash.
    """

    id: str
    name: str
    always_on: bool = True
    tags: tuple[str, ...] = ()
    timezone: str = "UTC"
    os: str = ""
    arch: str = ""
    agent_version: str = ""
    enrolled_at: AwareDatetime
    thresholds: Thresholds = Thresholds()
    schedules: tuple[Schedule, ...] = ()
    source_groups: tuple[SourceGroup, ...] = ()
    repository_id: str | None = None
    version: int = 1
    config_version: int = 1
    removed: bool = False


@lru_cache(maxsize=1024)
def read_record(text: str) -> HostRecord:
    """Return the record that a state file holds as JSON; one that was read lately is not parsed
    again."""
    return HostRecord.model_validate_json(text)


class HostFact(HostEvent):
    """A change of a host's record; carries the whole new record. Idempotent by `record.version`."""

    record: HostRecord


class HostEnrolled(HostFact):
    """A host joined the fleet. It has never been seen yet."""

    type: ClassVar[str] = "dormice.host.enrolled.v1"


class HostChanged(HostFact):
    """Anything but the mode changed; `changed` names the fields."""

    type: ClassVar[str] = "dormice.host.changed.v1"
    changed: tuple[str, ...] = ()


class HostModeChanged(HostFact):
    """The mode really changed (saving the same mode publishes nothing)."""

    type: ClassVar[str] = "dormice.host.mode_changed.v1"
    always_on: bool


class HostRemoved(HostFact):
    """The host left the fleet; `record.removed` is true and stays so."""

    type: ClassVar[str] = "dormice.host.removed.v1"


class HostThresholdsChanged(Event):
    """Thresholds of tags or modes changed; carries all of them. Idempotent by `rules.version`."""

    type: ClassVar[str] = "dormice.host.thresholds_changed.v1"
    rules: ThresholdRules

    def subject(self) -> str:
        return "dormice.host.fleet.thresholds_changed"


class Actor(Record):
    """Who did something: an operator, an API token, an agent or Dormice itself."""

    kind: Literal["operator", "token", "agent", "system"]
    id: str
    name: str
    role: Literal["viewer", "operator", "admin"] = "viewer"


SYSTEM = Actor(kind="system", id="system", name="dormice", role="admin")


class Audit(Event):
    """Someone changed something. `action` is `<noun>.<past participle>`: `host.mode_updated`.

    Idempotent by the event's id. Never holds a secret.
    """

    type: ClassVar[str] = "dormice.audit.recorded.v1"
    service: str
    target: str
    action: str
    actor: Actor
    at: AwareDatetime
    host_id: str | None = None
    before: dict[str, Any] | None = None
    after: dict[str, Any] | None = None

    def subject(self) -> str:
        return f"dormice.audit.{self.service}.{self.target}"

    def about(self) -> str:
        return self.host_id or self.target


class Dead(Event):
    """A service could not apply an event and went on without it. Idempotent by (service, event)."""

    type: ClassVar[str] = "dormice.dead.recorded.v1"
    service: str
    event_id: str
    event_subject: str
    seq: int
    error: str

    def subject(self) -> str:
        return f"dormice.dead.{self.service}.{self.event_id}"
