"""R19: everything decided stands in the log or in a decision, and a rebuild knows the same."""

from __future__ import annotations

import json

from libs.common.clock import TICK
from libs.common.events.host import HostChanged, Thresholds
from libs.common.testing.rig import ADMIN, Rig
from services.alerting.machine import AlertingMachine
from services.alerting.settings import AlertingSettings
from tests.unit.alerting.kit import (
    DAY,
    FLOOR,
    HOUR,
    MINUTE,
    START,
    alerting,
    changed,
    failed,
    finished,
    hello,
    laptop,
    mode_changed,
    offline,
    open_alerts,
    open_kinds,
    raised,
    record,
    silent_server,
    sleeping_laptop,
    stopped,
    synced,
)
from tests.unit.alerting.test_outage import come_back, fall_silent, fleet, ids


def replayed(rig: Rig) -> Rig:
    """Return a rebuild: the log of `rig`, read without deadlines; what it emits goes nowhere."""
    new = Rig(AlertingMachine(AlertingSettings.load()), start=rig.now)
    core = new.cores["alerting"]
    step = core.step(rig.raw, now=rig.now)
    assert step.dead == 0
    return new


def state(rig: Rig) -> list:
    step = rig.cores["alerting"].step(
        inputs=[
            lambda tx: [
                (alert["id"], alert["state"], alert["held_by"], alert["message"], alert["note"])
                for alert in rig.cores["alerting"].machine.verbs["list_alerts"].handler(
                    tx, ADMIN, rig.cores["alerting"].machine.verbs["list_alerts"].arguments()
                )
            ]
        ],
        now=rig.now,
    )  # fmt: skip
    return sorted(step.answers[0], key=str)


def test_r19_a_rebuild_from_the_log_alone_knows_the_same_alerts() -> None:
    rig = silent_server()
    rig.publish(failed(rig.now))
    rig.advance(HOUR)
    rig.ask("acknowledge", alert_id=raised(rig)[0].id, note="known")
    rig.ask("resolve", alert_id=raised(rig)[1].id)
    assert state(replayed(rig)) == state(rig)
    rig.advance(MINUTE)
    rig.publish(mode_changed(laptop(version=2)), finished(rig.now, job_id="j2"))
    assert state(replayed(rig)) == state(rig)


def test_r19_a_rebuild_knows_of_the_mute() -> None:
    rig = silent_server()
    rig.advance(HOUR)
    rig.ask("resolve", alert_id=raised(rig)[0].id)
    new = replayed(rig)
    new.advance(MINUTE - TICK)
    assert open_alerts(new) == []
    new.advance(TICK)
    assert open_kinds(new) == ["agent_offline"]


def test_r19_a_rebuild_knows_of_the_outage_and_its_end() -> None:
    rig = fleet(20)
    fall_silent(rig, ids(20))
    rig.advance(FLOOR)
    come_back(rig, *ids(19))
    new = replayed(rig)
    assert state(new) == state(rig)
    rig.advance(2 * MINUTE)
    new.advance(2 * MINUTE)
    assert open_kinds(new) == open_kinds(rig) == ["agent_offline"]
    assert [alert["held_by"] for alert in open_alerts(new)] == [None]
    assert state(replayed(rig)) == state(rig)


def decided(rig: Rig, event, host_id: str = "h1") -> list[tuple[str, str, str]]:
    """Publish `event`, which has both conditions looked at; return what was decided of the host."""
    (before,) = rig.db.execute("SELECT ifnull(max(row_id), 0) FROM decision").fetchone()
    rig.publish(event)
    return rig.db.execute(
        "SELECT what, rule, text FROM decision WHERE host_id = ? AND row_id > ? ORDER BY row_id",
        (host_id, before),
    ).fetchall()


def looked_at(version: int) -> HostChanged:
    """A change of a server that has both conditions looked at, and changes neither verdict."""
    return changed(record(version=version, thresholds=Thresholds(stale_seconds=version)))


def test_r19_a_look_that_changes_nothing_leaves_a_decision_too() -> None:
    rig = alerting()
    assert decided(rig, looked_at(2)) == [
        ("no_alert", "R5", "a host that was never seen has no silence to measure"),
        ("no_alert", "R6", "only intermittent hosts are judged by the age of their backups"),
    ]
    rig.publish(hello())
    assert decided(rig, looked_at(3))[0] == ("no_alert", "R5", "it is connected")
    rig.publish(offline(START))
    rig.advance(HOUR)
    assert decided(rig, looked_at(4))[0] == (
        "alert_stands", "R5", "agent offline stays open: silent past the floor"
    )  # fmt: skip
    rig = alerting()
    assert decided(rig, mode_changed(laptop(version=2, schedules=()))) == [
        ("no_alert", "R4", "intermittent hosts raise none while asleep"),
        ("no_alert", "R6", "no schedule is enabled"),
    ]


def test_r19_a_change_that_concerns_no_rule_decides_nothing() -> None:
    rig = silent_server()
    assert decided(rig, changed(record(version=2, name="web-3", tags=("paris",)))) == []


def test_r19_a_stale_laptop_whose_reports_are_awaited() -> None:
    rig = sleeping_laptop()
    rig.advance(8 * DAY)
    rig.publish(stopped(rig.now))
    rig.advance(HOUR)
    longer = Thresholds(stale_seconds=30 * 86400)
    assert decided(rig, changed(laptop(version=2, thresholds=longer)))[-1] == (
        "alert_stands", "R6",
        "stale schedule stays open: nobody listened for long: its reports are awaited first",
    )  # fmt: skip


def test_r19_every_evaluation_leaves_a_decision() -> None:
    rig = sleeping_laptop()
    rig.advance(8 * DAY)
    rig.ask("resolve", alert_id=raised(rig)[0].id)
    rig.advance(MINUTE)
    rig.publish(hello(session="s2", connection=2), synced(session="s2"))
    rig.publish(finished(rig.now, job_id="j2"))
    rig.publish(mode_changed(record(version=2)), offline(rig.now, session="s2"))
    decisions = rig.decisions("alerting", "h1")
    for what in ("no_alert", "no_alert_yet", "alert_raised", "alert_muted", "alert_resolved"):
        assert what in decisions
    rows = rig.db.execute("SELECT rule, text, facts FROM decision WHERE host_id = 'h1'").fetchall()
    assert all(text and isinstance(json.loads(facts), dict) for _, text, facts in rows)
