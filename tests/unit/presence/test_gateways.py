"""R3, R10: a lost gateway takes its hosts along, and nobody else is judged for it."""

from __future__ import annotations

from libs.common.clock import TICK
from libs.common.events.agent import AgentOffline, GatewayLost, OfflineReason
from libs.common.events.host import Dead
from libs.common.events.presence import PresenceOffline
from libs.common.store.migrate import migrate
from libs.common.testing.rig import START
from tests.unit.presence.kit import (
    DAY,
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
    online,
    presence,
    session_of,
    states,
    stopped,
)


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


def test_r10_a_gateway_whose_time_was_nearly_up_has_a_full_grace_too() -> None:
    """The beat of another gateway let us judge; this one's may be on its way."""
    rig = online(presence())
    rig.clock.advance(LOST_AFTER - SECOND)
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


def test_r3_a_gateway_whose_clock_was_ahead_by_a_day_is_lost_again_once_it_is_right() -> None:
    rig = online(presence())
    rig.publish(listening(rig.now + DAY))
    rig.advance(LOST_AFTER)
    again = rig.now
    rig.publish(listening(again), hello(session="s2", connection=2))
    rig.advance(MINUTE)
    beat(rig, "h1", since=again)
    rig.advance(LOST_AFTER)
    assert [lost.since for lost in rig.of(GatewayLost)] == [again - LOST_AFTER + DAY, again]
    assert session_of(rig)["status"] == "offline"


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


def test_r3_r10_the_loss_of_an_earlier_period_ends_no_later_one() -> None:
    """Our own judgement may come back after the gateway has said that it listens again."""
    rig = online(presence())
    rig.advance(MINUTE)
    rig.publish(listening(rig.now))
    rig.redeliver([GatewayLost(gateway="gw-1", at=rig.now, since=START)])
    rig.advance(MINUTE)
    assert states(rig) == [("online", None)]


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


def test_r3_a_gateway_first_heard_of_by_a_hello_can_be_lost_too() -> None:
    rig = presence()
    rig.publish(hello(gateway="gw-9"))
    beat_for(rig, LOST_AFTER)
    assert [lost.gateway for lost in rig.of(GatewayLost)] == ["gw-9"]
    assert session_of(rig)["reason"] == "gateway_lost"


def test_a_file_of_the_build_whose_second_migration_was_another_one() -> None:
    rig = online(presence())
    rig.db.executescript(
        "DROP TABLE gateway_period; ALTER TABLE gateway ADD COLUMN listened_until INTEGER;"
        "DELETE FROM migration WHERE list = 'services.presence' AND number = 3"
    )
    migrate(rig.db, "services.presence")
    rig.advance(MINUTE)
    rig.publish(listening(rig.now))
    assert not rig.of(Dead)
    assert rig.db.execute("SELECT count(*) FROM gateway_period").fetchone() == (1,)
