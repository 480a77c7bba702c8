"""What operators do with repositories: they thin, check and unlock them, and list what is there."""

from __future__ import annotations

from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING

from cli.simulator.operators import some_host
from libs.common.events.job import JobKind

if TYPE_CHECKING:
    from cli.simulator.world import World

KINDS = [JobKind.FORGET, JobKind.PRUNE, JobKind.CHECK, JobKind.UNLOCK, JobKind.SNAPSHOTS]


def work_on_repository(world: World, random: Random) -> None:
    """Ask a host for one of them; a prune or check may go to a server that shares its repository,
    and one that locks the repository waits for all who use it."""
    found = some_host(world, random)
    if not found:
        return
    kind = random.choice(KINDS)
    group = random.choice(found[1].source_groups).id if kind is JobKind.FORGET else None
    for agent in world.sharing(found[0]):
        agent.edited_at = world.now
    world.truth.disturb(f"{kind} asked for", timedelta(hours=2))
    world.nodes["jobs"].call(
        "start", host_id=found[0].host_id, kind=kind, source_group_id=group,
        when_it_wakes=random.random() < 0.7,
    )  # fmt: skip
