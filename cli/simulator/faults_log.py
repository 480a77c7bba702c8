"""The bus goes away, breaks a publish in its middle, repeats itself, or loses what it stored."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from random import Random
from typing import TYPE_CHECKING

from libs.common.bus.base import Outgoing

if TYPE_CHECKING:
    from cli.simulator.world import World

MINUTE = timedelta(minutes=1)
TRIES = 60


def bus_blip(world: World, random: Random) -> None:
    _take_away(world, "bus away", random.uniform(0.1, 5))


def bus_outage(world: World, random: Random) -> None:
    seconds = random.choice([120.0, 3600.0]) * random.uniform(0.5, 1.5)
    _take_away(world, "bus away for long", seconds)


def _take_away(world: World, what: str, seconds: float) -> None:
    world.truth.disturb(what, timedelta(seconds=seconds))
    world.take_bus_away()
    world.after(seconds, world.bring_bus_back)


def cut_mid_publish(world: World, random: Random) -> None:
    """The bus takes a few more messages, and goes in the middle of a batch."""
    world.truth.disturb("cut in a publish", 5 * MINUTE)
    world.log.fail_after = random.randrange(4)


def repeat(world: World, random: Random) -> None:
    """A fact comes twice, as long after the first time as it likes."""
    log = world.log
    info = log.info() if log.available else None
    if info is None or info.last_seq < info.first_seq:
        return
    seq = random.randint(info.first_seq, info.last_seq)
    message = log.read(seq, 1)[0]
    again = world.ids.next(world.now)
    world.truth.disturb("repeated event")
    log.append(Outgoing(again, message.subject, message.data))


# --- what was stored is lost, once everybody knows it


def wipe(world: World, random: Random) -> None:
    """The bus comes back with an empty store: another log, empty buckets."""
    _when_settled(world, lambda: _lose(world, "log wiped", random, world.log.wipe))


def rewind(world: World, random: Random) -> None:
    """The bus comes back from an older copy of its log."""

    def lose() -> None:
        info = world.log.info()
        lost = min(random.choice([1, 5, 50]), info.last_seq - info.first_seq)
        world.log.rewind(info.last_seq - lost)

    _when_settled(world, lambda: _lose(world, "log rewound", random, lose))


def _lose(world: World, what: str, random: Random, lose: Callable[[], None]) -> None:
    seconds = random.uniform(0.1, 20)
    world.truth.disturb(what, timedelta(seconds=seconds))
    lose_first = random.random() < 0.5
    if lose_first:
        lose()
    world.take_bus_away()
    if not lose_first:
        world.log.available = True
        lose()
        world.log.available = False
    world.after(seconds, world.bring_bus_back)


def expire(world: World, random: Random) -> None:
    """Everything that all have read is dropped from the log, as age does."""

    def drop() -> None:
        world.truth.disturb("log expired")
        world.log.expire(world.log.info().last_seq + random.choice([0, 1]))

    _when_settled(world, drop)


def lose_position(world: World, random: Random) -> None:
    """A service's file no longer knows how far it had read."""
    node = random.choice(list(world.nodes.values()))

    def lose() -> None:
        world.truth.disturb("position lost")
        node.kill()
        node.db.execute("DELETE FROM position")
        node.start()

    _when_settled(world, lose)


def _when_settled(world: World, lose: Callable[[], None], tries: int = TRIES) -> None:
    """Facts that not everybody has read would be lost for good, and nobody could be blamed."""
    if world.log.available and all(node.is_settled for node in world.nodes.values()):
        lose()
    elif tries > 0:
        world.after(20, partial(_when_settled, world, lose, tries - 1))
