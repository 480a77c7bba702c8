"""How sessions begin, are kept, replaced and ended by the machine."""

from __future__ import annotations

from datetime import timedelta

import pytest

from libs.common.clock import TICK
from libs.common.events.agent import (
    AgentHello,
    AgentOffline,
    AgentSynced,
    GatewayListening,
    GatewayStopped,
    OfflineReason,
)
from libs.common.protocol import CloseCode, Goodbye, GoodbyeReason, SpoolState
from services.gateway.machine import LISTENING
from services.gateway.sessions import Accepted, Heard, Refused
from tests.unit.gateway.conftest import HOST, GatewayRig

SECOND = timedelta(seconds=1)


def test_a_hello_is_told_with_all_it_said(gw: GatewayRig) -> None:
    gw.offset = timedelta(minutes=7)
    answer = gw.hello(
        connection=7, power={"on_battery": True, "percent": 40}, metered=True,
        running=["job-1"], spool={"id": "spool-1", "last_seq": 3},
    )  # fmt: skip
    told = gw.rig.last(AgentHello)
    assert answer == Accepted(behind=False)
    assert (told.session, told.gateway, told.connection) == ("s1", "gw-1", 7)
    assert (told.on_battery, told.battery_percent, told.metered) == (True, 40, True)
    assert (told.running, told.spool_id, told.last_seq) == (("job-1",), "spool-1", 3)
    assert told.clock_offset_seconds == 420
    assert not gw.rig.of(AgentSynced)


def test_a_minimal_hello_has_an_empty_spool_of_its_own(gw: GatewayRig) -> None:
    gw.hello(connection=None)
    told = gw.rig.last(AgentHello)
    assert (told.spool_id, told.last_seq, told.clock_offset_seconds) == ("s1", 0, 0)
    assert gw.rig.last(AgentSynced).session == "s1"


@pytest.mark.parametrize(
    ("silence", "offline"),
    [
        pytest.param(90 * SECOND - TICK, 0, id="one tick early"),
        pytest.param(90 * SECOND, 1, id="exactly 90 s"),
    ],
)
def test_r3_silence_ends_a_session(gw: GatewayRig, silence: timedelta, offline: int) -> None:
    gw.hello()
    seen = gw.now
    gw.rig.advance(silence)
    assert len(gw.rig.of(AgentOffline)) == offline
    if offline:
        ended = gw.rig.last(AgentOffline)
        assert (ended.session, ended.last_seen) == ("s1", seen)
        assert ended.reason is OfflineReason.HEARTBEAT_TIMEOUT
        assert [end.session for end in gw.ended()] == ["s1"]
        assert gw.rig.decisions("gateway", HOST) == ["went_offline"]


def test_r3_frames_move_the_end(gw: GatewayRig) -> None:
    gw.hello()
    gw.advance(60)
    gw.heard()
    gw.advance(89)
    assert not gw.rig.of(AgentOffline)
    gw.advance(1)
    assert gw.rig.last(AgentOffline).last_seen == gw.now - 90 * SECOND


def test_r3_what_was_heard_earlier_changes_nothing(gw: GatewayRig) -> None:
    gw.hello()
    gw.heard(at=gw.now - 60 * SECOND)
    gw.advance(89)
    assert not gw.rig.of(AgentOffline)


def test_r3_goodbye_ends_at_once_and_once(gw: GatewayRig) -> None:
    gw.hello()
    gw.advance(5)
    taken = gw.frames(Goodbye(reason=GoodbyeReason.SLEEP))
    assert taken is not None
    assert taken.ended
    assert gw.rig.last(AgentOffline).reason is OfflineReason.SLEEP
    assert gw.rig.last(AgentOffline).last_seen == gw.now
    assert gw.frames(Goodbye(reason=GoodbyeReason.SHUTDOWN)) is None
    gw.heard()
    gw.advance(300)
    assert len(gw.rig.of(AgentOffline)) == 1


def test_r3_a_newer_connection_replaces_without_going_offline(gw: GatewayRig) -> None:
    gw.hello("s1", 10)
    gw.advance(80)
    assert isinstance(gw.hello("s2", 11), Accepted)
    (ended,) = gw.ended()
    assert (ended.session, ended.code) == ("s1", CloseCode.REPLACED)
    assert "11" in ended.reason
    gw.advance(20)
    assert not gw.rig.of(AgentOffline)
    assert gw.frames(Goodbye(reason=GoodbyeReason.SLEEP), session="s1") is None
    gw.heard("s1")
    gw.advance(70)
    assert gw.rig.last(AgentOffline).session == "s2"


@pytest.mark.parametrize("connection", [9, 10])
def test_r3_a_refused_hello_replaces_nothing(gw: GatewayRig, connection: int) -> None:
    gw.hello("s1", 10)
    refused = gw.hello("s2", connection)
    assert isinstance(refused, Refused)
    assert refused.code == CloseCode.REPLACED
    assert "10" in refused.reason
    assert len(gw.rig.of(AgentHello)) == 1
    assert not gw.ended()
    assert gw.frames(Goodbye(reason=GoodbyeReason.SLEEP), session="s1") is not None
    assert gw.rig.decisions("gateway", HOST)[0] == "hello_refused"


def test_r3_an_ended_session_still_is_the_newer_one(gw: GatewayRig) -> None:
    gw.hello("s1", 10)
    gw.frames(Goodbye(reason=GoodbyeReason.SLEEP))
    assert isinstance(gw.hello("s2", 9), Refused)
    assert isinstance(gw.hello("s3", 11), Accepted)


# -- another gateway -------------------------------------------------------------------------------


def test_r3_another_gateways_newer_hello_closes_ours(gw: GatewayRig) -> None:
    gw.hello("s1", 10)
    gw.foreign_hello("f1", 11)
    assert [(end.session, end.code) for end in gw.ended()] == [("s1", CloseCode.REPLACED)]
    gw.advance(300)
    assert not gw.rig.of(AgentOffline)
    assert isinstance(gw.hello("s2", 11), Refused)


def test_r3_another_gateways_older_hello_does_nothing(gw: GatewayRig) -> None:
    gw.hello("s1", 10)
    gw.foreign_hello("f1", 9)
    assert not gw.ended()
    gw.advance(90)
    assert gw.rig.last(AgentOffline).session == "s1"


def test_r3_equal_counters_the_first_in_the_log_wins(gw: GatewayRig) -> None:
    gw.hello("s1", 10)
    gw.foreign_hello("f1", 10)
    assert not gw.ended()


def test_r3_a_hello_that_comes_again_replaces_nothing(gw: GatewayRig) -> None:
    """Without counters only the order in the log tells; a redelivery must not look like news."""
    old = gw.foreign_hello("f1", None)
    gw.hello("s1", None)
    gw.rig.redeliver([old])
    assert not gw.ended()
    gw.foreign_hello("f2", None)
    assert [end.session for end in gw.ended()] == ["s1"]


# -- listening -------------------------------------------------------------------------------------


def test_r10_time_before_listening_ages_nobody(gw: GatewayRig) -> None:
    """As after a crash: whoever does not return within 90 s goes offline, with its last frame."""
    gw.hello()
    seen = gw.now
    gw.rig.clock.advance(timedelta(hours=5))
    gw.rig.input("gateway", gw.machine.on_connected)
    gw.advance(89)
    assert not gw.rig.of(AgentOffline)
    gw.advance(1)
    assert gw.rig.last(AgentOffline).last_seen == seen


def test_r10_a_stall_is_no_silence_of_the_agents(gw: GatewayRig) -> None:
    gw.hello()
    gw.pulse()
    gw.rig.clock.advance(timedelta(minutes=10))
    gw.rig.settle()
    assert not gw.rig.of(AgentOffline)
    assert gw.rig.last(GatewayListening).since == gw.now
    gw.advance(90)
    assert len(gw.rig.of(AgentOffline)) == 1


def test_r10_a_pulse_after_a_stall_notices_it_too(gw: GatewayRig) -> None:
    gw.hello()
    gw.pulse()
    gw.rig.clock.advance(timedelta(minutes=10))
    gw.pulse()
    assert not gw.rig.of(AgentOffline)
    assert gw.rig.last(GatewayListening).since == gw.now


def test_r6_a_session_that_outlives_a_blackout_tells_that_its_reports_are_here(
    gw: GatewayRig,
) -> None:
    """Once, and when it was heard after it, with nothing of before still to be stored."""
    gw.hello()
    gw.hello("s2", host_id="host-2", spool={"id": "a-spool", "last_seq": 7})  # Has more to report.
    gw.rig.input("gateway", gw.machine.on_connected)
    since, both = gw.now, [("s1", HOST), ("s2", "host-2")]
    gw.pulse(*(Heard(host, session, since) for session, host in both))  # Of before.
    gw.advance(5)
    gw.pulse(Heard(HOST, "s1", gw.now, is_behind=True))
    assert [told.since for told in gw.rig.of(AgentSynced)] == [None]
    for _ in range(2):
        gw.advance(5)
        gw.pulse(*(Heard(host, session, gw.now) for session, host in both))
    told = gw.rig.of(AgentSynced)[1:]
    assert [(one.host_id, one.session, one.since) for one in told] == [(HOST, "s1", since)]


def test_r3_a_clock_set_back_neither_keeps_nor_ends_anybody(gw: GatewayRig) -> None:
    """Times from before it lie ahead; who beats stays, and who is gone goes 90 s later."""
    gw.hello("s1", 1)
    gw.hello("t1", 1, host_id="host-2")
    gw.advance(5)
    gw.pulse(Heard(HOST, "s1", gw.now), Heard("host-2", "t1", gw.now))
    gw.rig.clock.set(gw.now - timedelta(hours=1))
    gw.pulse(Heard(HOST, "s1", gw.now))
    for _ in range(9):
        gw.advance(10)
        gw.pulse(Heard(HOST, "s1", gw.now))
    assert [event.host_id for event in gw.rig.of(AgentOffline)] == ["host-2"]
    assert gw.rig.last(AgentOffline).last_seen <= gw.now


def test_listening_is_signalled_once_it_is_in_the_log(gw: GatewayRig) -> None:
    since = [value for _, topic, value in gw.rig.signals if topic == LISTENING]
    assert since == [gw.rig.last(GatewayListening).since]
    gw.rig.publish(GatewayListening(gateway="gw-2", since=gw.now))
    gw.rig.publish(GatewayListening(gateway="gw-1", since=gw.now - SECOND))
    assert len([1 for _, topic, _ in gw.rig.signals if topic == LISTENING]) == 1


def test_an_orderly_stop_is_told_and_leaves_hosts_online(gw: GatewayRig) -> None:
    gw.hello()
    gw.rig.input("gateway", gw.machine.stop_listening)
    assert gw.rig.last(GatewayStopped).gateway == "gw-1"
    assert not gw.rig.of(AgentOffline)


def test_when_presence_took_us_for_lost_agents_must_say_hello_again(gw: GatewayRig) -> None:
    gw.hello("s1", 1)
    lost = AgentOffline(host_id=HOST, session="s1", last_seen=gw.now,
                        reason=OfflineReason.GATEWAY_LOST)  # fmt: skip
    gw.rig.publish(lost)
    assert [(end.session, end.code) for end in gw.ended()] == [("s1", CloseCode.TRY_LATER)]
    gw.hello("s2", 2)
    gw.rig.redeliver([lost])
    assert len(gw.ended()) == 1
    gw.advance(90)
    assert [event.session for event in gw.rig.of(AgentOffline)] == ["s1", "s1", "s2"]


def test_spools_of_a_host_are_bounded(gw: GatewayRig) -> None:
    for count in range(1, 30):
        gw.advance(1)
        gw.hello(f"s{count}", count, spool=SpoolState(id=f"spool-{count}", last_seq=0))
    (kept,) = gw.rig.db.execute("SELECT count(*) FROM spool").fetchone()
    assert kept == 8
