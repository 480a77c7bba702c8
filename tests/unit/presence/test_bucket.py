"""R18: last_seen, records, and what bucket `sessions` holds of a host."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import pytest

from libs.common.clock import TICK
from libs.common.errors import HostNotFound
from libs.common.events.agent import AgentPower, GatewayLost, OfflineReason
from libs.common.events.host import HostChanged, HostRemoved
from libs.common.events.presence import PresenceOffline
from libs.common.testing.rig import START, Rig
from services.presence.machine import PresenceMachine
from services.presence.settings import PresenceSettings
from tests.unit.presence.kit import (
    HOUR,
    LOST_AFTER,
    MINUTE,
    SECOND,
    beat,
    beat_for,
    enrolled,
    hello,
    offline,
    online,
    presence,
    record,
    session_of,
)


def test_r18_last_seen_follows_the_beats_to_ten_seconds() -> None:
    rig = online(presence())
    puts = session_of(rig)["version"]
    for _ in range(12):
        beat_for(rig, 5 * SECOND, "h1")
        assert rig.now - datetime.fromisoformat(session_of(rig)["last_seen"]) <= 10 * SECOND
    assert session_of(rig)["last_seen"] == "2026-06-15T09:01:00Z"
    rig.advance(SECOND)
    beat(rig, "h1")
    seen = session_of(rig)["last_seen"]
    assert seen == "2026-06-15T09:01:00Z"  # Less than a step newer is not worth a write.
    assert session_of(rig)["version"] == puts
    assert json.loads(rig.buckets["sessions"]["h1"])["last_seen"] == "2026-06-15T09:00:00Z"


def test_the_bucket_follows_a_running_session_coarsely() -> None:
    rig = online(presence())
    beat_for(rig, 25 * MINUTE, "h1", every=MINUTE)
    value = json.loads(rig.buckets["sessions"]["h1"])
    assert value["status"] == "online"
    assert value["last_seen"] >= "2026-06-15T09:05:00Z"
    assert value["version"] <= 4


def test_a_beat_says_nothing_of_a_host_that_said_goodbye() -> None:
    rig = online(presence())
    rig.publish(offline(rig.now, reason=OfflineReason.SLEEP))
    rig.advance(5 * SECOND)
    beat(rig, "h1", "unknown")
    assert session_of(rig)["last_seen"] == "2026-06-15T09:00:00Z"
    assert session_of(rig)["status"] == "offline"


def test_a_beat_that_cannot_be_read_is_ignored() -> None:
    rig = online(presence())
    rig.live("presence", "dormice-live.beat.gw-1", {"gateway": "gw-1"})
    assert session_of(rig)["status"] == "online"


def test_r3_times_in_the_future_are_not_believed() -> None:
    rig = online(presence())
    rig.advance(MINUTE)
    data = {"gateway": "gw-1", "since": START.isoformat(), "hosts": ["h1"]}
    ahead = (rig.now + HOUR).isoformat()
    rig.live("presence", "dormice-live.beat.gw-1", {**data, "at": ahead})
    assert session_of(rig)["last_seen"] == "2026-06-15T09:01:00Z"
    rig.publish(offline(rig.now + HOUR))
    assert session_of(rig)["last_seen"] == "2026-06-15T09:01:00Z"


def test_an_older_record_changes_nothing() -> None:
    rig = online(presence())
    rig.publish(HostChanged(host_id="h1", record=record(version=3, name="new", always_on=False)))
    rig.redeliver([HostChanged(host_id="h1", record=record(version=2, name="old"))])
    rig.publish(offline(rig.now))
    told = rig.last(PresenceOffline)
    assert (told.name, told.always_on) == ("new", False)


def test_power_of_the_live_session_only() -> None:
    rig = online(presence())
    rig.publish(AgentPower(host_id="h1", session="s1", on_battery=True, battery_percent=41.0))
    rig.publish(AgentPower(host_id="h1", session="s0", on_battery=False))
    assert session_of(rig)["on_battery"] is True
    assert session_of(rig)["battery_percent"] == 41.0


def test_a_removed_host_is_forgotten_and_stays_so() -> None:
    rig = online(presence())
    tombstone = record(version=3, removed=True)
    rig.publish(HostRemoved(host_id="h1", record=tombstone))
    rig.redeliver([enrolled(), hello(session="s2", connection=2)])
    assert "h1" not in rig.buckets["sessions"]
    with pytest.raises(HostNotFound):
        session_of(rig)
    assert rig.db.execute("SELECT count(*) FROM interval").fetchone() == (0,)


def test_r18_a_new_file_takes_the_state_from_the_buckets() -> None:
    rig = online(presence())
    buckets = {"hosts": {"h1": record().model_dump_json().encode()}, **rig.buckets}
    new = Rig(PresenceMachine(PresenceSettings.load()))
    core = new.cores["presence"]
    new.input("presence", lambda tx: core.machine.load(tx, buckets))
    assert session_of(new)["status"] == "online"
    assert session_of(new)["session"] == "s1"
    new.publish(offline(START, session="s0"))
    assert session_of(new)["status"] == "online"
    new.advance(LOST_AFTER)  # Its gateway is awaited, and never beats.
    assert session_of(new)["reason"] == "gateway_lost"


def test_r18_a_new_file_drops_the_session_of_a_host_that_was_removed_meanwhile() -> None:
    rig = online(presence())
    tombstone = record(version=2, removed=True).model_dump_json().encode()
    new = Rig(PresenceMachine(PresenceSettings.load()))
    new.buckets = {"hosts": {"h1": tombstone}, "sessions": dict(rig.buckets["sessions"])}
    machine = new.cores["presence"].machine
    new.input("presence", lambda tx: machine.load(tx, dict(new.buckets)))
    assert new.buckets["sessions"] == {}
    with pytest.raises(HostNotFound):
        session_of(new)


def test_r18_an_older_value_of_the_bucket_does_not_undo_what_we_know() -> None:
    rig = online(presence())
    old = {"sessions": dict(rig.buckets["sessions"])}
    rig.publish(offline(rig.now, reason=OfflineReason.SLEEP))
    rig.input("presence", lambda tx: rig.cores["presence"].machine.load(tx, old))
    assert session_of(rig)["status"] == "offline"


def test_r18_after_a_wiped_log_the_bucket_is_put_again() -> None:
    rig = online(presence())
    beat_for(rig, MINUTE, "h1")
    rig.buckets["sessions"].clear()
    rig.input("presence", lambda tx: rig.cores["presence"].machine.republish(tx))
    value = json.loads(rig.buckets["sessions"]["h1"])
    assert value["status"] == "online"
    assert rig.now - datetime.fromisoformat(value["last_seen"]) <= 10 * SECOND


def test_scaled_settings() -> None:
    rig = presence(offline_after="3s")
    rig.publish(hello())
    beat(rig, "h1")
    rig.advance(timedelta(seconds=33) - TICK)
    assert not rig.of(GatewayLost)
    rig.advance(TICK)
    assert rig.of(GatewayLost)
