"""Alerting and presence on one log: what one publishes is what the other needs."""

from __future__ import annotations

from libs.common.clock import TICK
from libs.common.events.agent import GatewayLost, OfflineReason
from libs.common.events.presence import PresenceOffline
from libs.common.testing.rig import START, Fleet
from services.alerting.machine import AlertingMachine
from services.alerting.settings import AlertingSettings
from services.presence.machine import PresenceMachine
from services.presence.settings import PresenceSettings
from tests.unit.alerting.kit import (
    FLOOR,
    HOUR,
    MINUTE,
    OFFLINE_AFTER,
    SECOND,
    enrolled,
    hello,
    laptop,
    listening,
    offline,
    open_alerts,
    open_kinds,
    raised,
    resolved,
    stopped,
    synced,
)
from tests.unit.presence.kit import LOST_AFTER, beat, beat_for


def both() -> Fleet:
    fleet = Fleet(
        PresenceMachine(PresenceSettings.load()), AlertingMachine(AlertingSettings.load())
    )
    fleet.publish(listening(START), enrolled())
    return fleet


def test_r5_a_lost_gateway_takes_its_hosts_along_and_silence_counts_from_the_loss() -> None:
    fleet = both()
    fleet.publish(listening(START, "gw-2"), hello(), synced())
    beat(fleet, "h1")

    def others_beat(span) -> None:
        end = fleet.now + span
        while fleet.now < end:
            fleet.advance(min(5 * SECOND, end - fleet.now))
            beat(fleet, gateway="gw-2")

    others_beat(LOST_AFTER)
    (lost,) = fleet.of(GatewayLost)
    assert fleet.last(PresenceOffline).reason is OfflineReason.GATEWAY_LOST
    others_beat(FLOOR - TICK)
    assert raised(fleet) == []
    fleet.advance(TICK)
    assert [alert.raised_at for alert in raised(fleet)] == [lost.at + FLOOR]


def test_r10_the_only_gateway_is_lost_and_nobody_is_missed_before_it_is_back_for_a_floor() -> None:
    fleet = both()
    fleet.publish(hello(), synced())
    beat(fleet, "h1")
    fleet.advance(10 * HOUR)
    assert len(fleet.of(GatewayLost)) == 1
    assert raised(fleet) == []
    again = fleet.now
    fleet.publish(listening(again))
    fleet.advance(FLOOR - TICK)
    assert raised(fleet) == []
    fleet.publish(hello(session="s2", connection=2))
    fleet.advance(HOUR)
    assert raised(fleet) == []


def test_r5_one_that_does_not_come_back_is_missed_then() -> None:
    fleet = both()
    fleet.publish(hello(), synced())
    fleet.publish(stopped(fleet.now))
    fleet.advance(10 * HOUR)
    fleet.publish(listening(fleet.now))
    again = fleet.now
    beat_for(fleet, FLOOR, every=MINUTE)
    assert [alert.raised_at for alert in raised(fleet)] == [again + FLOOR]
    assert raised(fleet)[0].message == "Agent offline for 15m0s (threshold 15m0s)"


def test_r2_r4_a_laptop_sleeps_for_a_night_beside_a_server() -> None:
    fleet = both()
    fleet.publish(enrolled("h2", **laptop(host_id="h2").model_dump(exclude={"id"})))
    fleet.publish(hello(), hello("h2"))
    beat_for(fleet, MINUTE, "h1", "h2")
    fleet.publish(offline(fleet.now, "h2", reason=OfflineReason.SLEEP))
    beat_for(fleet, 8 * HOUR, "h1", every=MINUTE)
    assert open_alerts(fleet) == []
    assert fleet.call("presence", "get_session", host_id="h2")["status"] == "offline"
    left = fleet.now
    fleet.advance(OFFLINE_AFTER)
    beat(fleet)
    fleet.publish(offline(left))
    beat_for(fleet, FLOOR, every=MINUTE)
    assert open_kinds(fleet) == ["agent_offline"]
    fleet.publish(hello(session="s2", connection=2))
    assert resolved(fleet) == [("agent_offline", "host_returned")]
