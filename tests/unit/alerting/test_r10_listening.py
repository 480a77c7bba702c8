"""R10: time in which nobody listened ages no host."""

from __future__ import annotations

import pytest

from libs.common.clock import TICK
from libs.common.events.agent import OfflineReason
from tests.unit.alerting.kit import (
    DAY,
    FLOOR,
    HOUR,
    MINUTE,
    SECOND,
    START,
    advance_to,
    alerting,
    hello,
    listening,
    lost,
    offline,
    open_kinds,
    raised,
    silent_server,
    stopped,
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
        rig.live("alerting", f"dormice-live.beat.{gateway}",
                 {"gateway": gateway, "since": START.isoformat()})  # fmt: skip
    rig.clock.set(START + HOUR)
    again = rig.now - SECOND
    first, second = order
    rig.publish(listening(again, first), listening(rig.now, second))
    advance_to(rig, again + FLOOR - TICK)
    assert raised(rig) == []
    rig.advance(TICK)
    assert len(raised(rig)) == 1


def test_r10_a_gateway_whose_clock_is_ahead_begins_its_period_now() -> None:
    rig = silent_server()
    advance_to(rig, START + 14 * MINUTE)
    rig.publish(listening(rig.now + DAY))
    advance_to(rig, START + 29 * MINUTE - TICK)
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
