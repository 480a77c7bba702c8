"""Services die, are away for hours, lag behind, or find their clock set."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from random import Random
from typing import TYPE_CHECKING

from cli.simulator.crashes import CrashPoint

if TYPE_CHECKING:
    from cli.simulator.node import Node
    from cli.simulator.world import World

SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)
JUMPS = [40 * SECOND, 0.3 * HOUR, 2 * HOUR, 26 * HOUR]
LONGEST_JUMP_BACK = 2 * HOUR


def crash(world: World, random: Random) -> None:
    """Kill a service at its next step, between any two of the loop's moves."""
    node = random.choice(list(world.nodes.values()))
    point = random.choice(list(CrashPoint))
    away = random.choice([0.5, 5.0, 60.0]) * random.random()
    world.truth.disturb(f"crash {point.name.lower()}", timedelta(seconds=away + 120))
    node.crash_at = point
    world.after(60, partial(_end, node))
    _restart_when_dead(world, node, away)


def _end(node: Node) -> None:
    """Kill a service that had nothing to do, and so never came to its crash point."""
    if node.up and node.crash_at is not None:
        node.kill()


def _restart_when_dead(world: World, node: Node, away: float) -> None:
    if node.up:
        world.after(1.0, partial(_restart_when_dead, world, node, away))
    else:
        world.after(away, partial(start, node))


def start(node: Node) -> None:
    if not node.up:
        node.start()


def long_outage(world: World, random: Random) -> None:
    """The gateway, or all of the control plane, is gone for hours."""
    nodes = list(world.nodes.values())
    everything = random.random() < 0.5
    if not everything:
        nodes = [shell.node for shell in world.shells]
    seconds = random.choice([200.0, 3600.0, 8 * 3600.0]) * random.uniform(0.5, 1.5)
    what = "control plane away" if everything else "gateways away"
    world.truth.disturb(what, timedelta(seconds=seconds))
    for node in nodes:
        if node.up:
            node.kill()
            world.after(seconds + random.uniform(0, 10), partial(start, node))


def slow_service(world: World, random: Random) -> None:
    """A service reads and sends late, for a while: others run ahead of it."""
    node = random.choice(list(world.nodes.values()))
    world.truth.disturb("slow service", timedelta(minutes=30))
    node.latency = random.uniform(1, 30)
    world.after(1200, lambda: setattr(node, "latency", 0.02))


def set_clock(world: World, random: Random) -> None:
    """The clock of the services jumps, ahead or back."""
    jump = random.choice(JUMPS) * random.uniform(0.5, 1.5)
    if random.random() < 0.5:
        jump = -min(jump, LONGEST_JUMP_BACK)
    world.set_clock(jump)
