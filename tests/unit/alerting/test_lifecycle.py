"""R7, R8 and the calls: acknowledged, resolved, muted, raised again, foretold."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from pydantic import ValidationError

from libs.common.clock import TICK, to_rfc3339
from libs.common.errors import Conflict, HostNotFound, NotFound
from libs.common.events.alert import AlertAcknowledged, AlertRaised, AlertResolved
from libs.common.events.host import Audit, Thresholds
from tests.unit.alerting.kit import (
    DAY,
    FLOOR,
    HOUR,
    MINUTE,
    OFFLINE_AFTER,
    SECOND,
    STALE_AFTER,
    START,
    advance_to,
    alerting,
    changed,
    failed,
    finished,
    hello,
    laptop,
    listening,
    mode_changed,
    offline,
    open_alerts,
    open_kinds,
    raised,
    record,
    resolved,
    silent_server,
    sleeping_laptop,
    stopped,
    synced,
)


def missed_server():
    rig = silent_server()
    rig.advance(HOUR)
    return rig, raised(rig)[0].id


def test_acknowledged_is_still_open() -> None:
    rig, alert_id = missed_server()
    taken = rig.ask("acknowledge", alert_id=alert_id, note="on my way")
    assert (taken["state"], taken["acknowledged_by"], taken["note"]) == (
        "acknowledged", "ada", "on my way"
    )  # fmt: skip
    assert rig.last(AlertAcknowledged).alert.id == alert_id
    audit = rig.last(Audit)
    assert (audit.action, audit.target, audit.host_id) == ("alert.acknowledged", alert_id, "h1")
    assert open_kinds(rig) == ["agent_offline"]
    assert rig.ask("list_alerts", state="acknowledged")[0]["id"] == alert_id
    rig.publish(hello(session="s2", connection=2))
    assert resolved(rig) == [("agent_offline", "host_returned")]
    assert rig.last(AlertResolved).alert.acknowledged_by == "ada"


def test_acknowledged_twice_and_after_the_end() -> None:
    rig, alert_id = missed_server()
    rig.ask("acknowledge", alert_id=alert_id)
    with pytest.raises(Conflict, match="already acknowledged by ada"):
        rig.ask("acknowledge", alert_id=alert_id)
    rig.publish(hello(session="s2", connection=2))
    for verb in ("acknowledge", "resolve"):
        with pytest.raises(Conflict, match="already resolved"):
            rig.ask(verb, alert_id=alert_id)
    assert len(rig.of(AlertAcknowledged)) == 1


def test_unknown_ids_and_bad_input() -> None:
    rig = alerting()
    for verb in ("acknowledge", "resolve", "get_alert"):
        with pytest.raises(NotFound):
            rig.ask(verb, alert_id="nothing")
    with pytest.raises(HostNotFound):
        rig.ask("forecast", host_id="nobody")
    for bad in ({"limit": 0}, {"limit": 1001}, {"state": "closed"}):
        with pytest.raises(ValidationError):
            rig.ask("list_alerts", **bad)


def test_r5_resolved_by_hand_is_muted_for_60_seconds_and_raised_again() -> None:
    rig, alert_id = missed_server()
    ended = rig.ask("resolve", alert_id=alert_id)
    assert (ended["state"], ended["resolved_by"]) == ("resolved", "ada")
    assert rig.last(Audit).action == "alert.resolved"
    assert "alert_muted" in rig.decisions("alerting", "h1")
    rig.advance(MINUTE - TICK)
    assert open_alerts(rig) == []
    rig.advance(TICK)
    (again,) = open_alerts(rig)
    assert again["id"] != alert_id
    assert len(raised(rig)) == 2


def test_r5_the_mute_holds_whatever_looks_again() -> None:
    rig, alert_id = missed_server()
    rig.ask("resolve", alert_id=alert_id)
    rig.publish(changed(record(version=2, thresholds=Thresholds(offline_seconds=60))))
    rig.advance(MINUTE - TICK)
    assert open_alerts(rig) == []


def test_r5_r6_back_ends_the_mute_for_those_with_short_times() -> None:
    times = {"offline_after": "3s", "agent_offline_floor": "6s", "stale_after": "40s"}
    rig = silent_server(**times)
    rig.advance(HOUR)
    rig.ask("resolve", alert_id=raised(rig)[0].id)
    rig.publish(hello(session="s2", connection=2), offline(rig.now, session="s2"))
    rig.advance(6 * SECOND)
    assert open_kinds(rig) == ["agent_offline"]
    rig = sleeping_laptop(**times)
    rig.advance(HOUR)
    rig.ask("resolve", alert_id=raised(rig)[0].id)
    rig.publish(finished(rig.now, job_id="j2"))
    rig.advance(40 * SECOND)
    assert open_kinds(rig) == ["stale_schedule"]


def test_r5_back_within_the_mute_none() -> None:
    rig, alert_id = missed_server()
    rig.ask("resolve", alert_id=alert_id)
    rig.publish(hello(session="s2", connection=2))
    rig.advance(HOUR)
    assert len(raised(rig)) == 1


def test_r6_resolved_by_hand_is_muted_too() -> None:
    rig = sleeping_laptop()
    rig.advance(8 * DAY)
    rig.ask("resolve", alert_id=raised(rig)[0].id)
    own = Thresholds(stale_seconds=86400)
    rig.publish(changed(laptop(version=2, thresholds=own)))  # Whatever looks again meanwhile.
    rig.advance(MINUTE - TICK)
    assert open_alerts(rig) == []
    rig.advance(TICK)
    assert open_kinds(rig) == ["stale_schedule"]


def test_r8_a_change_of_mode_ends_the_mute() -> None:
    rig, alert_id = missed_server()
    rig.ask("resolve", alert_id=alert_id)
    rig.publish(mode_changed(laptop(version=2)), mode_changed(record(version=3)))
    assert open_kinds(rig) == ["agent_offline"]


def test_an_occurrence_resolved_by_hand_stays_resolved() -> None:
    rig = alerting()
    rig.publish(failed(START))
    rig.ask("resolve", alert_id=raised(rig)[0].id)
    rig.advance(DAY)
    assert open_alerts(rig) == []
    rig.publish(failed(rig.now, "j2"))
    assert open_kinds(rig) == ["backup_failed"]


def test_resolved_by_hand_in_a_new_period_waits_for_its_floor() -> None:
    rig, alert_id = missed_server()
    rig.publish(listening(rig.now))
    again = rig.now
    rig.ask("resolve", alert_id=alert_id)
    advance_to(rig, again + FLOOR - TICK)
    assert open_alerts(rig) == []
    rig.advance(TICK)
    assert open_kinds(rig) == ["agent_offline"]


def test_r7_last_seen_of_what_holds_is_now_and_of_an_occurrence_is_when_it_was() -> None:
    rig = silent_server()
    rig.publish(failed(rig.now))
    failed_at = to_rfc3339(rig.now)
    rig.advance(HOUR)
    seen = {alert["kind"]: alert["last_seen_at"] for alert in open_alerts(rig)}
    assert seen == {"agent_offline": to_rfc3339(rig.now), "backup_failed": failed_at}
    assert rig.ask("get_alert", alert_id=raised(rig)[0].id)["kind"] == "backup_failed"


def test_r7_the_same_condition_again_notifies_nobody() -> None:
    rig = alerting()
    rig.publish(failed(START))
    rig.advance(HOUR)
    rig.publish(failed(rig.now, "j2", error="another"))
    (alert,) = open_alerts(rig)
    assert len(rig.of(AlertRaised)) == 1
    assert alert["message"] == "Backup of g1 failed: no space left"
    assert datetime.fromisoformat(alert["last_seen_at"]) == START + HOUR
    assert datetime.fromisoformat(alert["raised_at"]) == START
    assert "same_condition" in rig.decisions("alerting", "h1")


def test_list_is_filtered_and_newest_first() -> None:
    rig = silent_server()
    rig.publish(failed(rig.now))
    rig.advance(HOUR)
    rig.publish(failed(rig.now, "j2", source_group_id="g2"))
    everything = rig.ask("list_alerts")
    assert [alert["dedup_key"] for alert in everything] == ["g2", "", "g1"]
    assert len(rig.ask("list_alerts", limit=2)) == 2
    assert len(rig.ask("list_alerts", kind="backup_failed")) == 2
    assert rig.ask("list_alerts", host_id="h2") == []


# -- forecast --------------------------------------------------------------------------------------


def foretold(rig) -> tuple[str, timedelta] | None:
    """Return the kind, and how long after START."""
    answer = rig.ask("forecast", host_id="h1")
    return answer and (answer["kind"], datetime.fromisoformat(answer["at"]) - START)


def test_forecast_of_a_server() -> None:
    rig = alerting()
    assert foretold(rig) is None  # Never seen.
    rig.publish(hello())
    assert foretold(rig) is None  # Online.
    rig.advance(OFFLINE_AFTER)
    rig.publish(offline(START))
    assert foretold(rig) == ("agent_offline", FLOOR)
    rig.publish(stopped(rig.now))
    assert foretold(rig) is None  # Nobody listens: nothing comes.
    rig.advance(8 * SECOND)
    rig.publish(listening(rig.now))
    assert foretold(rig) == ("agent_offline", OFFLINE_AFTER + 8 * SECOND + FLOOR)
    rig.advance(HOUR)
    assert foretold(rig) is None  # It is open.
    rig.ask("resolve", alert_id=raised(rig)[0].id)
    assert foretold(rig) == ("agent_offline", rig.now + MINUTE - START)


def test_forecast_of_a_laptop() -> None:
    rig = sleeping_laptop()
    assert foretold(rig) == ("stale_schedule", STALE_AFTER)
    rig.publish(changed(laptop(version=2, schedules=())))
    assert foretold(rig) is None
    rig.publish(changed(laptop(version=3)))
    advance_to(rig, START + STALE_AFTER - 2 * HOUR)
    rig.publish(stopped(rig.now))
    rig.advance(HOUR)
    rig.publish(listening(rig.now))
    assert foretold(rig) == ("stale_schedule", STALE_AFTER + 23 * HOUR)
    rig.publish(hello(session="s2", connection=2), synced(session="s2"))
    assert foretold(rig) == ("stale_schedule", STALE_AFTER)
    rig.publish(finished(rig.now, job_id="j2"))
    assert foretold(rig) == ("stale_schedule", rig.now + STALE_AFTER - START)


@pytest.mark.parametrize("away", [10 * MINUTE, 20 * MINUTE])
def test_the_forecast_comes_true(away) -> None:
    rig = silent_server()
    advance_to(rig, START + away / 4)
    _, after = foretold(rig)
    advance_to(rig, START + after - TICK)
    assert raised(rig) == []
    rig.advance(TICK)
    assert len(raised(rig)) == 1
