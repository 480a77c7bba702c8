"""R18, R10: a new file, a wiped log, a restart with other thresholds."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from libs.common.clock import TICK, to_rfc3339
from libs.common.events.agent import OfflineReason
from libs.common.events.alert import AlertResolved
from libs.common.loop.core import Core
from libs.common.testing.rig import Rig
from services.alerting.machine import AlertingMachine
from services.alerting.settings import AlertingSettings
from services.alerting.watch import NEXT_BEAT
from tests.unit.alerting.kit import (
    DAY,
    FLOOR,
    HOUR,
    MINUTE,
    OFFLINE_AFTER,
    STALE_AFTER,
    START,
    advance_to,
    beat,
    enrolled,
    failed,
    hello,
    laptop,
    listening,
    lost,
    offline,
    open_alerts,
    open_kinds,
    raised,
    record,
    silent_server,
    sleeping_laptop,
)
from tests.unit.alerting.test_outage import fall_silent, fleet, ids


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


def back_since(at) -> dict[str, bytes]:
    now = to_rfc3339(at)
    return session(status="online", session="s9", connection=9, since=now, last_seen=now,
                   reason=None)  # fmt: skip


def ends(rig: Rig) -> list[tuple[str, str]]:
    return sorted((end.alert.kind, end.reason) for end in rig.of(AlertResolved))


def test_r4_r5_a_new_file_ends_the_open_alerts_that_are_over_by_the_buckets() -> None:
    old = silent_server()
    old.advance(HOUR)
    now = old.now
    for hosts_now, session_now, reason in (
        (hosts(record()), back_since(now), "host_returned"),
        (hosts(laptop(version=2)), session(), "mode_changed"),
        (hosts(record(version=2, removed=True)), {}, "host_removed"),
    ):
        rig = new_service({"hosts": hosts_now, "sessions": session_now, **old.buckets}, at=now)
        beat(rig, since=START)
        assert ends(rig) == [("agent_offline", reason)]
        assert open_alerts(rig) == []
        assert rig.buckets["alerts"] == {}


def test_r9_a_new_file_ends_the_failures_that_a_later_backup_undid() -> None:
    old = sleeping_laptop()
    old.publish(failed(START, "j2"), failed(START, "j3", source_group_id="g2"))
    buckets = {"hosts": hosts(laptop()), "sessions": session(), **old.buckets}
    rig = new_service({**buckets, "backups": backup(START)}, at=START + HOUR)
    assert len(open_alerts(rig)) == 2
    rig = new_service({**buckets, "backups": backup(START + MINUTE)}, at=START + HOUR)
    assert [alert["dedup_key"] for alert in open_alerts(rig)] == ["g2"]
    assert ends(rig) == [("backup_failed", "backup_succeeded")]


def back_from(rig: Rig, hosts_back: list[str]) -> dict[str, bytes]:
    """Bucket `sessions` as of a moment at which these hosts are back."""
    value = back_since(rig.now)["h1"]
    return {host_id: value.replace(b'"h1"', f'"{host_id}"'.encode()) for host_id in hosts_back}


def test_r5_a_new_file_ends_an_outage_whose_hosts_are_back_by_the_bucket() -> None:
    old = fleet(5)
    fall_silent(old, ids(5))
    old.advance(FLOOR)
    all_back = {"hosts": hosts(*map(record, ids(5))), "sessions": back_from(old, ids(5))}
    rig = new_service({**all_back, **old.buckets}, at=old.now)
    beat(rig, since=START)
    assert ends(rig)[-1] == ("fleet_outage", "all_returned")
    assert open_alerts(rig) == []


def test_r5_after_a_wiped_log_those_who_are_back_by_the_bucket_end_an_outage() -> None:
    rig = fleet(5)
    fall_silent(rig, ids(5))
    rig.advance(FLOOR)
    machine = rig.cores["alerting"].machine
    rig.input("alerting", lambda tx: machine.load(tx, {"sessions": back_from(rig, ids(5))}))
    assert ends(rig)[-1] == ("fleet_outage", "all_returned")
    assert open_alerts(rig) == []


def test_r5_a_host_that_is_back_by_the_bucket_is_not_missed() -> None:
    rig = silent_server()
    rig.advance(HOUR)
    back = back_since(rig.now)
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


@pytest.mark.parametrize(
    "gateways", [[], ["gw-1"], ["gw-1", "gw-2"]], ids=["wiped", "rewound", "rewound, two gateways"]
)
@pytest.mark.parametrize(
    ("away", "found"),
    [
        pytest.param(OFFLINE_AFTER - TICK, ["stale_schedule"], id="a short one"),
        pytest.param(OFFLINE_AFTER, [], id="a long blackout: its reports are awaited"),
    ],
)
def test_r6_a_log_that_is_lost_is_as_long_a_blackout_as_nobody_listened(
    away: timedelta, found: list[str], gateways: list[str]
) -> None:
    rig = sleeping_laptop()
    rig.advance(STALE_AFTER - HOUR)
    beat(rig, since=START)
    machine = rig.cores["alerting"].machine
    rig.clock.advance(away)
    rig.input("alerting", lambda tx: machine.load(tx, {}))
    rig.publish(*(listening(START, gateway=name) for name in gateways), hello(session="s1"))
    rig.publish(*(listening(rig.now, gateway=name) for name in gateways or ["gw-1"]))
    rig.advance(HOUR)
    assert open_kinds(rig) == found


def test_r10_a_beat_that_cannot_be_read_is_ignored() -> None:
    rig = silent_server()
    rig.live("alerting", "dormice-live.beat.gw-1", {"gateway": "gw-1"})
    rig.advance(FLOOR - OFFLINE_AFTER)
    assert len(raised(rig)) == 1


def test_r10_a_beat_that_is_faster_than_its_listening_tells_of_the_same_break() -> None:
    rig = silent_server()
    again = rig.now + 5 * MINUTE
    advance_to(rig, again)
    beat(rig, since=again)
    rig.publish(listening(again))
    advance_to(rig, again + FLOOR - TICK)
    assert raised(rig) == []
    rig.advance(TICK)
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
    beat(rig)
    rig.advance(NEXT_BEAT)


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
