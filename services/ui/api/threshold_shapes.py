"""What the API answers about thresholds of more than one host."""

from __future__ import annotations

from typing import Literal

from services.ui.api.shapes import Shape


class ThresholdRuleOut(Shape):
    """Thresholds of the fleet, of a mode (`always_on`, `intermittent`) or of a tag.

    Null: none of its own; `missed`, of nobody, means that no missed schedule is told of.
    """

    scope: Literal["fleet", "mode", "tag"]
    name: str | None
    offline: str | None
    stale: str | None
    missed: str | None
