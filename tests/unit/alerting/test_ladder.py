"""R7's exception: staleness is told again at 2, 4 and 12 times the threshold, never more."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from libs.common.clock import TICK
from libs.common.events.alert import AlertRaised, AlertReminded
from libs.common.events.host import Thresholds
from libs.common.testing.rig import START, Rig
from services.alerting import policy
from services.alerting.machine import AlertingMachine
from services.alerting.settings import AlertingSettings
from tests.unit.alerting.kit import (
    DAY,
    HOUR,
    MINUTE,
    advance_to,
    beat,
    changed,
    finished,
    hello,
    laptop,
    listening,
    open_alerts,
    raised,
    sleeping_laptop,
    stopped,
    synced,
)
from tests.unit.alerting.test_r19_explained import replayed

WEEK = 7 * DAY


@pytest.mark.parametrize(("age", "rung"), [
    (timedelta(), 0), (WEEK, 0), (2 * WEEK - TICK, 0), (2 * WEEK, 2), (2 * WEEK + TICK, 2),
    (4 * WEEK - TICK, 2), (4 * WEEK, 4), (12 * WEEK - TICK, 4), (12 * WEEK, 12),
    (100 * WEEK, 12), (-DAY, 0),
])  # fmt: skip
def test_r7_rungs(age: timedelta, rung: int) -> None:
    assert policy.rung_reached(age, WEEK) == rung


@pytest.mark.parametrize(
    ("rung", "at"), [(0, START + 2 * WEEK), (2, START + 4 * WEEK), (4, START + 12 * WEEK),
                     (12, None)],
)  # fmt: skip
def test_r7_the_rung_after(rung: int, at: object) -> None:
    assert policy.next_rung_at(START, WEEK, rung) == at


def rungs(rig: Rig) -> list[int]:
    return [event.alert.rung for event in rig.of(AlertReminded)]


def test_r7_told_again_at_each_rung_once_and_never_more() -> None:
    rig = sleeping_laptop()
    for times, expected in ((2, [2]), (4, [2, 4]), (12, [2, 4, 12])):
        advance_to(rig, START + times * WEEK - TICK)
        assert rungs(rig) == expected[:-1]
        rig.advance(TICK)
        assert rungs(rig) == expected
    rig.advance(3650 * DAY)
    assert rungs(rig) == [2, 4, 12]
    assert [event.message for event in rig.of(AlertReminded)] == [
        "No backup in 14d0h0m (threshold 7d0h0m)", "No backup in 28d0h0m (threshold 7d0h0m)",
        "No backup in 84d0h0m (threshold 7d0h0m)",
    ]  # fmt: skip
    assert [alert["message"] for alert in open_alerts(rig)] == [raised(rig)[0].message]
    assert len(rig.of(AlertRaised)) == 1
    assert rig.decisions("alerting", "h1").count("alert_reminded") == 3


def test_r7_a_backup_begins_the_ladder_anew() -> None:
    rig = sleeping_laptop()
    advance_to(rig, START + 2 * WEEK)
    rig.publish(hello(session="s2", connection=2), synced(session="s2"))
    rig.publish(finished(rig.now, job_id="j2"))
    rig.advance(2 * WEEK)
    assert [event.alert.id for event in rig.of(AlertReminded)] == [
        alert.id for alert in raised(rig)
    ]
    assert len(set(rungs(rig))) == 1


def test_r7_what_was_passed_before_the_raise_is_told_with_it() -> None:
    rig = sleeping_laptop()
    rig.publish(changed(laptop(version=2, schedules=())))
    rig.advance(5 * WEEK)
    rig.publish(changed(laptop(version=3)))
    assert (raised(rig)[0].rung, rungs(rig)) == (4, [])
    advance_to(rig, START + 12 * WEEK)
    assert rungs(rig) == [12]


def test_r7_several_rungs_at_once_are_one_reminder() -> None:
    rig = sleeping_laptop()
    rig.advance(WEEK)
    own = Thresholds(stale_seconds=int(DAY.total_seconds()))
    rig.publish(changed(laptop(version=2, thresholds=own)))
    assert rungs(rig) == [4]
    rig.publish(changed(laptop(version=3)))
    rig.publish(changed(laptop(version=4, thresholds=own)))
    assert rungs(rig) == [4]
    advance_to(rig, START + 12 * DAY)
    assert rungs(rig) == [4, 12]


def test_r7_a_longer_threshold_moves_the_rungs_that_are_ahead() -> None:
    rig = sleeping_laptop()
    advance_to(rig, START + 2 * WEEK)
    own = Thresholds(stale_seconds=int((10 * DAY).total_seconds()))
    rig.publish(changed(laptop(version=2, thresholds=own)))
    advance_to(rig, START + 40 * DAY - TICK)
    assert rungs(rig) == [2]
    rig.advance(TICK)
    assert rungs(rig) == [2, 4]


def test_r7_a_resolve_by_hand_does_not_begin_it_anew() -> None:
    rig = sleeping_laptop()
    advance_to(rig, START + 2 * WEEK + HOUR)
    rig.ask("resolve", alert_id=raised(rig)[0].id)
    rig.advance(MINUTE)
    assert (raised(rig)[1].rung, rungs(rig)) == (2, [2])
    advance_to(rig, START + 4 * WEEK)
    assert rungs(rig) == [2, 4]


def test_r7_an_acknowledged_alert_climbs_too() -> None:
    rig = sleeping_laptop()
    advance_to(rig, START + WEEK)
    rig.ask("acknowledge", alert_id=raised(rig)[0].id)
    rig.advance(WEEK)
    assert rungs(rig) == [2]
    assert rig.last(AlertReminded).alert.state == "acknowledged"


def test_r7_a_rung_while_silenced_says_so_and_is_not_made_up() -> None:
    rig = sleeping_laptop()
    advance_to(rig, START + WEEK)
    rig.ask("create_silence", **{"host_id": "h1", "for": "P10D"})
    rig.advance(30 * DAY)
    assert [(event.alert.rung, event.alert.silenced) for event in rig.of(AlertReminded)] == [
        (2, True), (4, False)
    ]  # fmt: skip


def test_r7_r18_the_same_reminder_again_and_a_rebuild() -> None:
    rig = sleeping_laptop()
    advance_to(rig, START + 2 * WEEK)
    rig.redeliver(rig.of(AlertRaised) + rig.of(AlertReminded))
    assert [alert["rung"] for alert in open_alerts(rig)] == [2]
    new = replayed(rig)
    assert [alert["rung"] for alert in open_alerts(new)] == [2]
    new.settle()
    assert rungs(new) == []
    advance_to(new, START + 4 * WEEK)
    assert rungs(new) == [4]


def test_r7_r18_a_new_file_takes_the_rung_from_the_bucket() -> None:
    rig = sleeping_laptop()
    advance_to(rig, START + 3 * WEEK)
    backup = {"host_id": "h1", "source_group_id": "g1", "last_success_at": START.isoformat()}
    fresh = Rig(AlertingMachine(AlertingSettings.load()), start=rig.now, seed=2)
    fresh.lose_log("alerting", {
        **rig.buckets, "hosts": {"h1": laptop().model_dump_json().encode()},
        "backups": {"h1.g1": json.dumps(backup).encode()},
    })  # fmt: skip
    fresh.publish(listening(rig.now))
    fresh.advance(DAY)
    assert ([alert["rung"] for alert in open_alerts(fresh)], rungs(fresh)) == ([2], [])
    advance_to(fresh, START + 4 * WEEK)
    assert rungs(fresh) == [4]


def test_r7_r10_no_rung_is_told_before_the_reports_have_arrived() -> None:
    rig = sleeping_laptop()
    advance_to(rig, START + WEEK)
    rig.publish(stopped(rig.now))
    advance_to(rig, START + 3 * WEEK)
    assert rungs(rig) == []
    rig.publish(listening(rig.now))
    beat(rig)
    assert rungs(rig) == []
    rig.advance(DAY)
    assert rungs(rig) == [2]
