"""The agent's database: spool, accepted jobs, reported fires, in one file and one transaction.

SQLite with full sync: what was written before a frame or a job starts is there after a power cut.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agent.errors import StateUnusable
from libs.common.ids import new_id

SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (
    key    TEXT PRIMARY KEY,
    value  TEXT NOT NULL
) STRICT, WITHOUT ROWID;
-- Reports that the gateway has not acknowledged. `body` is the frame as sent.
CREATE TABLE IF NOT EXISTS report (
    seq   INTEGER PRIMARY KEY,
    type  TEXT NOT NULL,
    size  INTEGER NOT NULL,
    body  TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS report_by_type ON report (type, size);
-- Every job that was accepted, kept 45 days so that none is executed twice.
CREATE TABLE IF NOT EXISTS job (
    job_id           TEXT PRIMARY KEY,
    run_id           TEXT,                 -- NULL: a manual job
    attempt          INTEGER NOT NULL,
    schedule_id      TEXT,
    source_group_id  TEXT,
    fire_time        INTEGER,              -- UTC microseconds, as all times
    alone            INTEGER NOT NULL,     -- 1: started by the agent itself
    state            TEXT NOT NULL,        -- accepted, running, or how it ended
    accepted_at      INTEGER NOT NULL,
    ended_at         INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS job_by_run ON job (run_id);
-- Fires that were reported. `due_at`: when the agent runs it alone; NULL once that is settled.
CREATE TABLE IF NOT EXISTS fire (
    run_id           TEXT PRIMARY KEY,
    schedule_id      TEXT NOT NULL,
    source_group_id  TEXT NOT NULL,
    fire_time        INTEGER NOT NULL,
    attempt          INTEGER NOT NULL,     -- the last number sent to us
    due_at           INTEGER
) STRICT, WITHOUT ROWID;
"""


class AgentStore:
    """The open database. `transaction` may be entered again inside itself."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection = _opened(path)
        self._depth = 0
        self.put_default("spool_id", new_id())

    def close(self) -> None:
        self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make everything inside happen or nothing. Raises StateUnusable if the disk refuses."""
        try:
            self._enter()
            yield
            self._leave("COMMIT")
        except sqlite3.Error as error:
            self._leave("ROLLBACK")
            raise StateUnusable(f"cannot write {self.path}: {error}") from None
        except BaseException:
            self._leave("ROLLBACK")
            raise

    def execute(self, sql: str, *values: object) -> None:
        """Write. Raises StateUnusable."""
        self.rows(sql, *values)

    def rows(self, sql: str, *values: object) -> list[sqlite3.Row]:
        """Raises StateUnusable."""
        try:
            return self._connection.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise StateUnusable(f"cannot use {self.path}: {error}") from None

    def find(self, sql: str, *values: object) -> sqlite3.Row | None:
        """Return the first row, if there is one. Raises StateUnusable."""
        return next(iter(self.rows(sql, *values)), None)

    def find_meta(self, key: str) -> str | None:
        row = self.find("SELECT value FROM meta WHERE key = ?", key)
        return None if row is None else str(row["value"])

    def put_meta(self, key: str, value: str) -> None:
        self.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", key, value)

    def put_default(self, key: str, value: str) -> None:
        self.execute("INSERT OR IGNORE INTO meta (key, value) VALUES (?, ?)", key, value)

    def _enter(self) -> None:
        if self._depth == 0:
            self._connection.execute("BEGIN IMMEDIATE")
        self._depth += 1

    def _leave(self, how: str) -> None:
        self._depth = max(self._depth - 1, 0)
        if self._connection.in_transaction and (self._depth == 0 or how == "ROLLBACK"):
            self._connection.execute(how)


def _opened(path: Path) -> sqlite3.Connection:
    try:
        return _connected(path)
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            raise StateUnusable(f"cannot open {path}: {error}") from None
    # Not a database any more. Keep the remains for a human; reports in it are lost, and a new
    # spool id tells the gateway that numbers start again.
    for suffix in ("", "-wal", "-shm"):
        broken = path.with_name(path.name + suffix)
        if broken.exists():
            broken.replace(path.with_name(f"{path.name}.broken{suffix}"))
    return _connected(path)


def _connected(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, timeout=5)
    try:
        connection.row_factory = sqlite3.Row
        path.chmod(0o600)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.executescript(SCHEMA)
    except BaseException:
        connection.close()
        raise
    return connection
