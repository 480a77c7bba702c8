"""Machines that are there and make no backups, and sites that lose their power."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from random import Random
from typing import TYPE_CHECKING

from cli.simulator.oracle_outages import AT_LEAST, Darkness
from libs.common.events.host import HostRecord
from libs.common.protocol import GoodbyeReason

if TYPE_CHECKING:
    from cli.simulator.agent import Agent
    from cli.simulator.world import World

DAY = timedelta(days=1)
SECONDS_TO_GO_DOWN = 30.0


def fail_backups(world: World, random: Random) -> None:
    """A host's repository is full for days: whatever it runs fails."""
    agent = random.choice(list(world.agents.values()))
    world.truth.disturb("repository full")
    agent.fails_until = world.elapsed + DAY * random.uniform(2, 12)


def wedge_schedules(world: World, random: Random) -> None:
    """A server is there, and its agent notices no fire for days."""
    agent = random.choice([one for one in world.agents.values() if one.name.startswith("server")])
    world.truth.disturb("schedules wedged")
    agent.wedged_until = world.elapsed + DAY * random.uniform(0.5, 3)


def lose_site(world: World, random: Random) -> None:
    """The servers of one site shut down together, and return together, or one after the other."""
    records = [HostRecord.model_validate_json(data) for data in world.log.buckets["hosts"].values()]
    servers = {one.id: one for one in records if one.always_on and not one.removed}
    sites = sorted({tag for one in servers.values() for tag in one.tags if tag.startswith("site:")})
    if not sites:
        return
    site = random.choice(sites)
    online = [agent for key, agent in world.agents.items() if key in servers and _is_there(agent)]
    gone = [agent for agent in online if site in servers[agent.host_id].tags]
    if len(gone) < AT_LEAST:
        return
    world.truth.disturb("site dark")
    ids = frozenset(agent.host_id for agent in gone)
    world.truth.dark_sites.append(Darkness(site, world.now, ids, len(online)))
    hours = random.choice([0.1, 2, 6]) * random.uniform(0.5, 1.5)
    for agent in gone:
        agent.has_power = False
        world.after(random.uniform(0, SECONDS_TO_GO_DOWN), partial(_go_dark, agent))
        late = random.choice([0.0, 0.0, 3600.0])
        world.after(hours * 3600 + 60 + random.uniform(0, late), partial(_return, world, agent))


def _is_there(agent: Agent) -> bool:
    return agent.link is not None and agent.link.welcomed


def _go_dark(agent: Agent) -> None:
    agent.fall_asleep(GoodbyeReason.SHUTDOWN)


def _return(world: World, agent: Agent) -> None:
    world.truth.disturb("power back")
    agent.has_power = True
    agent.wake_up()
