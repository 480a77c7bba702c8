"""The outbox as the loop knows it: which own events are not known to be on the bus."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

from libs.common.bus.base import LogMessage, Outgoing
from libs.common.loop.tx import OutboxRow


class Unsent:
    """Own events by id, oldest first, as of the last commit. A value of a bucket is none: it never
    comes back in the log."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._rows: dict[str, int] = {}
        self.load()

    def load(self) -> list[OutboxRow]:
        """Return everything that the file says is to be sent, values too, oldest first."""
        found = [
            OutboxRow(row[0], Outgoing(event_id=row[1], subject=row[2], bucket=row[3], data=row[4]))
            for row in self._db.execute(
                "SELECT row_id, event_id, subject, bucket, data FROM outbox ORDER BY row_id"
            )
        ]
        self._rows = {}
        self.add(found)
        return found

    def add(self, rows: Iterable[OutboxRow]) -> None:
        self._rows.update(
            (row.message.event_id, row.row_id) for row in rows if row.message.bucket is None
        )

    def standing_in(self, messages: Sequence[LogMessage]) -> list[int]:
        """Return the rows of the oldest events, as far as they all are among `messages`.

        They need no sending, nor does a value put before them. Only as far as none is missing: of
        several that were on their way at once when the bus failed, a later one may have got there
        alone.
        """
        found = {message.event_id for message in messages} if self._rows else ()
        rows = []
        for event_id, row in self._rows.items():
            if event_id not in found:
                break
            rows.append(row)
        return rows

    def forget(self, through_row: int) -> None:
        """Everything up to a row is on the bus."""
        while self._rows:
            event_id = next(iter(self._rows))
            if self._rows[event_id] > through_row:
                return
            del self._rows[event_id]


class Unheard:
    """Own events, committed since the process began, that have not come from the log yet: by id,
    where who emitted them need not hear them (`Machine.knows_own`)."""

    def __init__(self) -> None:
        self._ids: set[str] = set()

    def __contains__(self, event_id: str) -> bool:
        return event_id in self._ids

    def add(self, rows: Iterable[OutboxRow]) -> None:
        self._ids.update(row.message.event_id for row in rows if row.message.bucket is None)

    def heard(self, messages: Iterable[LogMessage]) -> None:
        if self._ids:
            self._ids.difference_update(message.event_id for message in messages)


def last_row(db: sqlite3.Connection) -> int:
    """Return the highest outbox row ever handed out: a row's number is never used again."""
    found = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'outbox'").fetchone()
    return int(found[0]) if found else 0
