"""A delivery's life: queued, in order, tried again, ended; on one channel and on several."""

from __future__ import annotations

from datetime import timedelta

import pytest

from libs.common.events.alert import (
    AlertReminded,
    NotificationDelivered,
    NotificationFailed,
)
from libs.common.testing.rig import START
from services.notify.policy import WINDOW_PER_CHANNEL
from tests.unit.notify.world import (
    BUSY,
    MINUTE,
    OK,
    World,
    acknowledged,
    enrolled,
    make_alert,
    raised,
    resolved,
)


@pytest.fixture
def world():
    return World()


def test_a_raise_is_sent_and_reported(world):
    channel = world.channel()
    world.publish(*raised(make_alert()))
    (effect,) = world.handed_out
    assert effect.payload == {"channel_id": channel, "try": 1}  # No address, no secret.
    assert world.answer() == "raised:a1"
    event = world.last(NotificationDelivered)
    assert (event.channel_id, event.channel_name, event.delivery_id) == (channel, "ops", effect.key)
    assert (event.event, event.alert_ids, event.tries) == ("raised", ("a1",), 1)
    assert world.states(channel) == ["raised delivered"]
    assert world.decisions("notify", "h1") == ["notified"]


def test_a_repeated_fact_is_told_once_though_all_has_moved_on(world):
    world.channel()
    alert = make_alert()
    world.publish(*raised(alert))
    world.answer()
    world.publish(acknowledged(alert))
    world.publish(resolved(alert))
    assert world.answer_all() == ["acknowledged:a1", "resolved:a1"]
    world.channel("second")
    world.redeliver([*raised(alert), acknowledged(alert), resolved(alert), *raised(alert)])
    assert world.handed_out == []


def test_a_late_acknowledgement_after_the_end_is_not_told(world):
    world.channel()
    alert = make_alert()
    world.publish(*raised(alert), resolved(alert), acknowledged(alert))
    assert world.answer_all() == ["raised:a1", "resolved:a1"]


def test_one_alert_keeps_its_order_while_others_pass(world):
    channel = world.channel()
    first, second = make_alert("a1"), make_alert("a2", "h2")
    world.publish(*raised(first), acknowledged(first), resolved(first), *raised(second))
    assert world.in_flight == ["raised:a1", "raised:a2"]
    assert world.answer(BUSY) == "raised:a1"
    assert world.answer(OK) == "raised:a2"
    assert world.in_flight == []  # The acknowledgement waits for the raise's end, not its try.
    assert world.states(channel) == [
        "raised waiting", "acknowledged queued", "resolved queued", "raised delivered",
    ]  # fmt: skip
    world.advance(timedelta(seconds=6))
    for expected in ("raised:a1", "acknowledged:a1", "resolved:a1"):
        assert world.in_flight == [expected]  # Never two of one alert at once.
        world.answer()


def test_tries_go_on_with_the_same_id_and_body_until_it_is_taken(world):
    world.channel()
    world.publish(*raised(make_alert()))
    seen = []
    for _ in range(4):
        (effect,) = world.handed_out
        seen.append((effect.key, world.message(effect)))
        world.answer(BUSY)
        assert world.handed_out == []
        world.advance(MINUTE)
    (effect,) = world.handed_out
    seen.append((effect.key, world.message(effect)))
    assert all(item == seen[0] for item in seen)
    assert effect.payload["try"] == 5
    world.answer(OK)
    assert world.last(NotificationDelivered).tries == 5
    assert len(world.of(NotificationDelivered)) == 1
    assert world.of(NotificationFailed) == []


def test_the_wait_doubles_and_starts_at_5_s(world):
    channel = world.channel()
    world.publish(*raised(make_alert()))
    for seconds in (5, 10, 20, 40):
        world.answer(BUSY)
        (row,) = world.deliveries(channel)
        wait = (row["next_try_at"] - world.now).total_seconds()
        assert seconds * 0.9 <= wait <= seconds * 1.1
        world.advance(timedelta(seconds=wait) - timedelta(microseconds=1))
        assert world.handed_out == []
        world.advance(timedelta(microseconds=1))
        assert len(world.handed_out) == 1


def test_retry_after_is_waited_for(world):
    world.channel()
    world.publish(*raised(make_alert()))
    world.answer({"status": 429, "retry_after": 90.0})
    world.advance(timedelta(seconds=89))
    assert world.handed_out == []
    world.advance(timedelta(seconds=1))
    assert world.in_flight == ["raised:a1"]


def test_after_a_day_of_tries_it_is_given_up_visibly(world):
    channel = world.channel()
    world.publish(*raised(make_alert()))
    tries = 0
    while world.handed_out:
        world.answer({"error": "the connection was refused"})
        tries += 1
        world.advance(timedelta(hours=1))
    event = world.last(NotificationFailed)
    assert event.tries == tries
    assert event.error == "the connection was refused; given up after 24 h"
    assert timedelta(hours=24) <= event.at - START < timedelta(hours=25)
    shown = world.ask("get_channel", id=channel)
    assert shown["in_trouble"]
    assert shown["last_failed_at"] == event.at
    assert "notification_failed" in world.decisions("notify", "h1")


@pytest.mark.parametrize(
    ("outcome", "error"),
    [
        ({"status": 404}, "HTTP 404"),
        ({"status": 302}, "HTTP 302: redirects are not followed"),
        ({"error": "the address 10.0.0.1 is not public", "refused": True},
         "the address 10.0.0.1 is not public"),
    ],
)  # fmt: skip
def test_a_refusal_ends_it_at_once_visibly(world, outcome, error):
    channel = world.channel()
    world.publish(*raised(make_alert()))
    world.answer(outcome)
    world.advance(timedelta(days=2))
    assert world.handed_out == []
    assert world.last(NotificationFailed).error == error
    assert world.states(channel) == ["raised failed"]


def test_what_follows_a_raise_that_never_went_out_is_dropped(world):
    channel = world.channel()
    alert = make_alert()
    world.publish(*raised(alert), acknowledged(alert), resolved(alert))
    world.answer({"status": 410})
    assert world.handed_out == []
    assert world.states(channel) == ["raised failed", "acknowledged dropped", "resolved dropped"]
    assert len(world.of(NotificationFailed)) == 1
    assert world.decisions("notify", "h1").count("notification_dropped") == 2


def test_a_resolve_is_told_only_where_the_raise_was(world):
    alert = make_alert()
    world.channel("all")
    world.channel("others", filter={"host_ids": ["h2"]})
    world.publish(*raised(alert))
    assert world.answer_all() == ["raised:a1"]
    world.channel("late")
    world.publish(resolved(alert))
    assert world.answer_all() == ["resolved:a1"]


def test_a_resolve_follows_its_raise_although_the_filter_has_changed(world):
    channel = world.channel()
    alert = make_alert()
    world.publish(*raised(alert))
    world.answer()
    world.ask("patch_channel", id=channel, filter={"kinds": ["fleet_outage"]})
    world.publish(*raised(make_alert("a2")), resolved(alert))
    assert world.answer_all() == ["resolved:a1"]


def test_a_resolve_waits_for_a_raise_that_was_never_tried_and_both_are_sent(world):
    world.channel()
    many = [make_alert(f"a{n:03}", f"h{n}") for n in range(WINDOW_PER_CHANNEL + 1)]
    world.publish(*raised(*many))
    last = many[-1]
    assert f"raised:{last.id}" not in world.in_flight
    world.publish(resolved(last))
    sent = world.answer_all()
    assert sent.index(f"raised:{last.id}") < sent.index(f"resolved:{last.id}")


def test_a_reminder_may_come_again_but_the_same_one_only_once(world):
    world.channel()
    alert = make_alert()
    first = AlertReminded(alert=make_alert(facts={"rung": "14d"}))
    second = AlertReminded(alert=make_alert(facts={"rung": "30d"}))
    world.publish(*raised(alert), first)
    world.publish(second, first)
    assert world.answer_all() == ["raised:a1", "reminded:a1", "reminded:a1"]
    world.publish(resolved(alert), first)
    assert world.answer_all() == ["resolved:a1"]


def test_a_late_reminder_does_not_take_an_acknowledgement_back(world):
    world.channel()
    alert = make_alert()
    reminder = AlertReminded(alert=make_alert(facts={"rung": "14d"}))
    world.publish(*raised(alert), reminder, acknowledged(alert, by="ada"))
    world.answer_all()
    world.publish(reminder)
    assert world.db.execute("SELECT state FROM alert").fetchone() == ("acknowledged",)
    world.publish(acknowledged(alert, by="bob"))
    assert world.handed_out == []


def test_silenced_is_not_told_and_neither_is_its_end(world):
    world.channel()
    alert = make_alert(silenced=True)
    world.publish(*raised(alert), resolved(alert))
    assert world.handed_out == []
    assert world.decisions("notify", "h1") == ["held_back", "not_notified"]


def test_tags_are_those_of_the_host_by_version(world):
    world.channel(filter={"tags": ["prod"]})
    world.publish(enrolled("h1", version=2, tags=("prod",)), enrolled("h2", tags=("lab",)))
    world.publish(enrolled("h1", version=1, tags=("lab",)))  # An old record that comes late.
    world.publish(*raised(make_alert("a1", "h1"), make_alert("a2", "h2"), make_alert("a3", "h3")))
    assert world.in_flight == ["raised:a1"]


def test_the_host_s_name_is_filled_in_where_it_is_missing(world):
    world.channel()
    world.publish(enrolled("h1"), *raised(make_alert(host_name="")))
    body = world.message(world.handed_out[0])
    assert body["alerts"][0]["host_name"] == "name-h1"
    assert body["summary"].startswith("name-h1: ")


def test_channels_are_independent(world):
    slow, fast = world.channel("slow"), world.channel("fast")
    many = [make_alert(f"a{n:03}", f"h{n}") for n in range(100)]
    world.publish(*raised(*many))
    assert len(world.handed_out) == 2 * len(many)
    while ready := [e for e in world.handed_out if e.payload["channel_id"] == fast]:
        world.answer(OK, ready[0])
    assert world.ask("get_channel", id=fast)["pending"] == 0
    assert world.ask("get_channel", id=slow)["pending"] == 100


def test_the_window_is_kept_and_refilled_oldest_first(world):
    world.channel()
    many = [make_alert(f"a{n:03}", f"h{n}") for n in range(WINDOW_PER_CHANNEL + 3)]
    world.publish(*raised(*many))
    assert len(world.handed_out) == WINDOW_PER_CHANNEL
    world.answer()
    assert len(world.handed_out) == WINDOW_PER_CHANNEL
    assert world.in_flight[-1] == f"raised:a{WINDOW_PER_CHANNEL:03}"


def test_r18_the_log_may_know_an_end_that_our_file_does_not(world):
    """A restored state file has the delivery still open; the log says that it was taken."""
    channel = world.channel()
    alert = make_alert()
    world.publish(*raised(alert), resolved(alert))
    (effect,) = world.handed_out
    world.publish(
        NotificationDelivered(
            channel_id=channel, channel_name="ops", delivery_id=effect.key, event="raised",
            alert_ids=("a1",), tries=1, at=world.now,
        )
    )  # fmt: skip
    assert world.states(channel)[0] == "raised delivered"
    handed_out = world.cores["notify"].restart().effects
    assert effect.key not in {again.key for again in handed_out}
    world.end_effect("notify", effect, **BUSY)  # What still ran says nothing any more.
    assert world.answer_all() == ["resolved:a1"]
    assert len(world.of(NotificationDelivered)) == 2


def test_a_failure_in_the_log_ends_it_too(world):
    channel = world.channel()
    world.publish(*raised(make_alert()))
    (effect,) = world.handed_out
    failed = NotificationFailed(
        channel_id=channel, channel_name="ops", delivery_id=effect.key, event="raised", tries=3,
        at=world.now, error="HTTP 404",
    )  # fmt: skip
    world.publish(failed)
    assert world.deliveries(channel)[0]["error"] == "HTTP 404"
    assert world.ask("get_channel", id=channel)["last_failed_at"] == world.now


def test_r18_what_was_handed_out_is_handed_out_again_after_a_crash(world):
    world.channel()
    world.publish(*raised(make_alert("a1"), make_alert("a2", "h2")))
    before = [effect.key for effect in world.handed_out]
    world.answer()
    again = world.cores["notify"].restart().effects
    assert [effect.key for effect in again] == before[1:]


def test_old_history_is_forgotten_but_not_what_is_open(world):
    channel = world.channel()
    old, open_ = make_alert("a1"), make_alert("a2", "h2")
    world.publish(*raised(old, open_), resolved(old))
    world.answer_all()
    world.input("notify", lambda tx: world.cores["notify"].machine.on_connected(tx))
    world.advance(timedelta(days=89))
    assert len(world.deliveries(channel)) == 3
    world.advance(timedelta(days=3))
    assert world.deliveries(channel) == []
    assert [row[0] for row in world.db.execute("SELECT id FROM alert")] == ["a2"]
    assert world.db.execute("SELECT count(*) FROM delivery_alert").fetchone() == (0,)


def test_one_more_raise_costs_the_same_after_ten_thousand(world):
    """No full scan per alert: every statement of the path uses an index."""
    world.channel()
    plans = []
    world.db.set_trace_callback(plans.append)
    alert = make_alert()
    world.publish(*raised(alert), resolved(alert))
    world.answer_all()
    world.db.set_trace_callback(None)
    touched = {sql for sql in plans if " FROM delivery" in sql or " FROM alert" in sql}
    assert touched
    for sql in touched:
        steps = [row[3] for row in world.db.execute(f"EXPLAIN QUERY PLAN {sql}")]
        assert not [step for step in steps if step.startswith("SCAN") and not _is_short(step)]


def _is_short(step):
    """A constant, or the list that the statement was given."""
    return "CONSTANT" in step or "json_each VIRTUAL TABLE" in step or step.startswith("SCAN about")
