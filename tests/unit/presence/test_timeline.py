"""The timeline, flaps and shares of a host; what nobody observed among them (R10)."""

from __future__ import annotations

import pytest

from libs.common.errors import HostNotFound
from libs.common.events.agent import OfflineReason
from libs.common.testing.rig import START
from tests.unit.presence.kit import (
    HOUR,
    MINUTE,
    SECOND,
    beat,
    beat_for,
    hello,
    listening,
    offline,
    online,
    presence,
    session_of,
    states,
    stopped,
)


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
