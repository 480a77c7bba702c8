"""A service's SQLite file: WAL, durable on every commit, locked against a second process."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import aiosqlite

from libs.common.clock import monotonic_seconds
from libs.common.errors import StoreBroken, StoreLocked
from libs.common.store.migrate import migrate

if sys.platform != "win32":
    import fcntl

T = TypeVar("T")
LOCK_WAIT_SECONDS = 5.0
STATEMENTS = 512
"""How many a connection keeps compiled: no service has more of them."""


class FileLock:
    """An exclusive lock on `<path>.lock`, freed by the kernel however the process ends."""

    def __init__(self, path: Path, wait_seconds: float = LOCK_WAIT_SECONDS) -> None:
        """Take the lock, waiting a little for a dying predecessor.

        Raises: StoreLocked, StoreBroken if the directory cannot be written.
        """
        self._path = path.with_name(path.name + ".lock")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("a")
        except OSError as error:
            raise StoreBroken(f"cannot write in {path.parent}: {error.strerror}") from None
        deadline = monotonic_seconds() + wait_seconds
        while not self._try_lock():
            if monotonic_seconds() > deadline:
                self._file.close()
                raise StoreLocked(f"{path} is in use by another process")
            time.sleep(0.05)

    def _try_lock(self) -> bool:
        if sys.platform == "win32":
            return True
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def release(self) -> None:
        self._file.close()


def open_connection(path: Path | str, package: str | None) -> sqlite3.Connection:
    """Open and migrate a file (or `:memory:`), in autocommit mode: transactions are explicit.

    Raises: StoreBroken if it is no sound SQLite file or cannot be written.
    """
    try:
        connection = sqlite3.connect(
            path, isolation_level=None, check_same_thread=False, cached_statements=STATEMENTS
        )
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA cache_size = -8000")
        migrate(connection, package)
    except sqlite3.DatabaseError as error:
        raise StoreBroken(f"cannot use the state file {path}: {error}") from None
    return connection


class transaction:  # noqa: N801  Reads as the statement that it is.
    """Commit at the end, or roll back everything. A class: one a step, and half the cost."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self._connection.execute("COMMIT")
        finally:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")


class savepoint:  # noqa: N801
    """Like a transaction, inside one."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        self._connection.execute("SAVEPOINT part")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._connection.execute("RELEASE part")
        elif self._connection.in_transaction:  # A full disk may have rolled back all already.
            self._connection.execute("ROLLBACK TO part")
            self._connection.execute("RELEASE part")


class Database:
    """The file with its own thread: `run` is one hop, whatever it does there."""

    def __init__(self, path: Path, package: str | None) -> None:
        self.path = path
        self._package = package

    async def open(self, lock_wait_seconds: float = LOCK_WAIT_SECONDS) -> None:
        """Raises: StoreLocked, StoreBroken."""
        self._lock = await asyncio.to_thread(FileLock, self.path, lock_wait_seconds)
        opening = aiosqlite.core.Connection(
            lambda: open_connection(self.path, self._package), iter_chunk_size=64
        )
        try:
            self._db = await opening
        except BaseException:
            opening._thread.join()  # Its last word goes to the event loop, which may end now.
            self._lock.release()
            raise

    @property
    def connection(self) -> sqlite3.Connection:
        """The raw connection: for use inside `run` only."""
        connection: sqlite3.Connection = self._db._conn
        return connection

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` on the database thread and return its answer.

        aiosqlite has no public call for a whole function; this is the one place that uses its
        private one, and a unit test notices if it changes.
        """
        result: T = await self._db._execute(lambda: work(self.connection))  # type: ignore[no-untyped-call]
        return result

    async def close(self) -> None:
        await self._db.close()
        self._lock.release()
