"""Thresholds of tags and modes: one document, told whole, audited, kept through every loss."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from libs.common.errors import BadInput, Conflict
from libs.common.events.host import Audit, HostThresholdsChanged, ThresholdRules, Thresholds
from libs.common.loop.step import Position
from libs.common.testing.rig import Rig
from services.registry import thresholds
from services.registry.arguments import SetThresholds
from tests.unit.registry.rigging import VAULT, enrolled, make_rig

PARIS = Thresholds(offline_seconds=300, stale_seconds=3 * 86_400)


def told(rig: Rig) -> ThresholdRules:
    return rig.last(HostThresholdsChanged).rules


def test_set_patched_and_cleared_each_told_and_audited() -> None:
    rig = make_rig()
    answer = rig.ask("set_thresholds", tag=" Paris ", offline_seconds=300)
    assert answer == {
        "tag": "paris", "mode": None, "offline_seconds": 300, "stale_seconds": None,
        "missed_seconds": None,
    }  # fmt: skip
    rig.ask("set_thresholds", tag="paris", stale_seconds=3 * 86_400)
    rig.ask("set_thresholds", mode="intermittent", stale_seconds=14 * 86_400)
    assert told(rig) == ThresholdRules(
        version=3, tags={"paris": PARIS},
        modes={"intermittent": Thresholds(stale_seconds=14 * 86_400)},
    )  # fmt: skip
    assert rig.ask("list_thresholds") == told(rig)
    assert ThresholdRules.model_validate_json(rig.buckets["thresholds"]["fleet"]) == told(rig)
    rig.ask("set_thresholds", tag="paris", offline_seconds=None)
    assert told(rig).tags == {"paris": Thresholds(stale_seconds=3 * 86_400)}
    rig.ask("clear_thresholds", tag="paris")
    rig.ask("set_thresholds", mode="intermittent", stale_seconds=None)
    assert told(rig) == ThresholdRules(version=6)
    entry = rig.of(Audit)[0]
    assert (entry.action, entry.actor.name, entry.target) == (
        "thresholds.updated", "ada", "thresholds"
    )  # fmt: skip
    assert (entry.before, entry.after) == (
        {**answer, "offline_seconds": None}, answer
    )  # fmt: skip
    assert len(rig.of(Audit)) == len(rig.of(HostThresholdsChanged)) == 6


def test_saving_the_same_tells_nothing() -> None:
    rig = make_rig()
    for _ in range(2):
        rig.ask("set_thresholds", tag="paris", offline_seconds=300)
    rig.ask("set_thresholds", tag="lab", offline_seconds=None)
    assert len(rig.of(HostThresholdsChanged)) == len(rig.of(Audit)) == 1


@pytest.mark.parametrize(("wanted", "said"), [
    ({"offline_seconds": 300}, "of a tag, or of a mode"),
    ({"tag": "a", "mode": "always_on", "offline_seconds": 300}, "of a tag, or of a mode"),
    ({"tag": "a"}, "which threshold"),
    ({"tag": "", "offline_seconds": 300}, "a tag must have 1 to 64 characters"),
    ({"tag": "a,b", "offline_seconds": 300}, "must not contain a comma"),
    ({"tag": "a\u202eb", "offline_seconds": 300}, "must not contain control characters"),
    ({"tag": "a", "offline_seconds": 0}, "offline must be at least 1m30s (DORMICE_OFFLINE_AFTER)"),
    ({"tag": "a", "offline_seconds": -5}, "at least 1m30s"),
    ({"tag": "a", "offline_seconds": 89}, "at least 1m30s"),
    ({"tag": "a", "offline_seconds": 3650 * 86_400}, "less than 10 years"),
    ({"tag": "a", "missed_seconds": 299}, "missed must be at least 5m and at most 1d"),
    ({"tag": "a", "missed_seconds": 86_401}, "missed must be at least 5m and at most 1d"),
    ({"mode": "always_on", "stale_seconds": 0}, "stale must be at least 1s and less than 10 years"),
    ({"mode": "always_on", "stale_seconds": 2**80}, "less than 10 years"),
])  # fmt: skip
def test_bad_thresholds_are_refused_in_words(wanted: dict[str, Any], said: str) -> None:
    rig = make_rig()
    with pytest.raises(BadInput) as refused:
        rig.ask("set_thresholds", **wanted)
    assert said in refused.value.message
    assert rig.log == []


@pytest.mark.parametrize("wanted", [
    {"tag": "a", "offline_seconds": "15m"}, {"tag": "a", "offline_seconds": True},
    {"mode": "asleep", "offline_seconds": 300}, {"tag": "a", "silence": 300},
])  # fmt: skip
def test_other_types_are_refused(wanted: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SetThresholds.model_validate(wanted)


def test_exactly_offline_after_is_fine_for_a_tag_and_for_a_host() -> None:
    rig = make_rig()
    rig.ask("set_thresholds", tag="a", offline_seconds=90)
    host_id = enrolled(rig)
    rig.ask("patch_host", host_id=host_id, thresholds={"offline_seconds": 90})
    with pytest.raises(BadInput, match="at least 1m30s"):
        rig.ask("patch_host", host_id=host_id, thresholds={"offline_seconds": 89})


def test_clearing_what_has_none_is_a_mistake() -> None:
    rig = make_rig()
    with pytest.raises(BadInput, match="tag paris has no thresholds"):
        rig.ask("clear_thresholds", tag="paris")
    with pytest.raises(BadInput, match="mode always_on has no thresholds"):
        rig.ask("clear_thresholds", mode="always_on")


def test_there_are_only_so_many_tags(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thresholds, "MAX_TAGS", 2)
    rig = make_rig()
    for tag in ("a", "b"):
        rig.ask("set_thresholds", tag=tag, offline_seconds=300)
    with pytest.raises(Conflict, match="2 tags have thresholds already"):
        rig.ask("set_thresholds", tag="c", offline_seconds=300)
    rig.ask("set_thresholds", tag="b", offline_seconds=600)


def test_r20_who_may(monkeypatch: pytest.MonkeyPatch) -> None:
    verbs = make_rig().cores["registry"].machine.verbs
    roles = {name: verbs[f"{name}_thresholds"].role for name in ("set", "clear", "list")}
    assert roles == {"set": "operator", "clear": "operator", "list": "viewer"}


def restart(rig: Rig, buckets: dict[str, dict[str, bytes]], *, again: bool) -> None:
    rig.cores["registry"].start_at(Position("two", 0, ""), buckets, rig.now, again=again)
    rig.restart("registry")


def test_r18_kept_through_a_wiped_log_a_new_file_and_an_older_file() -> None:
    rig = make_rig()
    rig.ask("set_thresholds", tag="paris", offline_seconds=300)
    older = dict(rig.buckets["thresholds"])
    rig.ask("set_thresholds", tag="paris", offline_seconds=600)
    newest = told(rig)
    before = {name: dict(values) for name, values in rig.buckets.items()}
    restart(rig, {"thresholds": older}, again=True)
    assert (rig.ask("list_thresholds"), rig.buckets) == (newest, before)
    fresh = Rig(type(rig.cores["registry"].machine)(VAULT), seed=2)
    restart(fresh, rig.buckets, again=False)
    assert fresh.ask("list_thresholds") == newest
    behind = Rig(type(rig.cores["registry"].machine)(VAULT), seed=3)
    behind.publish(*rig.of(HostThresholdsChanged))
    assert behind.ask("list_thresholds") == newest
    behind.redeliver(rig.of(HostThresholdsChanged)[:1])
    assert behind.ask("list_thresholds") == newest
