"""R18, R10: a new file, a wiped log, a rebuild; everything decided stands in the log (R19)."""

from __future__ import annotations

import json

from libs.common.clock import TICK, to_rfc3339
from libs.common.events.agent import OfflineReason
from libs.common.events.alert import AlertResolved
from libs.common.loop.core import Core
from libs.common.testing.rig import ADMIN, Rig
from services.alerting.machine import AlertingMachine
from services.alerting.settings import AlertingSettings
from tests.unit.alerting.kit import (
    DAY,
    FLOOR,
    HOUR,
    MINUTE,
    OFFLINE_AFTER,
    STALE_AFTER,
    START,
    beat,
    enrolled,
    failed,
    finished,
    hello,
    laptop,
    listening,
    lost,
    mode_changed,
    offline,
    open_alerts,
    open_kinds,
    raised,
    record,
    silent_server,
    sleeping_laptop,
    synced,
)
from tests.unit.alerting.test_outage import come_back, fall_silent, fleet, ids


def new_service(buckets: dict, at=START) -> Rig:
    """Return alerting with an empty file that has just loaded `buckets`."""
    rig = Rig(AlertingMachine(AlertingSettings.load()), start=at)
    machine = rig.cores["alerting"].machine
    rig.input("alerting", lambda tx: machine.load(tx, buckets))
    return rig


def session(host_id: str = "h1", **fields) -> dict[str, bytes]:
    value = {
        "host_id": host_id, "status": "offline", "since": to_rfc3339(START + OFFLINE_AFTER),
        "last_seen": to_rfc3339(START), "session": "s1", "connection": 1, "gateway": "gw-1",
        "reason": "heartbeat_timeout", "version": 3,
    } | fields  # fmt: skip
    return {host_id: json.dumps(value).encode()}


def backup(at, host_id: str = "h1") -> dict[str, bytes]:
    value = {
        "host_id": host_id, "source_group_id": "g1", "last_success_at": to_rfc3339(at),
        "version": 1,
    }  # fmt: skip
    return {f"{host_id}.g1": json.dumps(value).encode()}


def hosts(*records) -> dict[str, bytes]:
    return {new.id: new.model_dump_json().encode() for new in records}


def test_r10_r18_a_new_file_learns_the_gateway_from_its_beat() -> None:
    now = START + 10 * MINUTE
    rig = new_service({"hosts": hosts(record()), "sessions": session()}, at=now)
    beat(rig, since=START - DAY)  # It has listened all the time.
    rig.advance(5 * MINUTE - TICK)
    assert raised(rig) == []
    rig.advance(TICK)
    assert raised(rig)[0].message == "Agent offline for 15m0s (threshold 15m0s)"
    rig.publish(hello(session="s1"))  # The session that the bucket named.
    assert open_kinds(rig) == ["agent_offline"]


def test_r10_a_new_file_and_a_new_gateway_wait_a_floor() -> None:
    now = START + 5 * HOUR
    rig = new_service({"hosts": hosts(record()), "sessions": session()}, at=now)
    rig.publish(listening(now))
    rig.advance(FLOOR - TICK)
    assert raised(rig) == []
    rig.advance(TICK)
    assert len(raised(rig)) == 1


def test_r6_a_new_file_takes_the_last_success_from_jobs() -> None:
    asleep = session(reason=OfflineReason.SLEEP)
    buckets = {"hosts": hosts(laptop()), "sessions": asleep, "backups": backup(START)}
    rig = new_service(buckets, at=START + DAY)
    beat(rig, since=START + DAY)
    rig.advance(STALE_AFTER - DAY - TICK)
    assert raised(rig) == []
    rig.advance(TICK)
    assert open_kinds(rig) == ["stale_schedule"]


def test_r6_r10_stale_knowledge_at_the_start_waits_for_reports() -> None:
    buckets = {"hosts": hosts(laptop()), "sessions": session(), "backups": backup(START)}
    rig = new_service(buckets, at=START + 8 * DAY)
    rig.publish(listening(rig.now))
    rig.advance(DAY - TICK)
    assert raised(rig) == []
    rig.advance(TICK)
    assert open_kinds(rig) == ["stale_schedule"]


def test_r7_r18_a_new_file_keeps_the_open_alerts() -> None:
    old = silent_server()
    old.advance(HOUR)
    alert_id = raised(old)[0].id
    buckets = {"hosts": hosts(record()), "sessions": session(), **old.buckets}
    rig = new_service(buckets, at=old.now)
    beat(rig, since=START)
    rig.advance(HOUR)
    assert raised(rig) == []  # It is open already.
    rig.publish(hello(session="s2", connection=2))
    assert rig.last(AlertResolved).alert.id == alert_id


def test_r5_a_host_that_is_back_by_the_bucket_is_not_missed() -> None:
    rig = silent_server()
    rig.advance(HOUR)
    back = session(status="online", session="s9", connection=9, since=to_rfc3339(rig.now),
                   last_seen=to_rfc3339(rig.now), reason=None)  # fmt: skip
    machine = rig.cores["alerting"].machine
    rig.input("alerting", lambda tx: machine.load(tx, {"sessions": back}))
    assert open_alerts(rig) == []
    rig.publish(listening(rig.now))
    rig.advance(DAY)
    assert open_alerts(rig) == []


def test_r18_after_a_wiped_log_the_bucket_is_put_again_and_what_is_over_leaves_it() -> None:
    rig = silent_server()
    rig.publish(failed(rig.now))
    rig.advance(HOUR)
    over = next(alert for alert in raised(rig) if alert.kind == "backup_failed")
    rig.ask("resolve", alert_id=over.id)
    stale_bucket = {over.id: over.model_dump_json().encode()}
    rig.buckets["alerts"] = dict(stale_bucket)
    machine = rig.cores["alerting"].machine
    rig.input("alerting", lambda tx: machine.load(tx, {"alerts": stale_bucket}))
    rig.input("alerting", lambda tx: machine.republish(tx))
    assert rig.buckets["alerts"].keys() == {alert["id"] for alert in open_alerts(rig)}


def test_r10_a_beat_that_cannot_be_read_is_ignored_and_a_known_one_teaches_nothing() -> None:
    rig = silent_server()
    rig.live("alerting", "dormice-live.beat.gw-1", {"gateway": "gw-1"})
    beat(rig, since=START + MINUTE)  # Its `listening` is on the way in the log.
    rig.advance(FLOOR - OFFLINE_AFTER)
    assert len(raised(rig)) == 1


def test_r10_a_lost_gateway_that_still_passes_hellos_on_listens() -> None:
    rig = silent_server()
    rig.publish(lost(rig.now), enrolled("h2"), hello("h2"))
    rig.advance(FLOOR)
    assert open_kinds(rig) == ["agent_offline"]


def restarted(rig: Rig, **settings) -> None:
    """Put a machine with other settings on the same file."""
    machine = AlertingMachine(AlertingSettings.load(**settings))
    rig.cores["alerting"] = Core(machine, rig.db)
    rig.input("alerting", machine.on_connected)


def test_r5_r6_other_thresholds_after_a_restart_hold_at_once() -> None:
    rig = sleeping_laptop()
    rig.publish(enrolled("h2"), hello("h2"), offline(START, "h2"))
    restarted(rig)
    rig.advance(HOUR)
    assert open_kinds(rig) == ["agent_offline"]
    restarted(rig, stale_after="30m", agent_offline_floor="2h")
    assert open_kinds(rig) == ["stale_schedule"]
    restarted(rig)
    assert open_kinds(rig) == ["agent_offline"]
    rig.advance(STALE_AFTER)
    assert open_kinds(rig) == ["agent_offline", "stale_schedule"]


# -- R19: replayed without judging ---------------------------------------------------------------


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
