"""The timeline, flaps and shares of a host; what nobody observed among them (R10)."""

from __future__ import annotations

import pytest

from libs.common.clock import from_micros
from libs.common.errors import HostNotFound
from libs.common.events.agent import GatewayLost, OfflineReason
from libs.common.testing.rig import START, Rig
from services.presence.store_timeline import KEEP_TIMELINE
from tests.unit.presence.kit import (
    HOUR,
    LOST_AFTER,
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


def test_r10_what_nobody_observed_ends_now_whatever_the_gateway_s_clock_shows() -> None:
    rig = online(presence())
    rig.publish(stopped(rig.now))
    rig.advance(HOUR)
    rig.publish(listening(rig.now + 24 * HOUR))
    rig.advance(MINUTE)
    unobserved, after = rig.ask("timeline", host_id="h1")
    assert (unobserved["state"], unobserved["to"]) == ("not_observed", "2026-06-15T10:00:00Z")
    assert (after["state"], after["from"]) == ("offline", "2026-06-15T10:00:00Z")


def test_r10_a_gateway_that_crashed_without_a_word() -> None:
    rig = online(presence())
    beat_for(rig, MINUTE, "h1")
    rig.advance(100 * SECOND)
    rig.publish(listening(rig.now))
    assert states(rig) == [("online", "not_observed"), ("not_observed", "observed_again"),
                           ("online", None)]  # fmt: skip


def two_gateways_gone() -> Rig:
    """Return presence that last heard of two gateways 1 min after START; now it is 70."""
    rig = online(presence())
    rig.publish(listening(START, "gw-2"))
    rig.advance(MINUTE)
    beat(rig, "h1")
    beat(rig, gateway="gw-2")
    rig.clock.set(START + 70 * MINUTE)
    return rig


def first_of_two_is_back() -> Rig:
    """The same; gw-1 has just returned."""
    rig = two_gateways_gone()
    rig.input("presence", rig.cores["presence"].machine.on_connected)
    rig.publish(listening(rig.now), hello(session="s2", connection=2))
    beat(rig, "h1", since=rig.now)
    assert states(rig) == [("online", None)]  # It may be that gw-2 was there.
    return rig


def gap(rig: Rig) -> tuple[str, str]:
    before, unobserved, after = rig.ask("timeline", host_id="h1")
    assert [one["state"] for one in (before, unobserved, after)] == [
        "online", "not_observed", "online"
    ]  # fmt: skip
    return unobserved["from"], unobserved["to"]


@pytest.mark.parametrize("returns", [True, False])
def test_r10_two_gateways_were_away_and_one_returned_first(returns) -> None:
    rig = first_of_two_is_back()
    if returns:
        rig.advance(MINUTE)
        rig.publish(listening(rig.now, "gw-2"))
    else:
        beat_for(rig, LOST_AFTER, "h1")
        assert len(rig.of(GatewayLost)) == 1
    assert gap(rig) == ("2026-06-15T09:01:00Z", "2026-06-15T10:10:00Z")


def test_r10_two_gateways_were_away_and_one_came_up_twice_before_the_other() -> None:
    rig = two_gateways_gone()
    for gateway in ("gw-2", "gw-2", "gw-1"):
        since = rig.now
        rig.publish(listening(since, gateway))
        rig.advance(SECOND)
        beat(rig, gateway=gateway, since=since)
    assert gap(rig) == ("2026-06-15T09:01:00Z", "2026-06-15T10:10:00Z")


def test_r10_another_gateway_was_restarted_meanwhile() -> None:
    """gw-2 crashed; gw-1 listened all the time, but for a moment."""
    rig = online(presence())
    rig.publish(listening(START, "gw-2"))
    beat_for(rig, LOST_AFTER - 10 * SECOND, "h1")
    rig.publish(listening(rig.now))
    rig.publish(listening(rig.now, "gw-2"))
    assert states(rig) == [("online", None)]


def test_r10_the_other_gateway_was_there_all_the_time() -> None:
    rig = first_of_two_is_back()
    beat(rig, gateway="gw-2")
    rig.advance(MINUTE)
    rig.publish(stopped(rig.now, "gw-2"))
    assert states(rig) == [("online", None)]


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


def test_a_timeline_is_kept_for_so_long() -> None:
    rig = presence()
    for number in (1, 2, 3):
        rig.publish(hello(session=f"s{number}", connection=number))
        rig.publish(offline(rig.now, session=f"s{number}", reason=OfflineReason.SLEEP))
        rig.advance(KEEP_TIMELINE / 2 + SECOND)
    kept = rig.db.execute("SELECT state, started_at FROM interval ORDER BY row_id").fetchall()
    assert [state for state, _ in kept] == ["online", "offline"] * 2
    assert all(from_micros(started_at) > START for _, started_at in kept)


def test_timeline_of_nobody() -> None:
    rig = presence()
    with pytest.raises(HostNotFound):
        rig.ask("timeline", host_id="nobody")
    rig.advance(MINUTE)
    assert states(rig) == [("never_seen", None)]
