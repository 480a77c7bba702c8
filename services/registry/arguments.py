"""The arguments of the registry's verbs. Values are judged in `checks`; here are their types.

Booleans and numbers are strict. Secrets are SecretStr, and no error repeats what was sent.
In a patch a field that is left out stays as it is.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    StrictBool,
    StrictInt,
    model_validator,
)

from libs.common.errors import BadInput
from libs.common.events.host import CatchUp, HostMode


def _storable(text: str) -> str:
    """JSON can name half a character (a lone surrogate); no file and no log can hold one."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("contains half a character") from None
    return text


Text = Annotated[str, AfterValidator(_storable)]
Id = Annotated[Text, Field(min_length=1, max_length=128)]


class Arguments(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    def given(self, *nullable: str) -> dict[str, Any]:
        """Return the fields that were sent, but for the ids.

        Raises: BadInput if one is null that cannot be.
        """
        sent = {name: getattr(self, name) for name in self.model_fields_set - {"host_id", "id"}}
        for name, value in sent.items():
            if value is None and name not in nullable:
                raise BadInput(f"{name} must not be null")
        return sent


class Creating(Arguments):
    """Something new: null means the default."""

    @model_validator(mode="before")
    @classmethod
    def _drop_nulls(cls, sent: Any) -> Any:
        if not isinstance(sent, dict):
            return sent
        return {name: value for name, value in sent.items() if value is not None}


class OfHost(Arguments):
    host_id: Id


class OfHosts(Arguments):
    host_ids: Annotated[list[Id], Field(max_length=100)]


class OfItem(OfHost):
    id: Id


class ListHosts(Arguments):
    """`after`: the last id of the page before. Without `limit`: all."""

    after: Id | None = None
    limit: Annotated[StrictInt, Field(ge=1, le=10_000)] | None = None


class Enroll(Arguments):
    token: SecretStr
    hostname: Text
    os: Text
    arch: Text
    timezone: Text
    name: Text | None = None


class FindTokens(Arguments):
    token_hashes: Annotated[list[Annotated[str, Field(max_length=64)]], Field(max_length=1000)]


class CreateEnrollmentToken(Creating):
    """`name` becomes that of the host, unless its agent asks for another one."""

    name: Text | None = None
    always_on: StrictBool = True
    tags: list[Text] = []
    expires_in_seconds: Annotated[float, Field(strict=True, ge=1, le=30 * 86_400)] = 3600
    uses: Annotated[StrictInt, Field(ge=1, le=10_000)] = 1


class ThresholdsPatch(Arguments):
    model_config = ConfigDict(extra="forbid")

    offline_seconds: StrictInt | None = None
    stale_seconds: StrictInt | None = None
    missed_seconds: StrictInt | None = None


class ThresholdScope(Arguments):
    """Whose thresholds: of the hosts with a tag, or of one mode."""

    model_config = ConfigDict(extra="forbid")

    tag: Text | None = None
    mode: HostMode | None = None


class SetThresholds(ThresholdScope):
    """What is left out stays as it is; null: none of its own."""

    offline_seconds: StrictInt | None = None
    stale_seconds: StrictInt | None = None
    missed_seconds: StrictInt | None = None


class Nothing(Arguments):
    """A verb without arguments."""


class PatchHost(OfHost):
    """`timezone` null: the agent's own again. `thresholds` null: the fleet's again."""

    name: Text | None = None
    tags: list[Text] | None = None
    timezone: Text | None = None
    thresholds: ThresholdsPatch | None = None


class SetMode(OfHost):
    always_on: StrictBool


class GroupFields(Arguments):
    excludes: list[Text] | None = None
    retention: dict[Text, Any] | None = None
    retry_max: StrictInt | None = None
    hooks: dict[Text, Any] | None = None


class CreateGroup(GroupFields, OfHost, Creating):
    name: Text
    includes: list[Text]


class PatchGroup(GroupFields, OfItem):
    name: Text | None = None
    includes: list[Text] | None = None


class ScheduleFields(Arguments):
    name: Text | None = None
    timezone: Text | None = None
    enabled: StrictBool | None = None
    catch_up: CatchUp | None = None


class CreateSchedule(ScheduleFields, OfHost, Creating):
    cron: Text
    source_group_ids: list[Id]


class PatchSchedule(ScheduleFields, OfItem):
    cron: Text | None = None
    source_group_ids: list[Id] | None = None


class SetRepository(OfHost, Creating):
    url: SecretStr
    password: SecretStr
    environment: dict[str, SecretStr] = {}
