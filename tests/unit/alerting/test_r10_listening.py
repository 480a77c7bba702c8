"""R10: time in which nobody listened ages no host."""

from __future__ import annotations

from datetime import datetime

import pytest

from libs.common.clock import TICK
from libs.common.events.agent import OfflineReason
from libs.common.testing.rig import Rig
from services.alerting.watch import NEXT_BEAT
from tests.unit.alerting.kit import (
    DAY,
    FLOOR,
    HOUR,
    LOST_AFTER,
    MINUTE,
    SECOND,
    STALE_AFTER,
    START,
    advance_to,
    alerting,
    beat,
    enrolled,
    hello,
    listening,
    lost,
    offline,
    open_kinds,
    raised,
    silent_server,
    sleeping_laptop,
    stopped,
    synced,
)


def test_r10_a_new_period_counts_from_its_start() -> None:
    rig = silent_server()
    advance_to(rig, START + 10 * MINUTE)
    rig.publish(stopped(rig.now))
    rig.advance(5 * HOUR)
    assert raised(rig) == []
    again = rig.now
    rig.publish(listening(again))
    advance_to(rig, again + FLOOR - TICK)
    assert raised(rig) == []
    rig.advance(TICK)
    assert raised(rig)[0].message == "Agent offline for 15m0s (threshold 15m0s)"


def test_r10_an_interruption_without_a_word_begins_a_new_period() -> None:
    rig = silent_server()
    advance_to(rig, START + 14 * MINUTE)
    rig.publish(listening(rig.now))
    advance_to(rig, START + 29 * MINUTE - TICK)
    assert raised(rig) == []
    rig.advance(TICK)
    assert len(raised(rig)) == 1


def test_r10_one_of_two_gateways_is_enough() -> None:
    rig = silent_server()
    rig.publish(listening(START + MINUTE, "gw-2"))
    advance_to(rig, START + 5 * MINUTE)
    rig.publish(stopped(rig.now))
    rig.advance(MINUTE)
    rig.publish(listening(rig.now))
    advance_to(rig, START + FLOOR)
    assert len(raised(rig)) == 1


def test_r10_a_break_that_only_the_loss_of_a_gateway_shows() -> None:
    """gw-2 died unnoticed; until its loss was known, a restart of gw-1 looked like no break."""
    rig = silent_server()
    rig.publish(listening(START, "gw-2"))
    advance_to(rig, START + 13 * MINUTE)  # The last that anybody heard of gw-2.
    rig.advance(10 * SECOND)
    rig.publish(stopped(rig.now))
    rig.advance(10 * SECOND)
    again = rig.now
    rig.publish(listening(again))
    advance_to(rig, START + 15 * MINUTE - TICK)
    rig.publish(lost(rig.now, gateway="gw-2"))
    advance_to(rig, again + FLOOR - TICK)
    assert raised(rig) == []
    rig.advance(TICK)
    assert len(raised(rig)) == 1


@pytest.mark.parametrize("order", [("gw-1", "gw-2"), ("gw-2", "gw-1")])
def test_r10_the_bus_was_away_for_all_gateways(order) -> None:
    """None stopped, none is lost; each says that it listens anew since the bus is back."""
    rig = silent_server()
    rig.publish(listening(START, "gw-2"))
    for gateway in order:
        beat(rig, gateway=gateway)
    rig.clock.set(START + HOUR)
    again = rig.now - SECOND
    first, second = order
    rig.publish(listening(again, first), listening(rig.now, second))
    advance_to(rig, again + FLOOR - TICK)
    assert raised(rig) == []
    rig.advance(TICK)
    assert len(raised(rig)) == 1


def blacked_out(rig: Rig, until: datetime = START + HOUR) -> datetime:
    """We were cut off `until` now, when gw-1 begins to listen anew; gw-2 is still to be heard."""
    rig.clock.set(until)
    rig.input("alerting", rig.cores["alerting"].machine.on_connected)
    again = rig.now
    rig.publish(listening(again))
    return again


def test_r10_the_first_gateway_to_return_does_not_speak_for_the_other() -> None:
    rig = silent_server()
    rig.publish(listening(START, "gw-2"))
    again = blacked_out(rig)
    rig.advance(30 * SECOND)
    assert raised(rig) == []
    rig.publish(listening(rig.now, "gw-2"))
    advance_to(rig, again + FLOOR - TICK)
    assert raised(rig) == []
    rig.advance(TICK)
    assert len(raised(rig)) == 1


def test_r10_a_gateway_that_does_not_return_covers_no_time_in_which_nobody_heard_it() -> None:
    rig = silent_server()
    rig.publish(listening(START, "gw-2"))
    again = blacked_out(rig)
    rig.advance(LOST_AFTER)
    rig.publish(lost(rig.now, gateway="gw-2", heard_at=START + MINUTE))
    advance_to(rig, again + FLOOR - TICK)
    assert raised(rig) == []
    rig.advance(TICK)
    assert len(raised(rig)) == 1


def test_r10_a_gateway_that_was_there_all_the_time_covers_it() -> None:
    """We were cut off, and gw-1 was restarted; nothing is judged before gw-2 is heard."""
    rig = silent_server()
    rig.publish(listening(START, "gw-2"))
    blacked_out(rig)
    rig.advance(MINUTE)
    assert raised(rig) == []
    beat(rig, gateway="gw-2")
    rig.advance(NEXT_BEAT)
    assert len(raised(rig)) == 1


def test_r10_an_old_loss_of_an_awaited_gateway_is_no_sign_of_its_life() -> None:
    rig = silent_server()
    rig.publish(listening(START, "gw-2"))
    blacked_out(rig)
    rig.publish(lost(START - MINUTE, since=START - HOUR, gateway="gw-2"))
    rig.advance(MINUTE)
    assert raised(rig) == []


def test_r10_a_hello_through_the_awaited_gateway_is_a_sign_of_its_life() -> None:
    """Even if it was heard a moment before we were cut off."""
    rig = silent_server()
    rig.publish(listening(START, "gw-2"), enrolled("h2"), enrolled("h3"))
    advance_to(rig, START + FLOOR - SECOND)
    rig.publish(hello("h2", session="s2", gateway="gw-2"))
    blacked_out(rig, until=START + FLOOR + SECOND)
    assert raised(rig) == []
    rig.publish(hello("h3", session="s3", gateway="gw-2"))
    rig.advance(NEXT_BEAT)
    assert len(raised(rig)) == 1


def test_r10_a_hello_through_a_gateway_that_stopped_a_moment_ago() -> None:
    """Whatever was thought of it, it listens: a new period begins."""
    rig = silent_server()
    rig.publish(enrolled("h2"), enrolled("h3"))
    advance_to(rig, START + 14 * MINUTE)
    rig.publish(hello("h2", session="s2"))
    rig.publish(stopped(rig.now))
    rig.advance(SECOND)
    rig.publish(hello("h3", session="s3"))
    advance_to(rig, START + 14 * MINUTE + SECOND + FLOOR - TICK)
    assert raised(rig) == []
    rig.advance(TICK)
    assert len(raised(rig)) == 1


def test_r10_a_gateway_is_not_awaited_for_ever() -> None:
    """Presence, which would tell that it is lost, may be away."""
    rig = silent_server()
    rig.publish(listening(START, "gw-2"))
    blacked_out(rig)
    rig.advance(2 * LOST_AFTER - TICK)
    assert raised(rig) == []
    rig.advance(NEXT_BEAT)
    assert len(raised(rig)) == 1


def test_r6_who_was_heard_before_the_blackout_is_known_is_not_awaited_after_it() -> None:
    """Only gw-2 tells that nobody listened; by then the laptop's reports had come through gw-1."""
    rig = sleeping_laptop()
    rig.publish(listening(START, "gw-2"))
    blacked_out(rig, until=START + STALE_AFTER - HOUR)
    rig.publish(hello(session="s2", connection=2), synced(session="s2"))
    rig.advance(MINUTE)
    rig.publish(listening(rig.now, "gw-2"))
    advance_to(rig, START + STALE_AFTER - TICK)
    assert raised(rig) == []
    rig.advance(TICK)
    assert open_kinds(rig) == ["stale_schedule"]


def test_r10_a_gateway_whose_clock_is_ahead_begins_its_period_now() -> None:
    rig = silent_server()
    advance_to(rig, START + 14 * MINUTE)
    rig.publish(listening(rig.now + DAY))
    advance_to(rig, START + 29 * MINUTE - TICK)
    assert raised(rig) == []
    rig.advance(TICK)
    assert len(raised(rig)) == 1


@pytest.mark.parametrize("is_lost", [False, True])
def test_r5_a_gateway_whose_clock_was_ahead_by_a_day_listens_once_it_is_right(is_lost) -> None:
    rig = silent_server()
    ahead = rig.now + DAY
    rig.publish(listening(ahead))
    if is_lost:
        rig.advance(LOST_AFTER)
        rig.publish(lost(rig.now, since=ahead))
    rig.advance(MINUTE)
    again = rig.now
    rig.publish(listening(again))
    rig.redeliver([listening(again)])
    beat(rig, since=again)
    advance_to(rig, again + FLOOR - TICK)
    assert raised(rig) == []
    rig.advance(TICK)
    assert len(raised(rig)) == 1


def test_r5_the_loss_of_its_gateway_counts() -> None:
    rig = alerting()
    rig.publish(listening(START, "gw-2"), hello())
    advance_to(rig, START + 2 * MINUTE)
    rig.publish(lost(rig.now), offline(START, reason=OfflineReason.GATEWAY_LOST))
    advance_to(rig, START + 17 * MINUTE - TICK)
    assert raised(rig) == []
    rig.advance(TICK)
    assert raised(rig)[0].message == "Agent offline for 15m0s (threshold 15m0s)"


def test_r5_the_loss_of_another_gateway_does_not() -> None:
    rig = silent_server()
    rig.publish(listening(START, "gw-2"))
    advance_to(rig, START + 10 * MINUTE)
    rig.publish(lost(rig.now, gateway="gw-2"))
    advance_to(rig, START + FLOOR)
    assert len(raised(rig)) == 1


def test_r10_an_open_alert_outlasts_a_blackout() -> None:
    rig = silent_server()
    rig.advance(HOUR)
    rig.publish(stopped(rig.now))
    rig.advance(HOUR)
    rig.publish(listening(rig.now))
    rig.advance(HOUR)
    assert len(raised(rig)) == 1
    assert open_kinds(rig) == ["agent_offline"]


def test_r10_old_news_of_a_gateway_change_nothing() -> None:
    rig = silent_server()
    old = stopped(START + 2 * MINUTE)
    advance_to(rig, START + 2 * MINUTE)
    rig.publish(old, listening(START + 2 * MINUTE + SECOND))
    rig.redeliver([old, listening(START), lost(START + MINUTE)])
    advance_to(rig, START + 17 * MINUTE + SECOND)
    assert len(raised(rig)) == 1


def test_r10_a_backlog_raises_nothing_that_it_undoes_itself() -> None:
    """A service that was away reads: left, back again. Nobody was ever missed, then."""
    rig = silent_server()
    rig.clock.set(START + 5 * HOUR)
    rig.publish(hello(session="s2", connection=2))
    assert raised(rig) == []
