"""A silenced alert: nobody is told, until no silence covers it; then who was not told, once."""

from __future__ import annotations

from datetime import timedelta

import pytest

from libs.common.events.alert import Alert, AlertSilenced
from tests.unit.notify.world import World, make_alert, outage, raised, resolved, unsilenced


@pytest.fixture
def world() -> World:
    return World()


def silenced(alert: Alert, changes: int = 1) -> AlertSilenced:
    update = {"silenced": True, "silence_changes": changes}
    return AlertSilenced(alert=alert.model_copy(update=update))


def test_told_once_when_the_silence_ends(world: World) -> None:
    world.channel()
    alert = make_alert(silenced=True)
    world.publish(*raised(alert))
    assert world.handed_out == []
    world.publish(unsilenced(alert))
    assert world.answer_all() == ["raised:a1"]
    world.publish(unsilenced(alert), *raised(alert))  # They come again.
    assert world.handed_out == []
    assert world.decisions("notify", "h1") == ["held_back", "notified"]
    world.publish(resolved(alert))
    assert world.answer_all() == ["resolved:a1"]


def test_resolved_before_the_end_nobody_hears_of_either(world: World) -> None:
    world.channel()
    alert = make_alert(silenced=True)
    world.publish(*raised(alert), resolved(alert), unsilenced(alert))
    assert world.handed_out == []


def test_told_before_the_silence_not_again_after_it_but_its_end_is_told(world: World) -> None:
    world.channel()
    alert = make_alert()
    world.publish(*raised(alert))
    world.answer_all()
    world.publish(silenced(alert), unsilenced(alert, 2))
    assert world.handed_out == []
    world.publish(silenced(alert, 3), resolved(alert))
    assert world.answer_all() == ["resolved:a1"]


def test_given_up_before_the_silence_not_tried_again_after_it(world: World) -> None:
    world.channel()
    alert = make_alert()
    world.publish(*raised(alert))
    world.answer({"status": 404})
    world.publish(silenced(alert), unsilenced(alert, 2))
    assert world.handed_out == []
    assert world.decisions("notify", "h1")[-1] == "not_notified"


def test_an_old_end_of_a_silence_does_not_end_the_present_one(world: World) -> None:
    alert = make_alert(silenced=True)
    world.publish(*raised(alert), unsilenced(alert, 1), silenced(alert, 2))
    world.channel()  # It was told of nothing before.
    world.publish(unsilenced(alert, 1))
    assert world.handed_out == []
    world.publish(unsilenced(alert, 3))
    assert world.answer_all() == ["raised:a1"]


@pytest.mark.parametrize("silence_ends_first", [True, False])
def test_held_by_an_outage_too_it_is_told_when_the_later_lets_go(
    world: World, silence_ends_first: bool
) -> None:
    world.channel()
    alert = make_alert(silenced=True, held_by="o1")
    world.publish(*raised(outage(), alert))
    assert world.answer_all() == ["raised:o1"]
    end = resolved(outage(), still_away=("h1",))
    if silence_ends_first:
        world.publish(unsilenced(alert))
        assert world.handed_out == []
        world.publish(end)
        assert world.answer_all() == ["summary:a1"]
    else:
        world.publish(end)
        assert world.answer_all() == ["summary:o1"]
        world.publish(unsilenced(alert.model_copy(update={"held_by": None})))
        assert world.answer_all() == ["raised:a1"]
    world.publish(unsilenced(alert, 2))
    assert world.handed_out == []
    world.publish(resolved(alert))
    assert world.answer_all() == ["resolved:a1"]


def test_the_end_goes_where_the_filter_matches(world: World) -> None:
    world.channel("ops")
    world.channel("others", filter={"host_ids": ["h9"]})
    alert = make_alert(silenced=True)
    world.publish(*raised(alert), unsilenced(alert))
    assert world.answer_all() == ["raised:a1"]


def test_unheard_while_the_log_was_gone_it_is_told_from_the_bucket(world: World) -> None:
    world.channel()
    alert = make_alert(silenced=True)
    world.publish(*raised(alert))
    world.advance(timedelta(hours=1))
    now = make_alert(silence_changes=1)
    world.lose_log("notify", {"alerts": {"a1": now.model_dump_json().encode()}})
    assert world.answer_all() == ["raised:a1"]
