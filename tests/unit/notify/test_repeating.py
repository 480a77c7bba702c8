"""Receivers of states: told again while something is open, and only what they have a word for."""

from __future__ import annotations

from datetime import timedelta

import pytest

from libs.common.events.alert import AlertReminded
from libs.common.loop.core import Effect
from services.notify import queue
from services.notify.kinds.alertmanager import REPEAT_EVERY
from services.notify.repeating import REPEAT
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

AM = {"kind": "alertmanager", "config": {"url": "http://127.0.0.1:9093"}}


@pytest.fixture
def world() -> World:
    return World()


def repeats(world: World) -> list[Effect]:
    return [effect for effect in world.handed_out if effect.kind == REPEAT]


def told_open(world: World, channel: str) -> list[str]:
    return [view["id"] for view in queue.told_and_open(world.db, channel)]


def test_what_is_open_is_told_again_every_minute_until_it_ends(world: World) -> None:
    channel = world.channel(**AM)
    alert = make_alert()
    world.publish(*raised(alert))
    assert repeats(world) == []
    world.answer(OK)
    for _ in range(3):
        world.advance(REPEAT_EVERY - timedelta(microseconds=1))
        assert repeats(world) == []
        world.advance(timedelta(microseconds=1))
        (effect,) = repeats(world)
        assert told_open(world, channel) == ["a1"]
        world.end_effect("notify", effect, **OK)
    world.publish(resolved(alert))
    assert told_open(world, channel) == []
    assert world.answer(OK) == "resolved:a1"
    world.advance(timedelta(days=1))
    assert repeats(world) == []


def test_one_that_does_not_work_shows_and_the_next_makes_up_for_it(world: World) -> None:
    channel = world.channel(**AM)
    world.publish(*raised(make_alert()))
    world.answer(OK)
    world.advance(REPEAT_EVERY)
    world.end_effect("notify", repeats(world)[0], **BUSY)
    shown = world.ask("get_channel", id=channel)
    assert (shown["in_trouble"], shown["last_error"]) == (True, "HTTP 503")
    world.advance(REPEAT_EVERY)
    world.end_effect("notify", repeats(world)[0], **OK)
    assert not world.ask("get_channel", id=channel)["in_trouble"]


def test_what_it_was_not_told_of_is_not_repeated(world: World) -> None:
    channel = world.channel(**AM, filter={"host_ids": ["h1"]})
    world.publish(*raised(make_alert("a1"), make_alert("a2", "h2"), make_alert("a3", "h1")))
    world.answer(OK)
    world.answer({"status": 400})
    assert told_open(world, channel) == ["a1"]


def test_it_has_no_word_for_acknowledged_and_reminded(world: World) -> None:
    channel = world.channel(**AM)
    alert = make_alert()
    world.publish(*raised(alert), acknowledged(alert), AlertReminded(alert=alert), resolved(alert))
    assert world.answer_all() == ["raised:a1", "resolved:a1"]
    assert world.states(channel) == ["raised delivered", "resolved delivered"]


def test_after_an_outage_each_alert_is_told_by_itself(world: World) -> None:
    world.channel(**AM)
    held = [make_alert(f"a{n}", f"h{n}", held_by="o1") for n in (1, 2)]
    world.publish(*raised(outage("o1"), *held))
    assert world.answer_all() == ["raised:o1"]
    world.publish(resolved(outage("o1"), still_away=("h2",)))
    assert sorted(world.answer_all()) == ["raised:a2", "resolved:o1"]


def test_a_deleted_channel_repeats_nothing(world: World) -> None:
    channel = world.channel(**AM)
    world.publish(*raised(make_alert()))
    world.answer(OK)
    world.advance(REPEAT_EVERY)
    (effect,) = repeats(world)
    world.ask("delete_channel", id=channel)
    world.end_effect("notify", effect, **OK)
    world.advance(timedelta(days=1))
    assert repeats(world) == []


def test_after_a_restart_it_goes_on(world: World) -> None:
    world.channel(**AM)
    world.publish(*raised(make_alert()))
    world.answer(OK)
    world.restart("notify")
    world.advance(REPEAT_EVERY)
    assert len(repeats(world)) == 1


def test_other_kinds_are_told_once(world: World) -> None:
    world.channel()
    world.publish(*raised(make_alert()))
    world.answer(OK)
    world.advance(timedelta(hours=1))
    assert world.handed_out == []
