"""R18, R19: alerting's file, lost after days of trouble, is made anew from the log as it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cli.simulator.play import Plan, prepare
from cli.simulator.trouble import KINDS
from libs.common.bus.memory import MemoryBus
from libs.common.clock import VirtualClock
from libs.common.loop.rebuild import rebuild
from libs.common.store.database import open_connection

LOSING = {"wipe", "rewind", "expire", "set_clock"}
KINDS_KEPT = tuple(kind.__name__ for kind in KINDS if kind.__name__ not in LOSING)
PLAN = Plan(hosts=3, days=5, troubles_per_day=12, only=KINDS_KEPT)
TABLES = {
    "alerts": "SELECT alert_id, host_id, kind, json_remove(body, '$.last_seen_at') FROM alert",
    "silences": "SELECT * FROM silence",
    "mutes": "SELECT * FROM mute",
    "hosts": "SELECT host_id, name, always_on, removed, status, session, last_success_at FROM host",
}


def rows_of(db: Any) -> dict[str, list[Any]]:
    return {name: sorted(db.execute(query), key=str) for name, query in TABLES.items()}


@pytest.mark.parametrize("seed", [7, 9, 12, 15])
async def test_alerting_is_rebuilt_as_it_was(seed: int, tmp_path: Path) -> None:
    play = prepare(seed, PLAN)
    assert play.run().failure is None
    node = play.world.nodes["alerting"]
    bus = MemoryBus(play.world.log)
    await bus.connect()
    path = tmp_path / "alerting.db"
    replayed = await rebuild(node.machine, bus, path, VirtualClock(play.world.now), replay=True)
    before, after = rows_of(node.db), rows_of(open_connection(path, node.machine.package))
    assert replayed > 100
    assert len(before["alerts"]) > 5
    assert before["silences"]
    assert after == before
