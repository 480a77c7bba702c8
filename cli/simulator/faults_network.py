"""What happens between agents and gateways, and on the machines of the agents."""

from __future__ import annotations

from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cli.simulator.world import World

ERRORS = [0, 0, 20, -90, 200, -1200]  # seconds by which a clock is wrong


def cut_links(world: World, random: Random) -> None:
    """Connections break unseen: both sides find out by silence."""
    world.truth.disturb("links cut", world.pace.heartbeat * 3)
    for shell in world.shells:
        for link in list(shell.links.values()):
            if random.random() < 0.5:
                world.cut(shell, link)


def bad_network(world: World, random: Random) -> None:
    """For a while frames are late, come twice, or are lost with their connection."""
    minutes = random.choice([5, 60])
    world.truth.disturb("bad network", timedelta(minutes=minutes) + world.pace.heartbeat * 3)
    world.network.get_worse(random)
    world.after(minutes * 60, world.network.get_better)


def set_agent_clock(world: World, random: Random) -> None:
    """A machine's clock was wrong and is set, or was right and is no longer."""
    agent = random.choice(list(world.agents.values()))
    world.truth.disturb("agent's clock set", timedelta(hours=1))
    agent.edited_at = world.now + timedelta(days=1)
    agent.set_clock(timedelta(seconds=random.choice(ERRORS)))
