"""What is to be sent is read many at a time, and never old."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from typing import Any

import pytest

from services.notify import shelf
from services.notify.shelf import Shelf
from tests.unit.notify.world import World, make_alert, raised


class Reading:
    """Runs queries on the world's state, and counts the hops."""

    def __init__(self, world: World) -> None:
        self._world, self.hops = world, 0

    async def __call__(self, query: Callable[[sqlite3.Connection], Any], /) -> Any:
        self.hops += 1
        return query(self._world.db)


@pytest.fixture
def world() -> World:
    made = World()
    made.publish(*raised(*(make_alert(f"old{n}", f"h{n}") for n in range(3))))
    return made


def in_hand(world: World, read: Reading, count: int) -> tuple[Shelf, str, list[str]]:
    """Return a shelf that expects so many messages, its channel, and their ids."""
    channel = world.channel()
    world.publish(*raised(*(make_alert(f"a{n}", f"h{n}") for n in range(count))))
    made = Shelf(channel, read)
    ids = [effect.key for effect in world.handed_out]
    for one in ids:
        made.expect(one)
    return made, channel, ids


async def test_all_that_is_in_hand_is_one_hop(world: World) -> None:
    read = Reading(world)
    made, channel, ids = in_hand(world, read, 50)
    items = [await made.take(one) for one in ids]
    assert read.hops == 1
    assert [json.loads(item.written)["id"] for item in items if item] == ids
    assert {item.channel.id for item in items if item} == {channel}
    assert made._items == {}


async def test_what_lay_too_long_is_read_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = Reading(world)
    made, channel, ids = in_hand(world, read, 3)
    before = await made.take(ids[0])
    world.ask("patch_channel", id=channel, config={"url": "http://127.0.0.1:8/other"})
    monkeypatch.setattr(shelf, "FRESH_SECONDS", 0.0)
    after = await made.take(ids[1])
    assert before
    assert after
    assert after.channel.sealed != before.channel.sealed
    assert read.hops == 2


async def test_a_message_or_a_channel_that_is_gone_is_none(world: World) -> None:
    read = Reading(world)
    made, channel, ids = in_hand(world, read, 2)
    made.expect("nope")
    assert await made.take("nope") is None
    world.ask("delete_channel", id=channel)
    other = Shelf(channel, read)
    other.expect(ids[0])
    assert await other.take(ids[0]) is None
    assert other._items == {}
