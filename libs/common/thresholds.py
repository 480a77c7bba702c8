"""Which threshold holds for a host, and who set it: host > tag > mode > fleet. Pure.

host    its own record
tag     of its tags that have one, the strictest: the shortest time
mode    what holds for always-on, or for intermittent hosts
fleet   the setting of the installation
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from libs.common.events.host import HostMode, ThresholdRules, Thresholds

LONGEST = timedelta(days=3650)
"""A threshold is shorter than this: ten years."""


class Origin(StrEnum):
    """Who set a threshold."""

    HOST = "host"
    TAG = "tag"
    MODE = "mode"
    FLEET = "fleet"


@dataclass(frozen=True, slots=True)
class Threshold:
    """A threshold that holds for a host, and who set it; `name`: which tag, or which mode."""

    value: timedelta
    origin: Origin
    name: str | None = None

    @property
    def source(self) -> str:
        """`host`, `tag:paris`, `mode:intermittent` or `fleet`."""
        return f"{self.origin}:{self.name}" if self.name else str(self.origin)


@dataclass(frozen=True, slots=True)
class Subject:
    """What the choice of a host's thresholds depends on."""

    own: Thresholds
    tags: tuple[str, ...]
    always_on: bool


def mode_of(*, always_on: bool) -> HostMode:
    return HostMode.ALWAYS_ON if always_on else HostMode.INTERMITTENT


def offline_floor(host: Subject, rules: ThresholdRules, fleet: timedelta) -> Threshold:
    """Return the silence after which `agent_offline` is raised of an always-on host."""
    return _choose(host, rules, "offline_seconds") or Threshold(fleet, Origin.FLEET)


def stale_after(host: Subject, rules: ThresholdRules, fleet: timedelta) -> Threshold:
    """Return the age of the last backup at which `stale_schedule` is raised."""
    return _choose(host, rules, "stale_seconds") or Threshold(fleet, Origin.FLEET)


def missed_after(host: Subject, rules: ThresholdRules) -> Threshold | None:
    """Return how long a fire may go without a run before `schedule_missed`; None: nobody asked."""
    return _choose(host, rules, "missed_seconds")


def _choose(host: Subject, rules: ThresholdRules, field: str) -> Threshold | None:
    own = _span(host.own, field)
    if own is not None:
        return Threshold(own, Origin.HOST)
    of_tags = [
        (span, tag) for tag in host.tags if (span := _span(rules.tags.get(tag), field)) is not None
    ]
    if of_tags:
        span, tag = min(of_tags)
        return Threshold(span, Origin.TAG, tag)
    mode = mode_of(always_on=host.always_on)
    of_mode = _span(rules.modes.get(mode), field)
    return None if of_mode is None else Threshold(of_mode, Origin.MODE, mode)


def _span(limits: Thresholds | None, field: str) -> timedelta | None:
    seconds = getattr(limits, field, None)
    return None if seconds is None else timedelta(seconds=seconds)


def describe(threshold: Threshold) -> str:
    """Return who set a threshold, in words: `tag paris`, `intermittent default`."""
    if threshold.origin is Origin.TAG:
        return f"tag {threshold.name}"
    if threshold.origin is Origin.MODE:
        return f"{'24×7' if threshold.name == HostMode.ALWAYS_ON else 'intermittent'} default"
    return "fleet default" if threshold.origin is Origin.FLEET else "set for this host"
