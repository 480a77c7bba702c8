"""What the API answers about thresholds of more than one host."""

from __future__ import annotations

from typing import Literal

from services.ui.api.shapes import Shape


class ThresholdRuleOut(Shape):
    """Thresholds of the fleet, of a mode (`always_on`, `intermittent`) or of a tag.

    `offline`, `stale` null: none of its own.
    """

    scope: Literal["fleet", "mode", "tag"]
    name: str | None
    offline: str | None
    stale: str | None
