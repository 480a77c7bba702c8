"""What the API answers about channels and their deliveries."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import AliasChoices, ConfigDict, Field

from libs.common.weekly import Day
from services.ui.api.shapes import Shape


class ChannelConfigOut(Shape):
    """The kind's own fields but the secret ones, which are never shown. Who is no admin sees only
    where `url` leads to, and `has_secret`."""

    model_config = ConfigDict(from_attributes=True, frozen=True, extra="allow")

    url: str | None = None
    has_secret: bool


class QuietHoursOut(Shape):
    """By the clock of `timezone`, on the `days` on which it begins."""

    from_: str = Field(validation_alias=AliasChoices("from", "from_"), serialization_alias="from")
    to: str
    timezone: str
    days: list[Day]
    breaks_through: list[str]


class RateLimitOut(Shape):
    messages: int
    minutes: int


class ChannelOut(Shape):
    """`config` and `where` null: they cannot be opened with the key that notify has now.

    `waiting_for_digest` counts the alerts that wait for the end of quiet hours, or for room.
    """

    id: str
    name: str
    kind: str
    where: str | None
    config: ChannelConfigOut | None
    filter: dict[str, list[str]] | None
    quiet_hours: QuietHoursOut | None
    rate_limit: RateLimitOut | None
    waiting_for_digest: int
    created_at: datetime
    pending: int
    last_delivered_at: datetime | None
    last_failed_at: datetime | None
    last_error_at: datetime | None
    last_error: str | None
    in_trouble: bool


class DeliveryOut(Shape):
    """A message to a channel; `id` is its Dormice-Id, `status` what was answered last."""

    id: str
    event: str
    alert_ids: list[str]
    state: Literal["queued", "sending", "waiting", "delivered", "failed", "dropped"]
    tries: int
    created_at: datetime
    next_try_at: datetime | None
    ended_at: datetime | None
    status: int | None
    error: str | None


class DeliveryIdOut(Shape):
    delivery_id: str
