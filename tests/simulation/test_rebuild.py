"""R18, R19: the files of alerting, catchup and jobs, lost after days of trouble, are made anew from
the log as they were."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cli.simulator.node import Node
from cli.simulator.play import Plan, prepare
from cli.simulator.trouble import KINDS
from cli.simulator.world import World
from libs.common.bus.memory import MemoryBus
from libs.common.clock import VirtualClock
from libs.common.events.base import decode
from libs.common.events.catchup import CatchupArmed
from libs.common.loop.rebuild import rebuild
from libs.common.store.database import open_connection

LOSING = {"wipe", "rewind", "expire", "set_clock"}
KINDS_KEPT = tuple(kind.__name__ for kind in KINDS if kind.__name__ not in LOSING)
PLAN = Plan(hosts=3, days=5, troubles_per_day=12, only=KINDS_KEPT)
UNEDITED = Plan(hosts=3, days=8, troubles_per_day=4, only=("crash",))
"""After their first minutes nothing is said of the hosts' records."""

ALERTING = {
    "alerts": "SELECT alert_id, host_id, kind, json_remove(body, '$.last_seen_at') FROM alert",
    "silences": "SELECT * FROM silence",
    "mutes": "SELECT * FROM mute",
    "hosts": "SELECT host_id, name, always_on, removed, status, session, last_success_at FROM host",
}

CATCHUP = {
    "arms": "SELECT host_id, arm_id, armed_at, due_at, listed, put_off FROM arm",
    "pairs": "SELECT * FROM pair",
    "runs": "SELECT * FROM run",
    "hosts": "SELECT host_id, session, online, synced, usual_stay FROM host",
    "successes": "SELECT * FROM success",
    "usual runs": "SELECT * FROM usual_group_run",
    "jobs": "SELECT job_id, host_id, state FROM job",
    "decisions": "SELECT host_id, what, text, rule FROM decision WHERE what != 'catchup_waits'",
}
JOBS = {
    "jobs": "SELECT job_id, host_id, kind, origin, cause, status, run_id, attempt, schedule_id, "
    "source_group_id, fire_time, arm_id, arguments, locks, requested_by, created_at, "
    "dispatched_at, started_at, finished_at, exit_code, error, reason, stats FROM job",
    "fires": "SELECT * FROM fire",
    "requests": "SELECT arm_id, schedule_id, source_group_id, put_off FROM catchup_request",
    "backups": "SELECT * FROM backup",
}
STEP_SECONDS, STEPS = 11, 8000


def lived(seed: int, plan: Plan) -> World:
    """Return a world after all its days."""
    play = prepare(seed, plan)
    assert play.run().failure is None
    return play.world


def rows_of(db: Any, tables: dict[str, str]) -> dict[str, list[Any]]:
    return {name: sorted(db.execute(query), key=str) for name, query in tables.items()}


async def rebuilt(world: World, name: str, folder: Path) -> Any:
    """Return a service's new file, made from the world's log and buckets."""
    bus = MemoryBus(world.log)
    await bus.connect()
    machine, path = world.nodes[name].machine, folder / f"{name}.db"
    assert await rebuild(machine, bus, path, VirtualClock(world.now)) > 100
    return open_connection(path, machine.package)


@pytest.mark.parametrize("seed", [7, 12, 15, 18])
async def test_alerting_is_rebuilt_as_it_was(seed: int, tmp_path: Path) -> None:
    world = lived(seed, PLAN)
    before = rows_of(world.nodes["alerting"].db, ALERTING)
    after = rows_of(await rebuilt(world, "alerting", tmp_path), ALERTING)
    assert len(before["alerts"]) > 5
    assert before["silences"]
    assert after == before


def is_amid_a_list(node: Node) -> bool:
    listed = node.db.execute("SELECT 1 FROM pair LIMIT 1").fetchone()
    return listed is not None and node.is_settled


@pytest.mark.parametrize("seed", [4, 9, 11, 20])
async def test_catchup_is_rebuilt_as_it_was_amid_a_list(seed: int, tmp_path: Path) -> None:
    world = lived(seed, PLAN)
    node = world.nodes["catchup"]
    for _ in range(STEPS):
        if is_amid_a_list(node):
            break
        world.run_for(STEP_SECONDS)
    before = rows_of(node.db, CATCHUP)
    after = rows_of(await rebuilt(world, "catchup", tmp_path), CATCHUP)
    assert all(before[name] for name in ("arms", "pairs", "decisions"))
    assert after == before


@pytest.mark.parametrize("seed", [2, 5, 9, 21])
async def test_jobs_are_rebuilt_as_they_were(seed: int, tmp_path: Path) -> None:
    world = lived(seed, PLAN)
    before = rows_of(world.nodes["jobs"].db, JOBS)
    after = rows_of(await rebuilt(world, "jobs", tmp_path), JOBS)
    assert {row[3] for row in before["jobs"]} >= {"schedule", "catchup", "manual"}
    assert after == before


@pytest.mark.parametrize("seed", [9, 10])
async def test_catchups_of_hosts_that_are_older_than_the_log_are_rebuilt(
    seed: int, tmp_path: Path
) -> None:
    world = lived(seed, UNEDITED)
    log = world.log
    log.expire(log.info().last_seq // 2)
    told = [decode(message.data) for message in log.read(log.info().first_seq, 100_000)]
    armed = {one.event.arm_id for one in told if one and isinstance(one.event, CatchupArmed)}
    before = decisions_on(armed, world.nodes["catchup"].db)
    assert before
    assert decisions_on(armed, await rebuilt(world, "catchup", tmp_path)) == before


def decisions_on(arms: set[str], db: Any) -> list[tuple[str, str]]:
    """Return which runs were asked for by which arms, and which of these ended."""
    found = db.execute("SELECT facts ->> '$.arm_id', what FROM decision "
                       "WHERE what IN ('catchup_requested', 'catchup_finished')")  # fmt: skip
    return sorted(row for row in found if row[0] in arms)
