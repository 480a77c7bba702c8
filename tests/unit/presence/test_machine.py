"""Presence's machine, driven by events, beats and a clock that only we move."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from libs.common.clock import TICK
from libs.common.errors import HostNotFound
from libs.common.events.agent import AgentOffline, AgentPower, GatewayLost, OfflineReason
from libs.common.events.host import HostChanged, HostModeChanged, HostRemoved
from libs.common.events.presence import PresenceOffline, PresenceOnline
from libs.common.testing.rig import START, Rig
from services.presence.machine import PresenceMachine
from services.presence.settings import PresenceSettings
from tests.unit.presence.kit import (
    HOUR,
    LOST_AFTER,
    MINUTE,
    OFFLINE_AFTER,
    SECOND,
    beat,
    beat_for,
    enrolled,
    hello,
    listening,
    offline,
    presence,
    record,
    stopped,
)


def session_of(rig: Rig, host_id: str = "h1") -> dict:
    return rig.ask("get_session", host_id=host_id)


def states(rig: Rig, host_id: str = "h1", **arguments) -> list[tuple[str, str | None]]:
    return [
        (piece["state"], piece["reason"])
        for piece in rig.ask("timeline", host_id=host_id, **arguments)
    ]


def test_r3_online_by_hello_offline_by_the_end_of_the_session() -> None:
    rig = presence()
    assert session_of(rig)["status"] == "never_seen"
    rig.publish(hello())
    assert rig.last(PresenceOnline).since == START
    rig.advance(OFFLINE_AFTER)
    rig.publish(offline(START))
    told = rig.last(PresenceOffline)
    assert (told.since, told.last_seen) == (START + OFFLINE_AFTER, START)
    assert session_of(rig)["status"] == "offline"
    assert states(rig) == [("online", "heartbeat_timeout"), ("offline", None)]


def test_r3_a_goodbye_counts_at_once() -> None:
    rig = presence()
    rig.publish(hello())
    rig.advance(MINUTE)
    rig.publish(offline(rig.now, reason=OfflineReason.SLEEP))
    assert rig.last(PresenceOffline).since == rig.now
    assert rig.last(PresenceOffline).reason is OfflineReason.SLEEP


def test_r3_a_late_message_of_an_older_connection_changes_nothing() -> None:
    rig = presence()
    rig.publish(hello(session="s2", connection=2))
    rig.publish(hello(session="s1", connection=1))
    rig.publish(offline(START, session="s1"))
    assert session_of(rig)["session"] == "s2"
    assert session_of(rig)["status"] == "online"
    assert not rig.of(PresenceOffline)
    assert "hello_ignored" in rig.decisions("presence", "h1")


def test_r3_without_a_counter_the_log_decides_but_not_for_a_repeated_hello() -> None:
    rig = presence()
    first, second = hello(session="s1", connection=None), hello(session="s2", connection=7)
    rig.publish(first, second)
    assert session_of(rig)["session"] == "s2"
    rig.redeliver([first])
    assert session_of(rig)["session"] == "s2"


def test_r3_the_same_hello_and_the_same_end_again() -> None:
    rig = presence()
    end = offline(START, reason=OfflineReason.SLEEP)
    rig.publish(hello(), end)
    rig.redeliver([hello()])
    assert session_of(rig)["status"] == "offline"
    rig.publish(hello(session="s2", connection=2))
    rig.redeliver([end, hello()])
    assert session_of(rig)["status"] == "online"
    assert (len(rig.of(PresenceOnline)), len(rig.of(PresenceOffline))) == (2, 1)


def test_r3_a_newer_connection_takes_over_without_an_end() -> None:
    rig = presence()
    rig.publish(hello())
    rig.advance(MINUTE)
    rig.publish(hello(session="s2", connection=2))
    assert rig.last(PresenceOnline).session == "s2"
    assert rig.last(PresenceOnline).since == START  # It has been online all the time.
    assert states(rig) == [("online", None)]


def test_r2_the_mode_changes_nothing_about_being_offline() -> None:
    told = []
    for always_on in (True, False):
        rig = presence()
        changed = record(version=2, always_on=always_on)
        rig.publish(HostModeChanged(host_id="h1", record=changed, always_on=always_on))
        rig.publish(hello())
        rig.advance(OFFLINE_AFTER)
        rig.publish(offline(START))
        told.append(rig.last(PresenceOffline))
        assert rig.last(PresenceOffline).always_on is always_on
        assert rig.decisions("presence", "h1")[-1] == ("offline" if always_on else "asleep")
    assert told[0].model_copy(update={"always_on": False}) == told[1]


# -- a lost gateway --------------------------------------------------------------------------------


def online(rig: Rig) -> Rig:
    rig.publish(hello())
    beat(rig, "h1")
    return rig


def test_r3_a_silent_gateway_is_lost_with_its_hosts() -> None:
    rig = online(presence())
    beat_for(rig, MINUTE, "h1")
    last_beat = rig.now
    rig.advance(LOST_AFTER - TICK)
    assert not rig.of(GatewayLost)
    rig.advance(TICK)
    (lost,) = rig.of(GatewayLost)
    assert (lost.gateway, lost.at, lost.since) == ("gw-1", last_beat + LOST_AFTER, START)
    (end,) = rig.of(AgentOffline)
    assert (end.session, end.reason) == ("s1", OfflineReason.GATEWAY_LOST)
    assert end.last_seen == last_beat
    assert rig.last(PresenceOffline).since == last_beat + OFFLINE_AFTER
    assert "gateway_lost" in rig.decisions("presence", "gw-1")


def test_r3_a_stopped_gateway_has_as_long_to_come_back() -> None:
    rig = online(presence())
    rig.publish(stopped(rig.now))
    rig.advance(LOST_AFTER - TICK)
    rig.publish(listening(rig.now))
    rig.advance(LOST_AFTER - TICK)
    assert not rig.of(GatewayLost)
    rig.publish(stopped(rig.now))
    rig.advance(LOST_AFTER)
    assert len(rig.of(GatewayLost)) == 1


def test_r3_only_hosts_of_the_lost_gateway_go_offline() -> None:
    rig = online(presence())
    rig.publish(
        listening(START, "gw-2"), enrolled("h2"), enrolled("h3"),
        hello("h2", gateway="gw-2"), hello("h3", gateway="gw-1"),
        hello("h3", session="s2", connection=2, gateway="gw-2"),
    )  # fmt: skip
    end = rig.now + LOST_AFTER
    while rig.now < end:
        rig.advance(5 * SECOND)
        beat(rig, "h2", "h3", gateway="gw-2")
    assert [lost.gateway for lost in rig.of(GatewayLost)] == ["gw-1"]
    assert [told.host_id for told in rig.of(PresenceOffline)] == ["h1"]


def test_r10_after_a_reconnect_gateways_have_a_full_grace() -> None:
    rig = online(presence())
    rig.clock.advance(HOUR)  # We were away: nothing was run, no beat was heard.
    rig.input("presence", lambda tx: rig.cores["presence"].machine.on_connected(tx))
    rig.advance(LOST_AFTER - TICK)
    assert not rig.of(GatewayLost)
    rig.advance(TICK)
    assert len(rig.of(GatewayLost)) == 1


def test_r10_who_slept_itself_judges_nobody() -> None:
    rig = online(presence())
    rig.clock.advance(HOUR)  # As after a suspend: the deadline is due, the beats are on their way.
    rig.settle()
    assert not rig.of(GatewayLost)
    beat(rig, "h1")
    beat_for(rig, LOST_AFTER, "h1")
    assert not rig.of(GatewayLost)


def test_r10_a_clock_stepped_back_loses_no_gateway() -> None:
    rig = online(presence())
    rig.clock.set(START - HOUR)
    beat_for(rig, 3 * LOST_AFTER, "h1")
    assert not rig.of(GatewayLost)
    rig.advance(LOST_AFTER)
    assert len(rig.of(GatewayLost)) == 1


def test_r3_old_news_of_a_gateway_change_nothing() -> None:
    rig = online(presence())
    rig.advance(MINUTE)
    old = stopped(rig.now)
    rig.publish(old)
    again = rig.now + 10 * SECOND
    rig.advance(10 * SECOND)
    rig.publish(listening(again))
    rig.redeliver([listening(START), old])
    beat_for(rig, LOST_AFTER, "h1")
    assert not rig.of(GatewayLost)


def test_r3_the_gateway_knows_the_last_frame_better_than_we_did() -> None:
    rig = online(presence())
    rig.advance(LOST_AFTER)
    assert session_of(rig)["last_seen"] == "2026-06-15T09:00:00Z"
    true = START + 7 * SECOND
    rig.publish(offline(true))
    assert session_of(rig)["last_seen"] == "2026-06-15T09:00:07Z"
    assert len(rig.of(PresenceOffline)) == 1


def test_a_hello_through_a_lost_gateway_shows_that_it_lives() -> None:
    rig = online(presence())
    rig.advance(LOST_AFTER)
    rig.publish(hello(session="s2", connection=2))
    beat_for(rig, LOST_AFTER, "h1", every=SECOND * 60)
    assert len(rig.of(GatewayLost)) == 1
    rig.advance(LOST_AFTER)
    assert len(rig.of(GatewayLost)) == 2


# -- timeline --------------------------------------------------------------------------------------


def test_r10_time_without_a_gateway_is_not_observed() -> None:
    rig = online(presence())
    beat_for(rig, 10 * MINUTE, "h1")
    rig.publish(stopped(rig.now))
    rig.advance(HOUR)
    rig.publish(listening(rig.now))
    rig.publish(hello(session="s2", connection=2))
    while rig.now < START + 2 * HOUR:
        beat(rig, "h1", since=START + 70 * MINUTE)
        rig.advance(MINUTE)
    timeline = rig.ask("timeline", host_id="h1")
    assert [(piece["state"], piece["reason"]) for piece in timeline] == [
        ("online", "not_observed"), ("not_observed", "observed_again"), ("online", None)
    ]  # fmt: skip
    assert timeline[1]["from"] == "2026-06-15T09:10:00Z"
    assert timeline[1]["to"] == "2026-06-15T10:10:00Z"
    shares = session_of(rig)["shares_14d"]
    assert (shares["online"], shares["not_observed"], shares["offline"]) == (0.5, 0.5, 0.0)


def test_r10_a_gateway_that_crashed_without_a_word() -> None:
    rig = online(presence())
    beat_for(rig, MINUTE, "h1")
    rig.advance(100 * SECOND)
    rig.publish(listening(rig.now))
    assert states(rig) == [("online", "not_observed"), ("not_observed", "observed_again"),
                           ("online", None)]  # fmt: skip


def test_r10_one_of_two_gateways_still_sees() -> None:
    rig = online(presence())
    rig.publish(listening(START, "gw-2"), stopped(rig.now))
    rig.advance(MINUTE)
    assert states(rig) == [("online", None)]


def test_r10_one_of_two_crashed_without_a_word() -> None:
    rig = online(presence())
    rig.publish(listening(START, "gw-2"))
    rig.advance(100 * SECOND)
    rig.publish(listening(rig.now))
    assert states(rig) == [("online", None)]


def test_r3_flaps_are_counted_for_a_day() -> None:
    rig = presence()
    for number in range(1, 4):
        rig.publish(hello(session=f"s{number}", connection=number))
        rig.advance(30 * SECOND)
        rig.publish(offline(rig.now, session=f"s{number}", reason=OfflineReason.SLEEP))
        rig.advance(30 * SECOND)
        beat(rig)
    assert session_of(rig)["flaps_24h"] == 3
    assert states(rig) == [("online", "sleep"), ("offline", "hello")] * 2 + [
        ("online", "sleep"), ("offline", None)
    ]  # fmt: skip
    assert states(rig, since=rig.now) == [("offline", None)]
    rig.advance(24 * HOUR - MINUTE)
    assert session_of(rig)["flaps_24h"] == 1


def test_timeline_of_nobody() -> None:
    rig = presence()
    with pytest.raises(HostNotFound):
        rig.ask("timeline", host_id="nobody")
    rig.advance(MINUTE)
    assert states(rig) == [("never_seen", None)]


# -- last_seen and the bucket ----------------------------------------------------------------------


def test_r18_last_seen_follows_the_beats_to_ten_seconds() -> None:
    rig = online(presence())
    puts = session_of(rig)["version"]
    beat_for(rig, MINUTE, "h1")
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


def test_r18_an_older_value_of_the_bucket_does_not_undo_what_we_know() -> None:
    rig = online(presence())
    old = {"sessions": dict(rig.buckets["sessions"])}
    rig.publish(offline(rig.now, reason=OfflineReason.SLEEP))
    rig.input("presence", lambda tx: rig.cores["presence"].machine.load(tx, old))
    assert session_of(rig)["status"] == "offline"


def test_r18_after_a_wiped_log_the_bucket_is_put_again() -> None:
    rig = online(presence())
    rig.buckets["sessions"].clear()
    rig.input("presence", lambda tx: rig.cores["presence"].machine.republish(tx))
    assert json.loads(rig.buckets["sessions"]["h1"])["status"] == "online"


def test_scaled_settings() -> None:
    rig = presence(offline_after="3s")
    rig.publish(hello())
    beat(rig, "h1")
    rig.advance(timedelta(seconds=33) - TICK)
    assert not rig.of(GatewayLost)
    rig.advance(TICK)
    assert rig.of(GatewayLost)
