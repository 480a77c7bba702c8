"""`backup_not_succeeding`: the second clock of staleness counts chances, not days."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import pytest

from libs.common.clock import TICK
from libs.common.events.alert import AlertKind
from libs.common.events.host import HostRemoved
from libs.common.testing.rig import START, Rig
from services.alerting import policy_chances as policy
from services.alerting.machine import AlertingMachine
from services.alerting.policy_chances import Chances, ChanceVerdict
from services.alerting.settings import AlertingSettings
from tests.unit.alerting.kit import (
    DAY,
    HOUR,
    MINUTE,
    advance_to,
    beat,
    changed,
    enrolled,
    failed,
    finished,
    hello,
    laptop,
    listening,
    mode_changed,
    offline,
    open_kinds,
    raised,
    record,
    resolved,
    sleeping_laptop,
    stopped,
    synced,
)
from tests.unit.alerting.test_r19_explained import replayed

KIND = AlertKind.BACKUP_NOT_SUCCEEDING
NOON = START
HALF = 30 * MINUTE


# -- the rule --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("chances", "now", "due"), [
    pytest.param(Chances(), NOON, False, id="nothing yet"),
    pytest.param(Chances(3, 8 * HOUR), NOON, True, id="8 h in 3 sessions"),
    pytest.param(Chances(3, 8 * HOUR - TICK), NOON, False, id="a tick less than 8 h"),
    pytest.param(Chances(2, 100 * HOUR), NOON, False, id="2 sessions only"),
    pytest.param(Chances(2, 7 * HOUR, NOON), NOON + HOUR, True, id="with the present session"),
    pytest.param(Chances(2, 7 * HOUR, NOON), NOON + HOUR - TICK, False, id="a tick too early"),
    pytest.param(Chances(2, 9 * HOUR, NOON), NOON + HALF - TICK, False, id="too short to count"),
    pytest.param(Chances(2, 9 * HOUR, NOON), NOON + HALF, True, id="long enough to count"),
    pytest.param(Chances(2, 9 * HOUR, NOON), NOON - HOUR, False, id="clock stepped back"),
])  # fmt: skip
def test_r6_when_it_is_due(chances: Chances, now: datetime, due: bool) -> None:
    verdict = ChanceVerdict.DUE if due else ChanceVerdict.FEW_CHANCES
    assert policy.assess(chances, now) is verdict


@pytest.mark.parametrize(("chances", "at"), [
    (Chances(), None), (Chances(5, 9 * HOUR), None), (Chances(1, 9 * HOUR, NOON), None),
    (Chances(2, 7 * HOUR, NOON), NOON + HOUR), (Chances(2, 9 * HOUR, NOON), NOON + HALF),
])  # fmt: skip
def test_next_look(chances: Chances, at: datetime | None) -> None:
    assert policy.next_look(chances) == at


@pytest.mark.parametrize(("dark_from", "since"), [
    pytest.param(NOON + HOUR, NOON + 2 * HOUR, id="2 h of darkness in the session"),
    pytest.param(NOON - HOUR, NOON + 3 * HOUR, id="dark since before it"),
    pytest.param(None, NOON + 3 * HOUR, id="nobody knows since when"),
])  # fmt: skip
def test_r10_darkness_is_no_chance(dark_from: datetime | None, since: datetime) -> None:
    until = NOON + 3 * HOUR
    assert policy.without_blackout(Chances(1, HOUR, NOON), dark_from, until) == Chances(
        1, HOUR, since
    )
    later = Chances(1, HOUR, until)
    assert policy.without_blackout(later, dark_from, until) == later


def test_a_success_forgets_all_but_a_session_that_began_after_it() -> None:
    known = Chances(3, 9 * HOUR, NOON)
    assert policy.after_success(known, NOON) == Chances()
    assert policy.after_success(known, NOON - TICK) == Chances(since=NOON)


# -- the machine -----------------------------------------------------------------------------------


def awake(rig: Rig, span: timedelta, number: int, host_id: str = "h1") -> None:
    """Let the laptop wake for `span`, then sleep for an hour."""
    session = f"a{number}"
    rig.publish(hello(host_id, session, connection=100 + number), synced(host_id, session))
    rig.advance(span)
    rig.publish(offline(rig.now, host_id, session))
    rig.advance(HOUR)


def three_chances(**fields: Any) -> Rig:
    rig = sleeping_laptop(**fields)
    for number in range(3):
        awake(rig, 3 * HOUR, number)
    return rig


def test_r6_told_within_the_third_session_as_soon_as_it_is_8_hours() -> None:
    rig = sleeping_laptop()
    awake(rig, 3 * HOUR, 1)
    awake(rig, 3 * HOUR, 2)
    rig.publish(hello(session="a3", connection=103), synced(session="a3"))
    rig.advance(2 * HOUR - TICK)
    assert raised(rig) == []
    rig.advance(TICK)
    (alert,) = raised(rig, KIND)
    assert (alert.message, alert.severity) == (
        "No backup in 3 sessions, awake for 8h0m0s", "warning"
    )  # fmt: skip
    rig.advance(5 * HOUR)
    assert len(raised(rig)) == 1


def test_r6_the_session_of_the_success_and_short_ones_do_not_count() -> None:
    rig = sleeping_laptop()
    rig.publish(hello(session="a1", connection=101), synced(session="a1"))
    rig.publish(finished(rig.now, job_id="j2"))
    rig.advance(20 * HOUR)
    rig.publish(offline(rig.now, session="a1"))
    awake(rig, 5 * HOUR, 2)
    for number in range(3, 30):
        awake(rig, HALF - TICK, number)
    assert raised(rig) == []
    awake(rig, 5 * HOUR, 30)
    awake(rig, HALF, 31)
    assert [alert.kind for alert in raised(rig)] == [KIND]


@pytest.mark.parametrize(("what", "reason"), [
    (lambda rig: finished(rig.now, job_id="j2"), "backup_succeeded"),
    (lambda rig: mode_changed(record(version=2)), "mode_changed"),
    (lambda rig: changed(laptop(version=2, schedules=())), "schedule_disabled"),
    (lambda rig: HostRemoved(host_id="h1", record=laptop(version=2, removed=True)),
     "host_removed"),
])  # fmt: skip
def test_r6_r8_r9_what_ends_it(what: Any, reason: str) -> None:
    rig = three_chances()
    assert open_kinds(rig) == [KIND]
    rig.publish(what(rig))
    assert resolved(rig) == [(KIND, reason)]
    rig.advance(5 * DAY)
    assert KIND not in open_kinds(rig)


def test_r6_a_failed_backup_or_an_older_success_ends_nothing() -> None:
    rig = three_chances()
    rig.publish(failed(rig.now, "j2"), finished(START - DAY, job_id="j3"))
    assert KIND in open_kinds(rig)
    assert (KIND, "backup_succeeded") not in resolved(rig)


def test_r6_never_backed_up_counts_from_enrollment() -> None:
    rig = sleeping_laptop()
    rig.publish(enrolled("h2", **laptop(host_id="h2").model_dump(exclude={"id"})))
    for number in range(3):
        awake(rig, 3 * HOUR, number, "h2")
    assert open_kinds(rig, "h2") == [KIND]
    assert raised(rig)[0].facts["last_success_at"] is None


@pytest.mark.parametrize("fields", [{"schedules": ()}, {"always_on": True}])
def test_r6_neither_without_a_schedule_nor_of_a_server(fields: dict[str, Any]) -> None:
    rig = sleeping_laptop()
    new = laptop(version=2, **fields)
    rig.publish(mode_changed(new) if new.always_on else changed(new))
    for number in range(4):
        awake(rig, 3 * HOUR, number)
    assert raised(rig, KIND) == []
    rig.publish(mode_changed(laptop(version=3)))
    awake(rig, 3 * HOUR, 9)
    assert raised(rig, KIND) == []


def test_resolved_by_hand_it_comes_back_while_it_holds() -> None:
    rig = three_chances()
    rig.ask("resolve", alert_id=raised(rig)[0].id)
    rig.advance(MINUTE - TICK)
    assert open_kinds(rig) == []
    rig.advance(TICK)
    assert open_kinds(rig) == [KIND]


def test_r10_time_in_which_nobody_listened_is_no_chance() -> None:
    rig = sleeping_laptop()
    awake(rig, 3 * HOUR, 1)
    awake(rig, 3 * HOUR, 2)
    rig.publish(hello(session="a3", connection=103), synced(session="a3"))
    rig.advance(HOUR)
    rig.publish(stopped(rig.now))
    rig.advance(10 * HOUR)
    assert raised(rig) == []
    rig.publish(listening(rig.now))
    beat(rig, "h1")
    rig.publish(hello(session="a4", connection=104), synced(session="a4"))
    rig.advance(HOUR - TICK)
    assert raised(rig) == []
    rig.advance(TICK)
    assert [alert.kind for alert in raised(rig)] == [KIND]


def test_r10_after_a_long_blackout_it_waits_for_the_reports() -> None:
    rig = sleeping_laptop()
    awake(rig, 3 * HOUR, 1)
    awake(rig, 3 * HOUR, 2)
    rig.publish(stopped(rig.now))
    rig.advance(HOUR)
    rig.publish(listening(rig.now), hello(session="a3", connection=103))
    beat(rig)
    rig.advance(6 * HOUR)
    assert raised(rig) == []
    rig.publish(synced(session="a3"))
    assert [alert.kind for alert in raised(rig)] == [KIND]


def test_r3_the_same_sessions_again_count_once() -> None:
    rig = sleeping_laptop()
    awake(rig, 5 * HOUR, 1)
    rig.redeliver(rig.log[-3:] * 3)
    awake(rig, 5 * HOUR, 2)
    rig.redeliver(rig.log[-6:])
    assert raised(rig) == []


def test_r18_a_rebuild_and_a_new_file_keep_the_alert() -> None:
    rig = three_chances()
    new = replayed(rig)
    assert open_kinds(new) == [KIND]
    new.advance(DAY)
    assert open_kinds(new) == [KIND]
    backup = {"host_id": "h1", "source_group_id": "g1", "last_success_at": START.isoformat()}
    buckets = {
        **rig.buckets, "hosts": {"h1": laptop().model_dump_json().encode()},
        "backups": {"h1.g1": json.dumps(backup).encode()},
    }  # fmt: skip
    fresh = Rig(AlertingMachine(AlertingSettings.load()), start=rig.now, seed=2)
    fresh.lose_log("alerting", buckets)
    fresh.publish(listening(rig.now))
    fresh.advance(DAY)
    assert open_kinds(fresh) == [KIND]
    backup["last_success_at"] = (rig.now - HOUR).isoformat()
    newer = Rig(AlertingMachine(AlertingSettings.load()), start=rig.now, seed=3)
    newer.lose_log("alerting", buckets | {"backups": {"h1.g1": json.dumps(backup).encode()}})
    assert open_kinds(newer) == []
    server = Rig(AlertingMachine(AlertingSettings.load()), start=rig.now, seed=4)
    server.lose_log("alerting", buckets | {"hosts": {"h1": record().model_dump_json().encode()}})
    assert open_kinds(server) == []


def test_looks_leave_decisions_and_advance_ends() -> None:
    rig = sleeping_laptop()
    advance_to(rig, START + HOUR)
    awake(rig, 3 * HOUR, 1)
    awake(rig, 3 * HOUR, 2)
    rig.publish(hello(session="a3", connection=103), synced(session="a3"))
    rig.advance(HOUR)
    rig.publish(stopped(rig.now), listening(rig.now + TICK))
    rig.advance(DAY)
    assert "alert_raised" in rig.decisions("alerting", "h1")
