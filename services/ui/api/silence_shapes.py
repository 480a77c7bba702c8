"""What the API answers about silences."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from services.ui.api.shapes import Shape


class WeeklyOut(Shape):
    """On these days, from-to by the clock of a zone; a `to` not after `from` is a day later."""

    days: list[str]
    from_: str = Field(validation_alias="from", serialization_alias="from")
    to: str
    timezone: str


class SilenceOut(Shape):
    """Nobody is told of the alerts that fit all of `host_id`, `tag` and `kind` that are not null.

    It covers at `from`, and no longer at `to` or when it was ended by hand before; a `weekly` one
    only within its times, and without `to` until it is ended.
    """

    id: str
    state: Literal["scheduled", "active", "over"]
    host_id: str | None
    tag: str | None
    kind: str | None
    from_: datetime = Field(validation_alias="from", serialization_alias="from")
    to: datetime | None
    weekly: WeeklyOut | None
    reason: str
    created_at: datetime
    created_by: str
    ended_at: datetime | None
    ended_by: str | None
