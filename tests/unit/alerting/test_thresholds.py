"""R5, R6: thresholds of tags and modes hold at once, for open and for coming alerts."""

from __future__ import annotations

from libs.common.clock import TICK
from libs.common.events.host import HostThresholdsChanged, Thresholds
from libs.common.testing.rig import Rig
from services.alerting.machine import AlertingMachine
from services.alerting.settings import AlertingSettings
from tests.unit.alerting.kit import (
    DAY,
    FLOOR,
    HOUR,
    MINUTE,
    START,
    advance_to,
    changed,
    laptop,
    mode_changed,
    open_kinds,
    raised,
    record,
    resolved,
    rules,
    silent_server,
    sleeping_laptop,
)
from tests.unit.alerting.test_r19_explained import replayed


def tagged_server(*tags: str) -> Rig:
    rig = silent_server()
    rig.publish(changed(record(version=2, tags=tags)))
    return rig


def test_r5_a_tags_floor_with_its_origin() -> None:
    rig = tagged_server("paris", "lab")
    rig.publish(rules(paris=(300, None), lab=(600, None)))
    advance_to(rig, START + 5 * MINUTE - TICK)
    assert raised(rig) == []
    rig.advance(TICK)
    (alert,) = raised(rig)
    assert alert.message == "Agent offline for 5m0s (threshold 5m0s)"
    assert alert.facts["threshold_from"] == "tag:paris"


def test_r5_a_change_holds_at_once_both_ways() -> None:
    rig = tagged_server("paris")
    advance_to(rig, START + 10 * MINUTE)
    rig.publish(rules(paris=(300, None)))
    assert open_kinds(rig) == ["agent_offline"]
    rig.publish(rules(2, paris=(7200, None)))
    assert resolved(rig) == [("agent_offline", "threshold_changed")]
    advance_to(rig, START + 2 * HOUR - TICK)
    assert open_kinds(rig) == []
    rig.advance(TICK)
    assert open_kinds(rig) == ["agent_offline"]
    rig.publish(rules(3))
    assert open_kinds(rig) == ["agent_offline"]


def test_r5_r6_a_tag_that_comes_or_goes_brings_its_threshold() -> None:
    rig = silent_server()
    rig.publish(rules(paris=(300, None)))
    advance_to(rig, START + 10 * MINUTE)
    assert open_kinds(rig) == []
    rig.publish(changed(record(version=2, tags=("paris",))))
    assert open_kinds(rig) == ["agent_offline"]
    rig.publish(changed(record(version=3)))
    assert resolved(rig) == [("agent_offline", "threshold_changed")]
    advance_to(rig, START + FLOOR)
    assert open_kinds(rig) == ["agent_offline"]


def test_r6_a_modes_staleness_and_a_hosts_own_before_it() -> None:
    rig = sleeping_laptop()
    rig.publish(rules(intermittent=(None, 2 * 86_400)))
    advance_to(rig, START + 2 * DAY)
    assert raised(rig)[0].message == "No backup in 2d0h0m (threshold 2d0h0m)"
    assert raised(rig)[0].facts["threshold_from"] == "mode:intermittent"
    rig.publish(changed(laptop(version=2, thresholds=Thresholds(stale_seconds=3 * 86_400))))
    assert resolved(rig) == [("stale_schedule", "threshold_changed")]
    advance_to(rig, START + 3 * DAY)
    assert raised(rig)[1].facts["threshold_from"] == "host"


def test_r8_another_mode_brings_its_own_threshold() -> None:
    rig = sleeping_laptop()
    rig.publish(rules(always_on=(7200, None)))
    advance_to(rig, START + HOUR)
    rig.publish(mode_changed(record(version=2)))
    assert open_kinds(rig) == []
    advance_to(rig, START + 2 * HOUR)
    assert raised(rig)[0].message == "Agent offline for 2h0m0s (threshold 2h0m0s)"


def test_the_same_or_older_rules_again_change_nothing() -> None:
    rig = tagged_server("paris")
    first, second = rules(1, paris=(300, None)), rules(2, paris=(7200, None))
    rig.publish(first, second)
    advance_to(rig, START + HOUR)
    decisions = len(rig.decisions("alerting"))
    rig.redeliver([second, first])
    assert open_kinds(rig) == []
    assert len(rig.decisions("alerting")) == decisions


def test_only_hosts_with_another_threshold_are_looked_at() -> None:
    rig = tagged_server("paris")
    rig.publish(changed(record("h2", tags=("lab",))))
    before = len(rig.decisions("alerting", "h2"))
    rig.publish(rules(paris=(300, None)))
    assert len(rig.decisions("alerting", "h2")) == before


def test_r18_a_rebuild_and_a_new_file_know_them() -> None:
    rig = tagged_server("paris")
    rig.publish(rules(paris=(300, None)))
    new = replayed(rig)
    advance_to(new, START + 5 * MINUTE)
    assert open_kinds(new) == ["agent_offline"]
    machine = AlertingMachine(AlertingSettings.load())
    body = rig.last(HostThresholdsChanged).rules.model_dump_json().encode()
    fresh = Rig(machine)
    fresh.lose_log("alerting", {"thresholds": {"fleet": body}})
    fresh.publish(*rig.log[:2], changed(record(version=2, tags=("paris",))), *rig.log[2:5])
    advance_to(fresh, START + 5 * MINUTE)
    assert [alert.facts["threshold_from"] for alert in raised(fresh)] == ["tag:paris"]
