"""Quiet hours and rates at work: what waits, what the digest says, and that nothing is lost."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from libs.common.errors import BadInput
from libs.common.events.alert import AlertSilenced, AlertUnsilenced, Severity
from libs.common.testing.rig import START
from tests.unit.notify.world import (
    BUSY,
    World,
    acknowledged,
    make_alert,
    outage,
    raised,
    resolved,
)

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
QUIET = {"from": "08:00", "to": "10:00"}  # It is 09:00.
BEFORE = {"from": "09:30", "to": "10:00"}
RATE = {"messages": 2, "minutes": 10}


@pytest.fixture
def world() -> World:
    return World()


def digest(world: World) -> dict[str, Any]:
    """Return the one message that is handed out; it is taken."""
    (effect,) = world.handed_out
    body = world.message(effect)
    assert body["event"] == "digest"
    world.answer()
    return body


def listed(body: dict[str, Any]) -> list[str]:
    return [f"{alert['id']} {alert['state']}" for alert in body["alerts"]]


def texts(world: World) -> list[str]:
    return [text for (text,) in world.db.execute("SELECT text FROM decision ORDER BY row_id")]


def test_what_comes_in_quiet_hours_is_one_message_at_their_end(world: World) -> None:
    channel = world.channel("night", quiet_hours=QUIET)
    gone = make_alert("a2", "h2")
    world.publish(*raised(make_alert("a1"), gone, make_alert("a3", "h3")), acknowledged(gone))
    world.publish(resolved(gone, START + 5 * MINUTE))
    assert world.handed_out == []
    assert world.ask("get_channel", id=channel)["waiting_for_digest"] == 3
    world.advance(HOUR - timedelta(microseconds=1))
    assert world.handed_out == []
    world.advance(timedelta(microseconds=1))
    body = digest(world)
    assert body["summary"] == "Quiet hours are over: 2 alerts open, 1 resolved meanwhile"
    assert listed(body) == ["a1 open", "a3 open", "a2 resolved"]  # What is over comes last.
    assert body["more"] == 0
    assert world.ask("get_channel", id=channel)["waiting_for_digest"] == 0
    assert texts(world)[0] == ("agent offline raised: held for quiet hours until 10:00 UTC: night")
    assert "agent offline open: in a digest to night" in texts(world)
    assert "agent offline resolved: held for quiet hours until 10:00 UTC: night" in texts(world)


def test_what_comes_at_the_very_end_of_quiet_hours_overtakes_nothing(world: World) -> None:
    """It is read in the pass in which the digest is due, and before it."""
    channel = world.channel(quiet_hours=QUIET)
    alert = make_alert()
    world.publish(*raised(alert))
    world.clock.set(START + HOUR)
    world.publish(resolved(alert, world.now), *raised(make_alert("a2", "h2")))
    assert sorted(world.answer_all()) == ["digest:a1", "raised:a2"]
    assert world.states(channel) == ["raised delivered", "digest delivered"]


def test_by_the_clock_of_the_channel_s_zone(world: World) -> None:
    world.channel("night", quiet_hours={"from": "22:00", "to": "07:00", "timezone": "Asia/Tokyo"})
    world.advance(5 * HOUR)  # 23:00 there.
    world.publish(*raised(make_alert()))
    assert "held for quiet hours until 07:00 Asia/Tokyo: night" in texts(world)[-1]
    world.advance(8 * HOUR)
    assert listed(digest(world)) == ["a1 open"]


def test_what_is_critical_breaks_through_with_all_that_follows(world: World) -> None:
    world.channel(quiet_hours=QUIET)
    bad = make_alert("a1", severity=Severity.CRITICAL)
    world.publish(*raised(bad, make_alert("a2", "h2")), acknowledged(bad), resolved(bad))
    assert world.answer_all() == ["raised:a1", "acknowledged:a1", "resolved:a1"]
    world.advance(HOUR)
    assert listed(digest(world)) == ["a2 open"]


def test_nothing_breaks_through_where_nothing_may(world: World) -> None:
    world.channel(quiet_hours={**QUIET, "breaks_through": []})
    world.publish(*raised(make_alert(severity=Severity.CRITICAL)))
    assert world.handed_out == []


def test_the_end_of_what_was_told_before_is_told_in_the_digest(world: World) -> None:
    world.channel(quiet_hours=BEFORE)
    alert = make_alert()
    world.publish(*raised(alert))
    assert world.answer_all() == ["raised:a1"]
    world.advance(40 * MINUTE)
    world.publish(resolved(alert, world.now))
    assert world.handed_out == []
    world.advance(20 * MINUTE)
    assert listed(digest(world)) == ["a1 resolved"]


def test_what_the_digest_named_is_followed_up(world: World) -> None:
    world.channel(quiet_hours=QUIET)
    alert = make_alert()
    world.publish(*raised(alert))
    world.advance(HOUR)
    world.answer(BUSY)
    world.publish(resolved(alert, world.now))
    assert world.handed_out == []  # It waits for the digest to be taken.
    world.advance(6 * timedelta(seconds=1))
    assert world.answer_all() == ["digest:a1", "resolved:a1"]


def test_a_digest_lists_200_and_counts_the_rest(world: World) -> None:
    world.channel(quiet_hours=QUIET)
    world.publish(*raised(*(make_alert(f"a{n:03}", f"h{n}") for n in range(203))))
    world.advance(HOUR)
    body = digest(world)
    assert (len(body["alerts"]), body["more"]) == (200, 3)
    assert body["summary"] == "Quiet hours are over: 203 alerts open"
    world.publish(resolved(make_alert("a202", "h202"), world.now))
    world.publish(resolved(make_alert("a000", "h0"), world.now))
    assert world.answer_all() == ["resolved:a000"]  # Who was not named gets no recovery notice.


def test_what_a_silence_covers_meanwhile_is_told_when_that_ends(world: World) -> None:
    world.channel(quiet_hours=QUIET)
    alert = make_alert()
    covered = make_alert(silenced=True, silence_changes=1)
    world.publish(*raised(alert), AlertSilenced(alert=covered))
    world.advance(HOUR)
    assert world.handed_out == []
    world.publish(AlertUnsilenced(alert=make_alert(silence_changes=2)))
    assert world.answer_all() == ["raised:a1"]


def test_changed_hours_count_at_once(world: World) -> None:
    channel = world.channel(quiet_hours=QUIET)
    world.publish(*raised(make_alert()))
    world.ask("patch_channel", id=channel, quiet_hours={"from": "08:00", "to": "12:00"})
    world.advance(2 * HOUR)
    assert world.handed_out == []
    world.ask("patch_channel", id=channel, quiet_hours=None)
    assert listed(digest(world)) == ["a1 open"]
    world.advance(5 * HOUR)
    assert world.handed_out == []


def test_an_outage_that_ends_in_quiet_hours_is_in_the_digest(world: World) -> None:
    world.channel(quiet_hours={**QUIET, "breaks_through": []})
    held = [make_alert(f"a{n}", f"h{n}", held_by="o1") for n in (1, 2)]
    world.publish(*raised(outage("o1"), *held))
    world.publish(resolved(outage("o1"), still_away=("h2",)))
    world.advance(HOUR)
    assert listed(digest(world)) == ["a2 open", "o1 resolved"]


def test_a_rate_lets_so_many_through_and_tells_the_rest_in_one(world: World) -> None:
    world.channel("chat", rate_limit=RATE)
    world.publish(*raised(*(make_alert(f"a{n:02}", f"h{n}") for n in range(39))))
    assert world.answer_all() == ["raised:a00", "raised:a01"]
    world.advance(10 * MINUTE - timedelta(microseconds=1))
    assert world.handed_out == []
    world.advance(timedelta(microseconds=1))
    body = digest(world)
    assert body["summary"] == "And 37 more: 37 alerts open"
    assert len(body["alerts"]) == 37
    said = "agent offline raised: held, as there were too many messages until 09:10 UTC: chat"
    assert texts(world).count(said) == 37


def test_in_no_window_there_are_more_than_the_rate_allows(world: World) -> None:
    """A storm of an hour: whatever comes when, the limit holds, and in the end all is told."""
    channel = world.channel(rate_limit=RATE)
    for number in range(180):
        world.publish(*raised(make_alert(f"a{number:03}", f"h{number}")))
        world.answer_all()
        world.advance(20 * timedelta(seconds=1))
        world.answer_all()
    world.advance(HOUR)
    world.answer_all()
    rows = world.deliveries(channel)
    moments = sorted(row["created_at"] for row in rows)
    for first, third in zip(moments, moments[2:], strict=False):
        assert third - first >= 10 * MINUTE
    told = [alert_id for row in rows for alert_id in row["alert_ids"]]
    assert sorted(told) == [f"a{number:03}" for number in range(180)]


def test_a_resolve_does_not_overtake_its_raise_that_waits(world: World) -> None:
    world.channel(rate_limit=RATE)
    alerts = [make_alert(f"a{n}", f"h{n}") for n in range(3)]
    world.publish(*raised(*alerts))
    world.publish(*(resolved(alert) for alert in alerts))
    assert world.answer_all() == ["raised:a0", "raised:a1"]
    world.advance(10 * MINUTE)
    assert listed(digest(world)) == ["a0 resolved", "a1 resolved", "a2 resolved"]


def test_tests_are_not_held_and_do_not_count(world: World) -> None:
    channel = world.channel(quiet_hours=QUIET, rate_limit=RATE)
    for _ in range(5):
        world.ask("test_channel", id=channel)
    assert world.answer_all() == ["test"] * 5


def test_r18_a_restart_loses_nothing_that_waits(world: World) -> None:
    world.channel(quiet_hours=QUIET)
    world.publish(*raised(make_alert()))
    world.restart("notify")
    world.redeliver(raised(make_alert()))
    world.advance(HOUR)
    assert listed(digest(world)) == ["a1 open"]


def test_a_deleted_channel_digests_nothing(world: World) -> None:
    channel = world.channel(quiet_hours=QUIET)
    world.publish(*raised(make_alert()))
    world.ask("delete_channel", id=channel)
    world.advance(HOUR)
    assert world.handed_out == []
    assert world.db.execute("SELECT count(*) FROM held").fetchone() == (0,)


def test_hours_and_rate_are_shown_changed_and_audited(world: World) -> None:
    channel = world.channel(quiet_hours=QUIET, rate_limit=RATE)
    shown = world.ask("get_channel", id=channel)
    assert shown["rate_limit"] == RATE
    assert shown["quiet_hours"] == {
        **QUIET, "timezone": "UTC", "breaks_through": ["critical"],
        "days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"],
    }  # fmt: skip
    shown = world.ask("patch_channel", id=channel, rate_limit=None)
    assert (shown["rate_limit"], shown["quiet_hours"]["from"]) == (None, "08:00")
    everything = json.dumps([event.model_dump(mode="json") for event in world.log])
    assert '"breaks_through": ["critical"]' in everything


def test_wrong_hours_and_rates_are_refused(world: World) -> None:
    for wrong in ({"quiet_hours": {"from": "08:00"}}, {"rate_limit": {"messages": 0}}):
        with pytest.raises(ValidationError):
            world.channel(**wrong)
    am = {"kind": "alertmanager", "config": {"url": "http://127.0.0.1:9093"}}
    for paced in ({"quiet_hours": QUIET}, {"rate_limit": RATE}):
        with pytest.raises(BadInput, match="of its own"):
            world.channel(**am, **paced)
    channel = world.channel(**am)
    with pytest.raises(BadInput, match="of its own"):
        world.ask("patch_channel", id=channel, rate_limit=RATE)
