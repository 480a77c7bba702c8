"""What operators do, at any moment: they edit, remove, start, cancel, acknowledge."""

from __future__ import annotations

from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING, Any

from cli.simulator.habits import travel
from libs.common.events.host import HostMode, HostRecord

if TYPE_CHECKING:
    from cli.simulator.agent import Agent
    from cli.simulator.node import Done
    from cli.simulator.world import World

MINUTE = timedelta(minutes=1)
TAGS = ["berlin", "lab", "old"]
LIMITS = {
    "offline_seconds": [600, 3600, 4 * 3600],
    "stale_seconds": [86_400, 2 * 86_400, 10 * 86_400],
    "missed_seconds": [3600, 2 * 3600],
}


def some_host(world: World, random: Random) -> tuple[Agent, HostRecord] | None:
    hosts = world.log.buckets["hosts"]
    agent = random.choice(list(world.agents.values()))
    data = hosts.get(agent.host_id)
    record = HostRecord.model_validate_json(data) if data else None
    return None if record is None or record.removed else (agent, record)


def edit(world: World, agent: Agent, verb: str, done: Done | None = None, **arguments: Any) -> None:
    world.truth.disturb(verb)
    agent.edited_at = world.now
    world.registry.call(verb, done, host_id=agent.host_id, **arguments)


def change_mode(world: World, random: Random) -> None:
    found = some_host(world, random)
    if not found:
        return
    agent, before = found[0], _mode(world, found[0])

    def note(_: Any) -> None:
        """Saving the same mode changes nothing, nor does who asks while the bus is away."""
        if _mode(world, agent) != before:
            agent.mode_set_at = world.now

    edit(world, agent, "set_mode", note, always_on=random.random() < 0.5)


def _mode(world: World, agent: Agent) -> bool:
    query = "SELECT record FROM host WHERE id = ?"
    (record,) = world.registry.db.execute(query, (agent.host_id,)).fetchone()
    return HostRecord.model_validate_json(record).always_on


def edit_schedule(world: World, random: Random) -> None:
    """Switch one off or on, or move it to another hour."""
    found = some_host(world, random)
    if not found or not found[1].schedules:
        return
    schedule = random.choice(found[1].schedules)
    changes: dict[str, Any] = {"enabled": not schedule.enabled}
    if random.random() < 0.3:
        changes = {"cron": f"{random.randrange(60)} {random.randrange(24)} * * *"}
    edit(world, found[0], "patch_schedule", id=schedule.id, **changes)


def set_threshold(world: World, random: Random) -> None:
    """Of a host, of a tag or of a mode: another one, or none any more."""
    found = some_host(world, random)
    if not found:
        return
    field = random.choice(list(LIMITS))
    wanted = {field: random.choice([*LIMITS[field], None])}
    whose = random.choice(["host", "tag", "mode"])

    def note(_: Any = None) -> None:
        """Whoever asked in vain may have been heard all the same."""
        world.truth.disturb(f"threshold of a {whose}")
        for agent in world.agents.values():
            agent.limits_set_at = world.now

    note()
    if whose == "host":
        patch = {"host_id": found[0].host_id, "thresholds": wanted}
        world.registry.call("patch_host", note, **patch)
    else:
        name = random.choice(TAGS if whose == "tag" else list(HostMode))
        world.registry.call("set_thresholds", note, **{whose: name}, **wanted)


def move_zone(world: World, random: Random) -> None:
    found = some_host(world, random)
    if found:
        travel(world, found[0], random)


def remove(world: World, random: Random) -> None:
    found = some_host(world, random)
    if found and len(world.agents) > 2:
        found[0].removed = True
        found[0].fall_asleep(None)
        edit(world, found[0], "remove_host")


def back_up(world: World, random: Random) -> None:
    found = some_host(world, random)
    if found:
        group = random.choice(found[1].source_groups)
        found[0].edited_at = world.now
        world.truth.disturb("manual backup", timedelta(hours=2))
        world.nodes["jobs"].call(
            "backup", host_id=found[0].host_id, source_group_id=group.id,
            when_it_wakes=random.random() < 0.7,
        )  # fmt: skip


def cancel(world: World, random: Random) -> None:
    db = world.nodes["jobs"].db
    rows = db.execute("SELECT job_id FROM job WHERE finished_at IS NULL").fetchall()
    if rows:
        world.truth.disturb("job cancelled", timedelta(hours=1))
        world.nodes["jobs"].call("cancel", job_id=random.choice(rows)[0])


def handle_alert(world: World, random: Random) -> None:
    db = world.nodes["alerting"].db
    rows = db.execute("SELECT alert_id, host_id, kind FROM alert WHERE state != 'resolved'")
    found = rows.fetchall()
    if not found:
        return
    alert_id, host_id, kind = random.choice(found)
    verb = random.choice(["acknowledge", "resolve"])
    world.truth.disturb(f"alert {verb}d")

    def note(_: Any) -> None:
        """Whatever the answer was: who asked in vain, or died in it, may have resolved nothing."""
        query = "SELECT 1 FROM alert WHERE alert_id = ? AND state = 'resolved'"
        if verb == "resolve" and db.execute(query, (alert_id,)).fetchone():
            world.truth.muted[host_id, kind] = world.now + 2 * MINUTE

    world.nodes["alerting"].call(verb, note, alert_id=alert_id)
