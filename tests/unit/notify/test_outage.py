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
    enrolled,
    make_alert,
    outage,
    raised,
    resolved,
    unsilenced,
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


def sites(world):
    """Two channels, each for one site; five hosts of Berlin, one of Paris."""
    for number in range(1, 7):
        world.publish(
            enrolled(f"h{number}", tags=("site:paris" if number == 6 else "site:berlin",))
        )
    return [world.channel(site, filter={"tags": [f"site:{site}"]}) for site in ("berlin", "paris")]


BERLIN = {"hosts": ["h1", "h2", "h3", "h4", "h5"], "site": "site:berlin"}


def test_a_channel_for_one_site_hears_of_that_site_only(world):
    berlin, paris = sites(world)
    out = outage(dedup_key="site:berlin", facts=BERLIN)
    world.publish(*raised(out, *held(5)))
    world.answer_all()
    world.publish(resolved(out, still_away=("h2",)))
    world.answer_all()
    assert world.states(berlin) == ["raised delivered", "summary delivered"]
    assert world.states(paris) == []


def test_a_channel_hears_of_an_outage_as_soon_as_it_takes_a_host_of_theirs(world):
    """The outage was raised before: its first alert of theirs is held, and must not be silent."""
    _, paris = sites(world)
    world.publish(*raised(outage(facts=BERLIN), *held(5)))
    world.answer_all()
    assert world.states(paris) == []
    world.publish(*raised(*held(1, first=6)), *raised(*held(1, first=6)))
    assert world.answer_all() == ["raised:o1"]
    world.publish(resolved(outage(facts=BERLIN), still_away=("h1", "h6")))
    world.answer_all()
    assert world.states(paris) == ["raised delivered", "summary delivered"]


def test_an_outage_that_was_silenced_is_told_to_all_whose_hosts_it_took(world):
    _, paris = sites(world)
    quiet = outage(facts=BERLIN, silenced=True)
    world.publish(*raised(quiet, *held(6)))
    assert world.answer_all() == []
    world.publish(unsilenced(quiet))
    world.answer_all()
    assert world.states(paris) == ["raised delivered"]


def test_hosts_of_others_are_not_named_to_a_channel_whose_own_are_back(world):
    """They are away, not yet with an alert of their own: that is said in words."""
    berlin, paris = sites(world)
    out = outage(facts={"hosts": ["h1", "h6"]})
    world.publish(*raised(out))
    world.answer_all()
    world.publish(resolved(out, still_away=("h1",)))
    said = [world.message(effect) for effect in world.handed_out]
    assert sorted(body["event"] for body in said) == ["resolved", "summary"]
    assert [body["summary"].endswith("name-h1") for body in said] in ([True, False], [False, True])
    world.answer_all()
    assert world.states(paris) == ["raised delivered", "resolved delivered"]
    assert world.states(berlin) == ["raised delivered", "summary delivered"]
