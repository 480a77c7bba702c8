"""Many rows in few statements."""

from __future__ import annotations

import sqlite3

import pytest

from libs.common.store.many import write_many


@pytest.fixture
def db():
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.execute("CREATE TABLE one (place INTEGER PRIMARY KEY, kind TEXT, key TEXT)")
    yield connection
    connection.close()


@pytest.mark.parametrize(
    ("count", "statements"), [(0, 0), (1, 1), (7, 7), (8, 1), (9, 2), (64, 1), (73, 3), (200, 4)]
)
def test_all_rows_are_written_in_order(db: sqlite3.Connection, count: int, statements: int) -> None:
    rows, said = [(f"kind {number % 3}", f"key {number}") for number in range(count)], []
    db.set_trace_callback(said.append)
    write_many(db, "INSERT INTO one (kind, key) VALUES", rows)
    db.set_trace_callback(None)
    assert db.execute("SELECT kind, key FROM one ORDER BY place").fetchall() == rows
    assert len(said) == statements
