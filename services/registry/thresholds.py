"""Part of the machine: thresholds of tags and of modes. Those of one host are in its record."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from libs.common.errors import BadInput, Conflict
from libs.common.events.host import Actor, HostThresholdsChanged, ThresholdRules, Thresholds
from libs.common.labels import check_tag
from libs.common.loop.tx import Tx
from services.registry import changes, checks, threshold_store
from services.registry import policy_thresholds as policy
from services.registry.arguments import SetThresholds, ThresholdScope
from services.registry.changes import Deed
from services.registry.policy_thresholds import NONE, Place

BUCKET = "thresholds"
KEY = "fleet"
MAX_TAGS = 500
"""Tags with thresholds: all of them fit into one event."""


class Setter:
    """Changes thresholds. It needs to know after how long a silent host is offline."""

    def __init__(self, offline_after: timedelta) -> None:
        self._offline_after = offline_after

    def on_set(self, tx: Tx, actor: Actor, wanted: SetThresholds) -> dict[str, Any]:
        """Change what was given; null takes a threshold away. Raises: BadInput, Conflict."""
        place, rules = _place(wanted), threshold_store.get_rules(tx)
        given = {
            field: checks.check_threshold(getattr(wanted, field), field, self._offline_after)
            for field in Thresholds.model_fields
            if field in wanted.model_fields_set
        }
        if not given:
            raise BadInput("say which threshold: offline, stale or missed")
        limits = policy.thresholds_at(rules, place).model_copy(update=given)
        if place.tag and place.tag not in rules.tags and len(rules.tags) >= MAX_TAGS:
            raise Conflict(f"{MAX_TAGS} tags have thresholds already; take some away first")
        _change(tx, actor, place, limits)
        return _entry(place, limits)


def on_clear(tx: Tx, actor: Actor, wanted: ThresholdScope) -> dict[str, Any]:
    """Take all thresholds of a tag or a mode away. Raises: BadInput, also for what has none."""
    place = _place(wanted)
    if policy.thresholds_at(threshold_store.get_rules(tx), place) == NONE:
        raise BadInput(f"{policy.describe(place)} has no thresholds")
    _change(tx, actor, place, NONE)
    return {}


def on_list(tx: Tx, _: Actor, __: Any) -> ThresholdRules:
    return threshold_store.get_rules(tx)


def _place(wanted: ThresholdScope) -> Place:
    """Raises: BadInput."""
    if (wanted.tag is None) == (wanted.mode is None):
        raise BadInput("say whose thresholds: of a tag, or of a mode")
    return Place(None if wanted.tag is None else check_tag(wanted.tag), wanted.mode)


def _change(tx: Tx, actor: Actor, place: Place, limits: Thresholds) -> None:
    """Bring a tag or a mode to `limits` and tell it; if nothing differs, do nothing."""
    rules = threshold_store.get_rules(tx)
    before = policy.thresholds_at(rules, place)
    if before == limits:
        return
    new = policy.next_rules(rules, place, limits)
    threshold_store.save_rules(tx, new)
    put(tx, new)
    tx.emit(HostThresholdsChanged(rules=new))
    deed = Deed(actor, "thresholds.updated", BUCKET, why=policy.describe(place))
    changes.audit(tx, deed, before=_entry(place, before), after=_entry(place, limits))


def _entry(place: Place, limits: Thresholds) -> dict[str, Any]:
    return {"tag": place.tag, "mode": place.mode, **limits.model_dump()}


def put(tx: Tx, rules: ThresholdRules) -> None:
    tx.put(BUCKET, KEY, rules)


def on_own_change(tx: Tx, event: HostThresholdsChanged) -> None:
    """Our own word: news only if an older file was put back since."""
    take_up(tx, event.rules)


def take_up(tx: Tx, rules: ThresholdRules) -> None:
    if rules.version > threshold_store.get_rules(tx).version:
        threshold_store.save_rules(tx, rules)
        tx.decide(
            changes.FLEET, "thresholds_taken_up",
            "the log or the bucket knew newer thresholds than our file", version=rules.version,
        )  # fmt: skip
