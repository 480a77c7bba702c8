"""What the API answers about channels and their deliveries."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from services.ui.api.shapes import Shape


class ChannelConfigOut(Shape):
    """Who is no admin sees only where `url` leads to. A secret is never shown."""

    url: str
    has_secret: bool


class ChannelOut(Shape):
    """`config` null: it cannot be opened with the key that notify has now."""

    id: str
    name: str
    kind: str
    config: ChannelConfigOut | None
    filter: dict[str, list[str]] | None
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
