"""Consistent copies of SQLite files, of one moment, whether anything runs on them or not."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path

from libs.common.errors import StoreBroken


def copy_databases(folder: Path, names: Iterable[str], work: Path) -> None:
    """Copy files of `folder` into `work`. What is in a `-wal` beside them is in the copies.

    A read is begun on each before the first is copied: however long that takes, the copies are
    within milliseconds of each other. Nobody who writes has to wait.

    Raises: StoreBroken: one of them is damaged, or cannot be read.
    """
    with contextlib.ExitStack() as end:
        readers = {}
        for name in names:
            with _faults_name(folder / name):
                readers[name] = end.enter_context(contextlib.closing(_open(folder / name)))
                readers[name].execute("BEGIN")
                readers[name].execute("SELECT count(*) FROM sqlite_schema").fetchone()
        for name, reader in readers.items():
            with _faults_name(folder / name):
                _copy(reader, work / name)


def _open(path: Path) -> sqlite3.Connection:
    """Open a file that is there: `rw`, as after a crash what is in its `-wal` is taken up first."""
    address = f"{path.resolve().as_uri()}?mode=rw"
    return sqlite3.connect(address, uri=True, isolation_level=None)


def _copy(reader: sqlite3.Connection, target: Path) -> None:
    with contextlib.closing(sqlite3.connect(target, isolation_level=None)) as copy:
        reader.backup(copy)
        (said,) = copy.execute("PRAGMA quick_check(1)").fetchone()
        if said != "ok":
            raise sqlite3.DatabaseError(said)


@contextlib.contextmanager
def _faults_name(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise StoreBroken(f"cannot copy the state file {path}: {error}") from None
