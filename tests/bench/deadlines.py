"""A pass over the deadlines of 100,000 hosts when nothing is due, beside looking at every row."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from statistics import median

from libs.common.clock import SystemClock, monotonic_seconds, to_micros
from libs.common.loop.core import Core
from libs.common.loop.step import Position
from libs.common.store.database import Database, transaction
from tests.bench.loop import Busy

HOSTS = 100_000
PASSES = 200
SCANS = 20


async def measure(folder: Path) -> dict[str, float]:
    """Return the milliseconds of a pass and of a scan, and their ratio."""
    database = Database(folder / "busy.db", "tests.bench")
    await database.open()
    try:
        return await database.run(lambda _: _measured(database))
    finally:
        await database.close()


def _measured(database: Database) -> dict[str, float]:
    now, db = SystemClock().now(), database.connection
    core = Core(Busy(), db)
    core.start_at(Position("today", 0, ""), {}, now, again=False)
    due = to_micros(now + timedelta(hours=1))
    with transaction(db):
        rows = (("far", f"host-{number:06}", due + number) for number in range(HOSTS))
        db.executemany("INSERT INTO deadline (kind, key, due_at) VALUES (?, ?, ?)", rows)
    one_pass = _milliseconds(lambda: core.step(now=now, deadlines=True), PASSES)
    scan = _milliseconds(lambda: _scan(database, to_micros(now)), SCANS)
    return {"pass": one_pass, "scan": scan, "ratio": one_pass / scan}


def _scan(database: Database, now: int) -> None:
    """Every host looked at, as a sweep does: `+due_at` uses no index."""
    query = "SELECT key FROM deadline WHERE +due_at <= ?"
    assert database.connection.execute(query, (now,)).fetchall() == []


def _milliseconds(work: Callable[[], object], times: int) -> float:
    found = []
    for _ in range(times):
        started = monotonic_seconds()
        work()
        found.append((monotonic_seconds() - started) * 1000)
    return median(found)
