"""The thresholds of tags and modes as one document: pure functions that read and change it."""

from __future__ import annotations

from dataclasses import dataclass

from libs.common.events.host import HostMode, ThresholdRules, Thresholds

NONE = Thresholds()


@dataclass(frozen=True, slots=True)
class Place:
    """Whose thresholds: of a tag or of a mode; one of the two is not None."""

    tag: str | None = None
    mode: HostMode | None = None


def thresholds_at(rules: ThresholdRules, place: Place) -> Thresholds:
    """Return the thresholds of a tag or a mode; without any, empty ones."""
    if place.tag is not None:
        return rules.tags.get(place.tag, NONE)
    return NONE if place.mode is None else rules.modes.get(place.mode, NONE)


def next_rules(rules: ThresholdRules, place: Place, limits: Thresholds) -> ThresholdRules:
    """Return the rules after a change; a tag or mode without any threshold leaves them."""
    tags, modes = dict(rules.tags), dict(rules.modes)
    if place.tag is not None:
        tags[place.tag] = limits
    elif place.mode is not None:
        modes[place.mode] = limits
    return ThresholdRules(
        version=rules.version + 1,
        tags={tag: found for tag, found in sorted(tags.items()) if found != NONE},
        modes={mode: found for mode, found in sorted(modes.items()) if found != NONE},
    )


def describe(place: Place) -> str:
    """Return whose thresholds, in words: `tag paris`, `mode always_on`."""
    return f"tag {place.tag}" if place.tag is not None else f"mode {place.mode}"
