"""R4, R5: who is missed, when, and by how many alerts."""

from __future__ import annotations

import pytest

from libs.common.clock import TICK, to_rfc3339
from libs.common.events.agent import OfflineReason
from libs.common.events.alert import AlertResolved, AlertState, Severity
from libs.common.events.host import HostRemoved, Thresholds
from tests.unit.alerting.kit import (
    DAY,
    FLOOR,
    HOUR,
    MINUTE,
    OFFLINE_AFTER,
    SECOND,
    START,
    advance_to,
    alerting,
    changed,
    hello,
    laptop,
    mode_changed,
    offline,
    open_alerts,
    open_kinds,
    raised,
    record,
    resolved,
    silent_server,
    sleeping_laptop,
)


def test_r5_raised_at_the_floor_and_once() -> None:
    rig = silent_server()
    advance_to(rig, START + FLOOR - TICK)
    assert open_alerts(rig) == []
    rig.advance(TICK)
    (alert,) = raised(rig)
    assert alert.message == "Agent offline for 15m0s (threshold 15m0s)"
    assert (alert.severity, alert.raised_at) == (Severity.WARNING, START + FLOOR)
    assert alert.facts["last_seen"] == "2026-06-15T09:00:00Z"
    rig.advance(DAY)
    assert len(raised(rig)) == 1
    assert open_kinds(rig) == ["agent_offline"]
    assert rig.buckets["alerts"].keys() == {alert.id}


def test_r5_two_hours_of_silence() -> None:
    """The original case: a server is missed, a laptop is not; both away for 2 h."""
    rig = alerting()
    rig.publish(hello(), offline(START))
    rig.advance(2 * HOUR)
    assert open_kinds(rig, "h1") == ["agent_offline"]
    laptop_rig = sleeping_laptop()
    laptop_rig.advance(2 * HOUR)
    assert open_alerts(laptop_rig) == []
    assert raised(laptop_rig) == []
    why = laptop_rig.db.execute("SELECT rule, text FROM decision WHERE what = 'no_alert'")
    assert ("R4", "intermittent hosts raise none while asleep") in why.fetchall()


def test_r5_seen_late_the_message_says_how_late() -> None:
    rig = silent_server()
    rig.clock.set(START + 17 * MINUTE)  # As after a service that was away while a gateway listened.
    rig.settle()
    assert raised(rig)[0].message == "Agent offline for 17m0s (threshold 15m0s)"


def test_r5_never_seen_raises_none() -> None:
    rig = alerting()
    rig.advance(DAY)
    assert raised(rig) == []
    assert "no_alert" in rig.decisions("alerting", "h1")


def test_r5_back_in_time_raises_none() -> None:
    rig = silent_server()
    advance_to(rig, START + FLOOR - TICK)
    rig.publish(hello(session="s2", connection=2))
    rig.advance(DAY)
    assert raised(rig) == []


def test_r5_back_resolves() -> None:
    rig = silent_server()
    rig.advance(HOUR)
    rig.publish(hello(session="s2", connection=2))
    assert resolved(rig) == [("agent_offline", "host_returned")]
    assert open_alerts(rig) == []
    assert rig.buckets["alerts"] == {}


def test_r3_a_late_hello_of_an_older_connection_does_not_resolve() -> None:
    rig = alerting()
    rig.publish(hello(session="s2", connection=2), offline(START, session="s2"))
    rig.advance(HOUR)
    rig.publish(hello(session="s1", connection=1))
    rig.redeliver([hello(session="s2", connection=2)])
    assert open_kinds(rig) == ["agent_offline"]


def test_r3_so_many_hellos_are_remembered() -> None:
    rig = alerting()
    rig.publish(*(hello(session=f"s{number}", connection=number) for number in range(1, 204)))
    known = rig.db.execute("SELECT session FROM known_session ORDER BY row_id").fetchall()
    assert [session for (session,) in known] == [f"s{number}" for number in range(4, 204)]


def test_r3_the_end_of_an_older_session_says_nothing() -> None:
    rig = alerting()
    rig.publish(hello(session="s1"), hello(session="s2", connection=2))
    rig.publish(offline(START, session="s1"))
    rig.advance(HOUR)
    assert raised(rig) == []


@pytest.mark.parametrize("reason", list(OfflineReason))
def test_r5_however_it_left(reason) -> None:
    rig = alerting()
    rig.publish(hello(), offline(START, reason=reason))
    rig.advance(FLOOR)
    assert open_kinds(rig) == ["agent_offline"]


def test_r5_the_same_end_again_after_the_return() -> None:
    rig = silent_server()
    rig.advance(HOUR)
    rig.publish(hello(session="s2", connection=2))
    rig.redeliver([offline(START)])
    rig.advance(HOUR)
    assert len(raised(rig)) == 1


@pytest.mark.parametrize("ends", [(0, 60), (60, 0)])
def test_r5_of_two_ends_of_a_session_the_later_last_frame_counts(ends) -> None:
    """Presence may count a gateway as lost that comes back, and knows better; in either order."""
    rig = alerting()
    rig.publish(hello())
    rig.advance(2 * MINUTE)
    rig.publish(*(offline(START + seconds * SECOND) for seconds in ends))
    advance_to(rig, START + 60 * SECOND + FLOOR - TICK)
    assert raised(rig) == []
    rig.advance(TICK)
    assert raised(rig)[0].message == "Agent offline for 15m0s (threshold 15m0s)"


def test_r5_a_hosts_own_floor() -> None:
    rig = silent_server()
    own = Thresholds(offline_seconds=3600)
    rig.publish(changed(record(version=2, thresholds=own)))
    advance_to(rig, START + HOUR - TICK)
    assert raised(rig) == []
    rig.advance(TICK)
    assert raised(rig)[0].message == "Agent offline for 1h0m0s (threshold 1h0m0s)"
    assert raised(rig)[0].facts["threshold_from"] == "host"


def test_r5_a_longer_floor_ends_what_it_makes_too_early_and_a_shorter_one_raises() -> None:
    rig = silent_server()
    rig.advance(HOUR)
    own = Thresholds(offline_seconds=7200)
    rig.publish(changed(record(version=2, thresholds=own)))
    assert resolved(rig) == [("agent_offline", "threshold_changed")]
    rig.publish(changed(record(version=3)))
    assert open_kinds(rig) == ["agent_offline"]


def test_r5_a_renamed_host_keeps_its_alert() -> None:
    rig = silent_server()
    rig.advance(HOUR)
    rig.publish(changed(record(version=2, name="web-3")))
    assert resolved(rig) == []
    assert open_kinds(rig) == ["agent_offline"]


def test_r5_a_clock_stepped_back_raises_nothing_early() -> None:
    rig = silent_server()
    rig.clock.set(START - HOUR)
    rig.settle()
    advance_to(rig, START + FLOOR - TICK)
    assert raised(rig) == []
    rig.advance(TICK)
    assert len(raised(rig)) == 1


def test_r5_a_last_frame_in_the_future_is_not_believed() -> None:
    rig = alerting()
    rig.publish(hello(), offline(START + DAY))
    rig.advance(FLOOR)
    assert open_kinds(rig) == ["agent_offline"]


def test_r5_removed_hosts_are_missed_by_nobody() -> None:
    rig = silent_server()
    rig.advance(HOUR)
    rig.publish(HostRemoved(host_id="h1", record=record(version=2, removed=True)))
    assert resolved(rig) == [("agent_offline", "host_removed")]
    rig.redeliver([hello(session="s2", connection=2), offline(START, session="s2")])
    rig.publish(changed(record(version=1)))
    rig.advance(DAY)
    assert open_alerts(rig) == []


# -- R4, R8: the mode ------------------------------------------------------------------------------


def test_r4_r8_turned_intermittent_resolves_and_raises_none() -> None:
    rig = silent_server()
    rig.advance(HOUR)
    rig.publish(mode_changed(laptop(version=2)))
    assert resolved(rig) == [("agent_offline", "mode_changed")]
    rig.advance(DAY)
    assert open_alerts(rig) == []


def test_r8_turned_always_on_raises_at_once() -> None:
    rig = sleeping_laptop()
    rig.advance(2 * HOUR)
    rig.publish(mode_changed(record(version=2)))
    (alert,) = raised(rig)
    assert alert.message == "Agent offline for 2h0m0s (threshold 15m0s)"
    assert alert.raised_at == rig.now


def test_r8_the_same_mode_changes_nothing() -> None:
    rig = silent_server()
    rig.advance(HOUR)
    rig.publish(changed(record(version=2)), changed(record(version=2)))
    rig.redeliver([mode_changed(laptop(version=1))])
    assert resolved(rig) == []
    assert open_kinds(rig) == ["agent_offline"]


def test_r8_there_and_back() -> None:
    rig = silent_server()
    rig.advance(HOUR)
    rig.publish(mode_changed(laptop(version=2)))
    rig.publish(mode_changed(record(version=3)))
    assert open_kinds(rig) == ["agent_offline"]
    assert len(raised(rig)) == 2
    rig.redeliver([mode_changed(laptop(version=2))])
    assert open_kinds(rig) == ["agent_offline"]


def test_r8_there_and_back_in_one_backlog() -> None:
    """Each change is a real one, although nobody was judged in between."""
    rig = silent_server()
    rig.advance(HOUR)
    rig.publish(mode_changed(laptop(version=2)), mode_changed(record(version=3)))
    assert resolved(rig) == [("agent_offline", "mode_changed")]
    assert open_kinds(rig) == ["agent_offline"]
    assert len(raised(rig)) == 2


def test_r1_an_unknown_host_is_always_on() -> None:
    rig = alerting()
    rig.publish(hello("h9"), offline(START, "h9"))
    rig.advance(OFFLINE_AFTER + FLOOR)
    assert open_kinds(rig, "h9") == ["agent_offline"]


def test_resolved_alerts_stay_in_the_history_for_400_days() -> None:
    rig = silent_server()
    for day in (1, 200, 402):
        advance_to(rig, START + day * DAY)
        rig.publish(hello(session=f"d{day}", connection=day * 10))
        rig.publish(offline(rig.now, session=f"d{day}"))
    history = rig.ask("list_alerts", state="resolved")
    assert len(rig.of(AlertResolved)) == 3
    assert [alert["state"] for alert in history] == [AlertState.RESOLVED] * 2
    assert history[-1]["resolved_at"] == to_rfc3339(START + 200 * DAY)
