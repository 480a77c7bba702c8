"""A full state file of every older version, opened by the present code: nothing is lost."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.store.database import open_connection, transaction
from tests.any_model import TEXT
from tests.effort import examples

ROOT = Path(__file__).parents[2]
LOOP = "libs.common.store"
SERVICES = [f"services.{path.parent.name}" for path in sorted(ROOT.glob("services/*/migrations"))]
LARGEST = 2**63 - 1000
"""Nearly: after the largest row id there is no next one."""
OF_TYPE: dict[str, st.SearchStrategy[Any]] = {
    "INTEGER": st.integers(-LARGEST, LARGEST) | st.integers(0, 3),
    "TEXT": TEXT, "BLOB": st.binary(max_size=30),
    "REAL": st.floats(allow_nan=False, allow_infinity=False),
}  # fmt: skip
SIMPLE = {"INTEGER": 1, "TEXT": "one", "BLOB": b"\x00", "REAL": 0.5}
Row = dict[str, Any]


def scripts(package: str) -> list[Path]:
    """Return the migrations of a package, oldest first."""
    return sorted((ROOT / package.replace(".", "/") / "migrations").glob("[0-9]*.sql"))


OLD_VERSIONS = [
    pytest.param(package, loop, own, id=f"{package} {loop}.{own}")
    for package in SERVICES
    for loop in range(1, len(scripts(LOOP)) + 1)
    for own in range(len(scripts(package)) + 1)
]


def make_old_file(path: Path, package: str, loop: int, own: int) -> sqlite3.Connection:
    """Make the file as the code did that knew so many of either list of migrations."""
    made = sqlite3.connect(path, isolation_level=None)
    made.execute("PRAGMA foreign_keys = ON")
    made.execute("PRAGMA synchronous = OFF")
    made.execute(
        "CREATE TABLE migration ("
        "list TEXT NOT NULL, number INTEGER NOT NULL, PRIMARY KEY (list, number)) STRICT"
    )
    for name, count in ((LOOP, loop), (package, own)):
        for script in scripts(name)[:count]:
            made.executescript(script.read_text())
            made.execute("INSERT INTO migration VALUES (?, ?)", (name, int(script.name[:4])))
    return made


def tables(db: sqlite3.Connection) -> list[str]:
    """Return the tables in the order of their making: what is referred to comes first."""
    found = db.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name <> 'migration'"
        " AND name NOT LIKE 'sqlite_%' AND sql NOT LIKE 'CREATE VIRTUAL%' ORDER BY rowid"
    )
    return [name for (name,) in found]


def fill(db: sqlite3.Connection, table: str, data: st.DataObject) -> None:
    """Put a plain row and some odd ones into a table; what its own rules refuse is left out."""
    columns = db.execute(f"SELECT name, type, \"notnull\" FROM pragma_table_info('{table}')")
    kinds = {name: (kind, bool(needed)) for name, kind, needed in columns}
    plain: Row = {name: SIMPLE[kind] for name, (kind, _) in kinds.items()} | _allowed(db, table)
    odd = {
        name: OF_TYPE[kind] if needed else st.none() | OF_TYPE[kind]
        for name, (kind, needed) in kinds.items()
    }
    more: list[Row] = data.draw(st.lists(st.fixed_dictionaries(odd), max_size=3), label=table)
    parents = dict(_parents(db, table))
    names, places = ", ".join(map(quoted, kinds)), ", ".join("?" * len(kinds))
    for row in [plain, *more]:
        db.execute(
            f"INSERT OR IGNORE INTO {table} ({names}) VALUES ({places})",
            [(row | parents)[name] for name in kinds],
        )
    assert db.execute(f"SELECT count(*) FROM {table}").fetchone() > (0,), table


def _allowed(db: sqlite3.Connection, table: str) -> dict[str, str]:
    """Return the first allowed word of each column that has a list of them."""
    (text,) = db.execute("SELECT sql FROM sqlite_master WHERE name = ?", (table,)).fetchone()
    return dict(re.findall(r"CHECK \((\w+) IN \(\s*'(\w+)'", text))


def _parents(db: sqlite3.Connection, table: str) -> Iterator[tuple[str, Any]]:
    """Yield each column that refers to another table, and a value that is there."""
    for _, _, parent, column, into, *_ in db.execute(f"PRAGMA foreign_key_list({table})"):
        yield column, db.execute(f"SELECT {into} FROM {parent} LIMIT 1").fetchone()[0]


def quoted(name: str) -> str:
    return f'"{name}"'


def content(db: sqlite3.Connection, columns: dict[str, list[str]]) -> dict[str, list[Any]]:
    """Return the rows of each table, of these columns only, in an order of their own."""
    return {
        table: sorted(
            db.execute(f"SELECT {', '.join(map(quoted, names))} FROM {table}").fetchall(), key=repr
        )
        for table, names in columns.items()
    }


def shape(db: sqlite3.Connection) -> list[Any]:
    return db.execute(
        "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name"
    ).fetchall()


def columns_of(db: sqlite3.Connection) -> dict[str, list[str]]:
    return {
        table: [name for (name,) in db.execute(f"SELECT name FROM pragma_table_info('{table}')")]
        for table in tables(db)
    }


@pytest.mark.parametrize(("package", "loop", "own"), OLD_VERSIONS)
@examples(4)
@given(data=st.data())
def test_an_old_file_is_brought_up_to_date_with_all_it_holds(
    package: str, loop: int, own: int, data: st.DataObject
) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "old.sqlite"
        with closing(make_old_file(path, package, loop, own)) as old:
            with transaction(old):
                for table in tables(old):
                    fill(old, table, data)
            columns = columns_of(old)
            before = content(old, columns)
        with closing(open_connection(":memory:", package)) as fresh:
            wanted = shape(fresh)
        for _ in range(2):  # The second start finds nothing to do.
            with closing(open_connection(path, package)) as now:
                assert content(now, columns) == before
                assert shape(now) == wanted
                assert now.execute("PRAGMA integrity_check").fetchone() == ("ok",)
                assert now.execute("PRAGMA foreign_key_check").fetchall() == []


def test_every_service_has_a_file_to_open() -> None:
    assert len(SERVICES) == 8
    assert all(scripts(package) for package in SERVICES)
