"""The table of deadlines as a step sees it: changed as often as a step changes its mind, written
once, and looked into only when nobody knows any more which is the first."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from itertools import groupby
from operator import itemgetter

from libs.common.store.many import write_many

Change = tuple[str, str, int | None]
"""(kind, key, due_at in UTC microseconds); None: there is none any more."""

First = tuple[int, str, str]
"""(due_at, kind, key), in the order in which they fall due."""


class Deadlines:
    """Knows the first one as of what was written last."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self.first: First | None = None

    def load(self) -> None:
        """Look into the table, as after a start or a rollback."""
        self.first = self._db.execute(
            "SELECT due_at, kind, key FROM deadline ORDER BY due_at, kind, key LIMIT 1"
        ).fetchone()

    def write(self, changes: Sequence[Change]) -> None:
        """Write what changed, the last word on each, and find the first again."""
        if not changes:
            return
        last = {(kind, key): due for kind, key, due in changes}
        kept = [(due, *which) for which, due in last.items() if due is not None]
        write_many(
            self._db,
            "INSERT INTO deadline (due_at, kind, key) VALUES",
            kept,
            " ON CONFLICT (kind, key) DO UPDATE SET due_at = excluded.due_at",
        )
        self._drop(which for which, due in last.items() if due is None)
        earliest = min(kept, default=None)
        if earliest is not None and (self.first is None or earliest <= self.first):
            self.first = earliest
        elif self.first is not None and self.first[1:] in last:
            self.load()

    def _drop(self, gone: Iterable[tuple[str, str]]) -> None:
        """Delete by one statement a kind: a list of pairs would have the table read through."""
        for kind, pairs in groupby(sorted(gone), key=itemgetter(0)):
            self._db.execute(
                "DELETE FROM deadline WHERE kind = ? AND key IN (SELECT value FROM json_each(?))",
                (kind, json.dumps([key for _, key in pairs])),
            )


def find_due(db: sqlite3.Connection, changes: Sequence[Change], kind: str, key: str) -> int | None:
    """Return when a deadline is due, by what is still to be written or else by the table."""
    for of_kind, of_key, due in reversed(changes):
        if (of_kind, of_key) == (kind, key):
            return due
    row = db.execute(
        "SELECT due_at FROM deadline WHERE kind = ? AND key = ?", (kind, key)
    ).fetchone()
    return row[0] if row else None
