"""A mass outage: told once when it begins, once when it ends, and nothing in between."""

from __future__ import annotations

from datetime import timedelta

import pytest

from services.notify.policy import LISTED_IN_SUMMARY
from tests.unit.notify.world import (
    BUSY,
    OK,
    World,
    acknowledged,
    make_alert,
    outage,
    raised,
    resolved,
)


@pytest.fixture
def world():
    return World()


def held(count: int, *, first: int = 1, by: str = "o1"):
    return [make_alert(f"a{n}", f"h{n}", held_by=by) for n in range(first, first + count)]


def test_held_alerts_are_not_told_and_the_outage_is(world):
    world.channel()
    world.publish(*raised(*held(2), outage(), *held(3, first=3)))
    assert world.answer_all() == ["raised:o1"]
    assert world.decisions("notify", "h1") == ["held_back"]


def test_all_are_back_one_message_says_so(world):
    channel = world.channel()
    alerts = held(6)
    world.publish(*raised(outage(), *alerts))
    world.publish(*(resolved(alert) for alert in alerts))
    world.publish(resolved(outage()))
    assert world.answer_all() == ["raised:o1", "resolved:o1"]
    assert len(world.deliveries(channel)) == 2
    world.publish(resolved(outage(), still_away=("h1",)))  # Repeated, with other words.
    assert world.handed_out == []


def test_who_stays_away_is_named_in_one_summary_and_only_they_recover_aloud(world):
    world.channel()
    alerts = held(6)
    world.publish(*raised(outage(), *alerts))
    for alert in alerts[:4]:
        world.publish(resolved(alert))
    world.answer_all()
    world.publish(resolved(outage(), still_away=("h5", "h6")))
    (effect,) = world.handed_out
    body = world.message(effect)
    assert body["event"] == "summary"
    assert [view["id"] for view in body["alerts"]] == ["a5", "a6"]
    assert body["more"] == 0
    assert "2 hosts are still away: name-h5, name-h6" in body["summary"]
    world.answer()
    world.publish(*(resolved(alert) for alert in alerts))
    assert world.answer_all() == ["resolved:a5", "resolved:a6"]


def test_the_summary_keeps_the_order_on_its_channel(world):
    """It waits for the outage's raise, and the recoveries wait for it."""
    world.channel()
    (alert,) = held(1)
    world.publish(*raised(outage(), alert), resolved(outage(), still_away=("h1",)), resolved(alert))
    assert world.answer(BUSY) == "raised:o1"
    assert world.handed_out == []
    world.advance(timedelta(seconds=6))
    assert world.answer_all() == ["raised:o1", "summary:a1", "resolved:a1"]


def test_what_a_summary_only_counts_is_not_named_and_recovers_in_silence(world):
    world.channel()
    alerts = held(LISTED_IN_SUMMARY + 2)
    world.publish(*raised(outage(), *alerts))
    world.answer_all()
    world.publish(resolved(outage(), still_away=tuple(alert.host_id for alert in alerts)))
    body = world.message(world.handed_out[0])
    assert (len(body["alerts"]), body["more"]) == (LISTED_IN_SUMMARY, 2)
    named = {view["id"] for view in body["alerts"]}
    world.answer()
    world.publish(*(resolved(alert) for alert in alerts))
    assert {word.partition(":")[2] for word in world.answer_all()} == named


def test_a_summary_that_failed_lets_no_recovery_through(world):
    world.channel()
    (alert,) = held(1)
    world.publish(*raised(outage(), alert))
    world.answer_all()
    world.publish(resolved(outage(), still_away=("h1",)), resolved(alert))
    assert world.answer({"status": 400}) == "summary:a1"
    assert world.handed_out == []


def test_an_acknowledgement_while_held_is_not_told(world):
    world.channel()
    (alert,) = held(1)
    world.publish(*raised(outage(), alert), acknowledged(alert))
    assert world.answer_all() == ["raised:o1"]
    world.publish(resolved(outage(), still_away=("h1",)))
    assert world.message(world.handed_out[0])["alerts"][0]["state"] == "acknowledged"


def test_each_channel_gets_the_summary_that_its_filter_wants(world):
    everything = world.channel("all")
    one_host = world.channel("one", filter={"host_ids": ["h1"], "kinds": ["agent_offline"]})
    outages = world.channel("outages", filter={"kinds": ["fleet_outage"]})
    nothing = world.channel("jobs", filter={"kinds": ["backup_failed"]})
    alerts = held(3)
    world.publish(*raised(outage(), *alerts))
    world.answer_all()
    world.publish(resolved(outage(), still_away=("h1", "h2", "h3")))
    world.answer_all()
    assert world.states(everything) == ["raised delivered", "summary delivered"]
    assert world.states(one_host) == ["summary delivered"]
    assert world.states(outages) == ["raised delivered", "summary delivered"]
    assert world.states(nothing) == []
    world.publish(*(resolved(alert) for alert in alerts))
    world.answer_all()
    assert len(world.deliveries(one_host)) == 2
    assert len(world.deliveries(outages)) == 2


def test_hosts_away_without_an_alert_are_said_in_words(world):
    """Offline, but not yet past the floor: there is no alert of theirs to list."""
    world.channel()
    world.publish(*raised(outage()))
    world.answer()
    world.publish(resolved(outage(), still_away=("h9",)))
    body = world.message(world.handed_out[0])
    assert body["event"] == "summary"
    assert ([view["id"] for view in body["alerts"]], body["more"]) == (["o1"], 0)
    assert body["summary"].endswith("1 host is still away: h9")


def test_an_alert_raised_before_the_outage_goes_its_own_way(world):
    world.channel()
    early = make_alert("a0", "h0")
    world.publish(*raised(early, outage(), *held(5)))
    world.publish(resolved(early))
    world.publish(resolved(outage(), still_away=("h0",)))
    assert world.answer_all() == ["raised:a0", "raised:o1", "resolved:a0", "summary:o1"]


def test_a_hold_by_an_outage_that_is_over_holds_nothing(world):
    world.channel()
    world.publish(*raised(outage()), resolved(outage()), *raised(*held(1)))
    assert "raised:a1" in world.answer_all()


def test_two_outages_hold_apart(world):
    world.channel()
    world.publish(*raised(outage("o1"), outage("o2"), *held(1), *held(1, first=2, by="o2")))
    world.answer_all(OK)
    world.publish(resolved(outage("o1"), still_away=("h1", "h2")))
    assert world.answer_all() == ["summary:a1"]
    world.publish(resolved(outage("o2"), still_away=("h1", "h2")))
    assert world.answer_all() == ["summary:a2"]
