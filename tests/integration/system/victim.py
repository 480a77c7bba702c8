"""`dormice run SERVICE` as a process that is killed, and what is in its file afterwards."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

from libs.common.clock import SystemClock, to_micros
from libs.common.testing.nats import NatsServer

PATIENCE_SECONDS = 40
LOOK_SECONDS = 0.008
SHORT = {
    "DORMICE_HEALTH_LISTEN": "", "DORMICE_UI_LISTEN": "127.0.0.1:0",
    "DORMICE_ADMIN_TOKEN": "the-same-in-every-run", "DORMICE_ADMIN_PASSWORD": "the-same-too",
    "DORMICE_CATCHUP_MAX_FLEET": "1000", "DORMICE_CATCHUP_MAX_REPOSITORY": "1000",
    "DORMICE_ALLOW_TARGETS": "127.0.0.0/8", "PYTHONUNBUFFERED": "1",
}  # fmt: skip
"""Caps so high that who gets a slot does not depend on the moment; no port that could be taken."""


class Victim:
    """One service on a bus and a data directory. It can be killed and started any time."""

    def __init__(self, service: str, nats: NatsServer, folder: Path, **env: str) -> None:
        self.service, self._nats = service, nats
        self.data = folder / "data"
        self.file = self.data / f"{service}.db"
        self.errors = folder / "stderr"
        self._env = os.environ | SHORT | env
        self._process: asyncio.subprocess.Process | None = None
        self.kills = 0

    async def start(self) -> None:
        self.data.mkdir(parents=True, exist_ok=True)
        bus = {"DORMICE_NATS_URL": self._nats.url, "DORMICE_NATS_USER": self.service,
               "DORMICE_NATS_PASSWORD": self._nats.passwords[self.service]}  # fmt: skip
        with self.errors.open("ab") as errors:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "cli", "run", self.service, "--data", str(self.data),
                "--log-level", "warning", env=self._env | bus, stdout=errors, stderr=errors,
            )  # fmt: skip

    async def kill(self) -> None:
        assert self._process is not None
        self.check()
        self._process.kill()
        await self._process.wait()
        self.kills += 1

    async def end(self) -> None:
        """Kill it if it runs, whatever it is doing."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    def check(self) -> None:
        """Fail with what it said if it ended by itself."""
        if self._process is not None and self._process.returncode is not None:
            raise AssertionError(f"{self.service} ended: {self.errors.read_text()[-2000:]}")

    def position(self) -> int:
        """Return how far it has applied the log; -1 before its first commit."""
        rows = self._ask("SELECT seq FROM position")
        return int(rows[0][0]) if rows else -1

    def is_settled(self, tail: int) -> bool:
        """Say whether it has applied the log up to `tail` and has nothing left to say or do."""
        now = to_micros(SystemClock().now())
        return bool(
            self._ask(
                "SELECT 1 FROM position WHERE seq >= ? AND NOT EXISTS (SELECT 1 FROM outbox) "
                "AND NOT EXISTS (SELECT 1 FROM effect) "
                "AND NOT EXISTS (SELECT 1 FROM deadline WHERE due_at <= ?)",
                (tail, now),
            )
        )

    def _ask(self, query: str, values: tuple[Any, ...] = ()) -> list[Any]:
        try:
            with closing(sqlite3.connect(f"file:{self.file}?mode=ro", uri=True)) as db:
                return db.execute(query, values).fetchall()
        except sqlite3.OperationalError:
            return []  # Not there yet, or its tables are not.

    async def until_position(self, seq: int) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while self.position() < seq:
                self.check()
                await asyncio.sleep(LOOK_SECONDS)

    # -- what is in its file -----------------------------------------------------------------------

    def dump(self, ignored: dict[str, set[str]]) -> dict[str, Counter[tuple[Any, ...]]]:
        """Return every table's rows without the columns in `ignored` (`*`: the whole table)."""
        with closing(sqlite3.connect(f"file:{self.file}?mode=ro", uri=True)) as db:
            tables = [name for (name,) in db.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
            )]  # fmt: skip
            return {
                table: self._rows(db, table, ignored.get(table, set()))
                for table in tables if "*" not in ignored.get(table, set())
            }  # fmt: skip

    @staticmethod
    def _rows(db: sqlite3.Connection, table: str, ignored: set[str]) -> Counter[tuple[Any, ...]]:
        columns = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
        assert ignored <= set(columns), (table, ignored - set(columns))
        kept = ", ".join(column for column in columns if column not in ignored)
        return Counter(db.execute(f"SELECT {kept} FROM {table}").fetchall())


def differences(
    one: dict[str, Counter[tuple[Any, ...]]], other: dict[str, Counter[tuple[Any, ...]]]
) -> list[str]:
    """Return what is in only one of two dumps, a few rows of each table."""
    found = []
    for table in sorted(one.keys() | other.keys()):
        missing, extra = one[table] - other[table], other[table] - one[table]
        found += [f"{table} lacks {row} ({missing.total()})" for row in list(missing)[:3]]
        found += [f"{table} has {row} ({extra.total()})" for row in list(extra)[:3]]
    return found
