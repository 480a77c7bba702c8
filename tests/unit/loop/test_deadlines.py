"""The table of deadlines, written once a step: the first is always the one that the table has."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from libs.common.errors import BadInput
from libs.common.loop.core import Core
from libs.common.loop.deadlines import Change, Deadlines
from libs.common.loop.step import Position
from libs.common.loop.tx import Tx
from libs.common.store.database import open_connection
from tests.integration.loop.counter import Counter

NOW = datetime(2026, 6, 15, 9, 0, tzinfo=UTC)
SOON, LATER = NOW + timedelta(seconds=1), NOW + timedelta(hours=1)


@pytest.fixture
def db() -> sqlite3.Connection:
    return open_connection(":memory:", None)


@pytest.fixture
def core() -> Core:
    core = Core(Counter(), open_connection(":memory:", Counter.package))
    core.start_at(Position("log-1", 0, ""), {}, NOW, again=False)
    return core


@pytest.mark.parametrize("seed", range(20))
def test_the_first_is_that_of_the_table_whatever_changes(db: sqlite3.Connection, seed: int) -> None:
    random = Random(seed)
    deadlines, expected = Deadlines(db), dict[tuple[str, str], int]()
    for _ in range(60):
        changes: list[Change] = []
        for _ in range(random.randrange(4)):
            kind, key = random.choice("ab"), random.choice("xyz")
            due = random.choice([None, random.randrange(9)])
            changes.append((kind, key, due))
            expected.pop((kind, key), None)
            if due is not None:
                expected[kind, key] = due
        deadlines.write(changes)
        rows = db.execute("SELECT due_at, kind, key FROM deadline").fetchall()
        assert sorted(rows) == sorted((due, *which) for which, due in expected.items())
        assert deadlines.first == min(rows, default=None)


def test_a_step_sees_what_it_has_scheduled_and_the_table_otherwise(core: Core) -> None:
    core.step(inputs=[lambda tx: tx.schedule("quiet", "h", SOON)], now=NOW)

    def change(tx: Tx) -> list[datetime | None]:
        seen = [tx.find_due("quiet", "h"), tx.find_due("quiet", "other")]
        tx.schedule("quiet", "h", LATER)
        seen.append(tx.find_due("quiet", "h"))
        tx.unschedule("quiet", "h")
        return [*seen, tx.find_due("quiet", "h")]

    step = core.step(inputs=[change], now=NOW)
    assert step.answers == [[SOON, None, LATER, None]]
    assert step.next_due is None


def test_what_an_input_scheduled_in_vain_is_forgotten(core: Core) -> None:
    def refused(tx: Tx) -> None:
        tx.schedule("quiet", "h", SOON)
        raise BadInput("no")

    step = core.step(inputs=[lambda tx: tx.schedule("quiet", "h", LATER), refused], now=NOW)
    assert step.next_due == LATER
    assert Core(Counter(), core.db).restart().next_due == LATER


def test_what_one_deadline_ends_is_not_run_after_it(core: Core) -> None:
    """Both are due in one step; the handler of the first takes the second away."""
    ran: list[str] = []

    def run(tx: Tx, key: str, _due_at: datetime) -> None:
        ran.append(key)
        tx.unschedule("quiet", "second")

    def both(tx: Tx) -> None:
        tx.schedule("quiet", "first", SOON)
        tx.schedule("quiet", "second", SOON)

    core.machine.deadlines = {"quiet": run}
    core.step(inputs=[both], now=NOW)
    step = core.step(now=SOON, deadlines=True)
    assert (ran, step.due_run, step.next_due) == (["first"], 1, None)
