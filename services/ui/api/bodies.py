"""The bodies of the API. Booleans and numbers are strict; what values mean the owners judge."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import (
    AwareDatetime,
    BeforeValidator,
    Field,
    SecretStr,
    StrictBool,
    StrictInt,
    StrictStr,
)

from libs.common.durations import parse_duration
from libs.common.events.alert import AlertKind
from libs.common.events.host import HostMode
from libs.common.events.job import JobKind
from libs.common.weekly import Weekly
from services.ui.api.reading import Body


def _read_duration(value: Any) -> timedelta | None:
    """A duration is text with units; a bare number is seconds."""
    if value is None or isinstance(value, timedelta):
        return value
    if isinstance(value, str):
        return parse_duration(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if abs(value) > 1e10:
            raise ValueError("this is too long")
        return timedelta(seconds=value)
    raise ValueError("write a duration as 90s, 15m, 1h30m or 7d")


def _read_moment(value: Any) -> Any:
    """A moment is RFC 3339 text with its zone; a bare number says nothing."""
    if isinstance(value, str) and "T" in value.upper():
        return value
    raise ValueError("write a moment as 2026-11-23T02:00:00Z")


Text = Annotated[StrictStr, Field(max_length=4096)]
Name = Annotated[StrictStr, Field(max_length=10_000)]
Id = Annotated[StrictStr, Field(min_length=1, max_length=128)]
Span = Annotated[timedelta, BeforeValidator(_read_duration, json_schema_input_type=str | float)]
Moment = Annotated[
    AwareDatetime, BeforeValidator(_read_moment, json_schema_input_type=AwareDatetime)
]
Role = Literal["viewer", "operator", "admin"]
CatchUp = Literal["latest_once", "off"]


class NewEnrollmentToken(Body):
    """`expires_in` as `1h` or seconds; default 1 h, one use."""

    name: Name | None = None
    always_on: StrictBool | None = None
    tags: list[Text] | None = None
    expires_in: Span | None = None
    uses: StrictInt | None = None


class ThresholdsBody(Body):
    """Null: whatever holds otherwise, of its tags, its mode or the fleet."""

    offline: Span | None = None
    stale: Span | None = None
    missed: Span | None = None


class ThresholdRulePatch(ThresholdsBody):
    """Of a tag or of a mode, one of the two. Null: none of its own."""

    tag: Text | None = None
    mode: HostMode | None = None


class HostPatch(Body):
    name: Name | None = None
    tags: list[Text] | None = None
    timezone: Text | None = None
    thresholds: ThresholdsBody | None = None


class Mode(Body):
    always_on: StrictBool


class NewSourceGroup(Body):
    name: Name
    includes: list[Text]
    excludes: list[Text] = Field(default_factory=list)
    retention: dict[str, Any] | None = None
    retry_max: StrictInt = 0
    hooks: dict[str, Any] | None = None


class SourceGroupPatch(Body):
    name: Name | None = None
    includes: list[Text] | None = None
    excludes: list[Text] | None = None
    retention: dict[str, Any] | None = None
    retry_max: StrictInt | None = None
    hooks: dict[str, Any] | None = None


class NewSchedule(Body):
    cron: Name
    source_group_ids: list[Id]
    name: Name | None = None
    timezone: Text | None = None
    enabled: StrictBool = True
    catch_up: CatchUp = "latest_once"


class SchedulePatch(Body):
    cron: Name | None = None
    source_group_ids: list[Id] | None = None
    name: Name | None = None
    timezone: Text | None = None
    enabled: StrictBool | None = None
    catch_up: CatchUp | None = None


class Repository(Body):
    url: SecretStr
    password: SecretStr
    environment: dict[str, SecretStr] = Field(default_factory=dict)

    def secrets(self) -> dict[str, Any]:
        """Return the values themselves, for the registry only."""
        return {
            "url": self.url.get_secret_value(),
            "password": self.password.get_secret_value(),
            "environment": {
                name: value.get_secret_value() for name, value in self.environment.items()
            },
        }


class BackupNow(Body):
    source_group_id: Id
    when_it_wakes: StrictBool = False


class NewJob(Body):
    """`arguments`: of a restore {snapshot, target, paths?}, of a list of snapshots {all_hosts?}."""

    kind: JobKind
    source_group_id: Id | None = None
    arguments: dict[str, Any] | None = None
    when_it_wakes: StrictBool = False


class Acknowledgement(Body):
    note: Annotated[StrictStr, Field(max_length=2000)] | None = None


class NewSilence(Body):
    """At least one of `host_id`, `tag` and `kind`, all must fit. `to` or `for`; `from`: now.

    `weekly`: only within these times; such a one may go on `until_ended` instead.
    """

    host_id: Id | None = None
    tag: Text | None = None
    kind: AlertKind | None = None
    from_: Moment | None = Field(default=None, alias="from")
    to: Moment | None = None
    for_: Span | None = Field(default=None, alias="for")
    weekly: Weekly | None = None
    until_ended: StrictBool = False
    reason: Text = ""


class NewChannel(Body):
    """`kind`: webhook, smtp, ntfy, alertmanager or apprise; `config` is that kind's."""

    name: Name
    kind: Text
    config: dict[str, Any]
    filter: dict[str, Any] | None = None
    quiet_hours: dict[str, Any] | None = None
    rate_limit: dict[str, Any] | None = None


class ChannelPatch(Body):
    """What is absent stays; null takes filter, quiet hours or rate limit away."""

    name: Name | None = None
    config: dict[str, Any] | None = None
    filter: dict[str, Any] | None = None
    quiet_hours: dict[str, Any] | None = None
    rate_limit: dict[str, Any] | None = None


class NewOperator(Body):
    name: Name
    password: SecretStr
    role: Role = "viewer"


class OperatorPatch(Body):
    role: Role | None = None
    password: SecretStr | None = None
    disabled: StrictBool | None = None


class NewApiToken(Body):
    """Without `expires_in` it works until it is deleted."""

    name: Annotated[StrictStr, Field(min_length=1, max_length=64)]
    role: Role = "viewer"
    expires_in: Span | None = None


class ApiTokenPatch(Body):
    name: Annotated[StrictStr, Field(min_length=1, max_length=64)] | None = None
    role: Role | None = None
