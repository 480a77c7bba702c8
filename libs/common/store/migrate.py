"""Numbered SQL migrations: `NNNN_purpose.sql`, applied once each, in order, one transaction each.

A service's file has two lists: the loop's own (`libs.common.store`) and the service's. The table
`migration` remembers (list, number).
"""

from __future__ import annotations

import sqlite3
from importlib import resources
from importlib.resources.abc import Traversable

from libs.common.errors import StoreBroken

_LOOP = "libs.common.store"


def migrate(connection: sqlite3.Connection, package: str | None) -> None:
    """Bring the file up to date with the loop's migrations and those of `package`, if any.

    Raises: StoreBroken if the file was written by a newer version.
    """
    connection.execute(
        "CREATE TABLE IF NOT EXISTS migration ("
        "list TEXT NOT NULL, number INTEGER NOT NULL, PRIMARY KEY (list, number)) STRICT"
    )
    for name in (_LOOP, package):
        if name is not None:
            _apply_list(connection, name)


def _apply_list(connection: sqlite3.Connection, package: str) -> None:
    done = {
        number
        for (number,) in connection.execute(
            "SELECT number FROM migration WHERE list = ?", (package,)
        )
    }
    files = _files(package)
    if done - files.keys():
        raise StoreBroken(f"the state file was written by a newer version ({package} {max(done)})")
    for number in sorted(files.keys() - done):
        script = files[number].read_text(encoding="utf-8")
        mark = f"INSERT INTO migration VALUES ('{package}', {number});"  # noqa: S608  our own names
        connection.executescript(f"BEGIN IMMEDIATE;\n{script}\n{mark}\nCOMMIT;")


def _files(package: str) -> dict[int, Traversable]:
    folder = resources.files(package) / "migrations"
    if not folder.is_dir():
        return {}
    return {int(file.name[:4]): file for file in folder.iterdir() if file.name.endswith(".sql")}
