"""What a state machine may do inside the loop's transaction."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from pydantic import BaseModel

from libs.common.bus.base import Outgoing
from libs.common.clock import from_micros, to_micros
from libs.common.events.base import Event, encode
from libs.common.ids import IdSource
from libs.common.loop.deadlines import Change, find_due
from libs.common.store.many import write_many

DECISIONS_PER_HOST = 1000
_as_json = json.JSONEncoder(default=str).encode


@dataclass(frozen=True, slots=True)
class Signal:
    """Something the shell may want to act on after the commit; lost with the process."""

    topic: str
    value: Any


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """Something decided that the bus has not yet acknowledged."""

    row_id: int
    message: Outgoing


class Tx:
    """One transaction of one service. Everything here takes effect with the commit, or not at all.

    `now` is the moment of the pass. `time` is when the event being applied was published, but never
    later than `now`, which it is outside of an event; `seq` is the event's place in the log,
    `event_id` its id (empty outside).
    """

    def __init__(
        self, db: sqlite3.Connection, *, source: str, now: datetime, ids: IdSource, first_row: int
    ) -> None:
        self.db = db
        self.source = source
        self.now = now
        self.time = now
        self.seq = 0
        self.event_id = ""
        self.signals: list[Signal] = []
        self.rows: list[OutboxRow] = []
        self._decisions: list[tuple[int, str, str, str, str, str]] = []
        self._deadlines: list[Change] = []
        self.effects_started = False
        self._last: dict[tuple[Callable[[Tx, str], None], str], None] = {}
        self._ids = ids
        self._first_row = first_row

    def new_id(self) -> str:
        """Return a new ULID that carries `now`."""
        return self._ids.next(self.now)

    def emit(self, event: Event) -> str:
        """Put an event into the outbox; return its id."""
        event_id = self.new_id()
        data = encode(event, event_id=event_id, source=self.source, time=self.now)
        self._put_row(event_id, event.subject(), None, data)
        return event_id

    def put(self, bucket: str, key: str, value: BaseModel | dict[str, Any] | None) -> None:
        """Set a key of a bucket that this service owns (None deletes it), before any event that is
        emitted after it becomes visible."""
        if isinstance(value, BaseModel):
            data: bytes | None = value.model_dump_json().encode()
        else:
            data = None if value is None else json.dumps(value).encode()
        self._put_row(self.new_id(), key, bucket, data)

    def _put_row(self, event_id: str, subject: str, bucket: str | None, data: bytes | None) -> None:
        message = Outgoing(event_id=event_id, subject=subject, data=data, bucket=bucket)
        self.rows.append(OutboxRow(self._first_row + len(self.rows), message))

    def write_down(self) -> None:
        """Write what was emitted and decided: last and together, at half the cost of one by one."""
        self.write_decisions()
        write_many(
            self.db,
            "INSERT INTO outbox (row_id, event_id, subject, bucket, data) VALUES",
            [
                (row.row_id, message.event_id, message.subject, message.bucket, message.data)
                for row in self.rows
                for message in (row.message,)
            ],
        )

    def mark(self) -> tuple[int, int, int, int]:
        """Return where we are, for `back_to` after a savepoint was rolled back."""
        return len(self.signals), len(self.rows), len(self._decisions), len(self._deadlines)

    def back_to(self, mark: tuple[int, int, int, int]) -> None:
        """Forget what was signalled, emitted, decided and scheduled since `mark`."""
        del self.signals[mark[0] :]
        del self.rows[mark[1] :]
        del self._decisions[mark[2] :]
        del self._deadlines[mark[3] :]

    def schedule(self, kind: str, key: str, at: datetime) -> None:
        """Have the deadline handler of `kind` called for `key` at `at`; replaces an earlier one."""
        self._deadlines.append((kind, key, to_micros(at)))

    def unschedule(self, kind: str, key: str) -> None:
        self._deadlines.append((kind, key, None))

    def find_due(self, kind: str, key: str) -> datetime | None:
        """Return when the deadline of `kind` for `key` is due, None if there is none. The table
        itself does not know yet what this step has scheduled."""
        due = find_due(self.db, self._deadlines, kind, key)
        return None if due is None else from_micros(due)

    def take_deadlines(self) -> list[Change]:
        """Return what is to be written of deadlines; never within what may be taken back to a mark
        before."""
        taken, self._deadlines = self._deadlines, []
        return taken

    def start_effect(self, kind: str, key: str, payload: dict[str, Any]) -> None:
        """Have the shell carry something out after the commit; its outcome comes back as an input.

        One per (kind, key): a new one replaces one that has not ended.
        """
        self.start_effects(kind, [(key, payload)])

    def start_effects(self, kind: str, effects: Sequence[tuple[str, dict[str, Any]]]) -> None:
        """Start an effect for each (key, payload), in order."""
        self.effects_started = True
        self.db.executemany(
            "INSERT OR REPLACE INTO effect (kind, key, payload) VALUES (?, ?, ?)",
            [(kind, key, json.dumps(payload)) for key, payload in effects],
        )

    def drop_effect(self, kind: str, *keys: str) -> None:
        """Forget effects: the log already holds their end. A late outcome of one is ignored."""
        marks = ", ".join("?" * len(keys))
        self.db.execute(
            f"DELETE FROM effect WHERE kind = ? AND key IN ({marks})",  # noqa: S608
            (kind, *keys),
        )

    def before_commit(self, work: Callable[[Tx, str], None], key: str) -> None:
        """Have `work(tx, key)` called once when all else of the step is done, however often it is
        asked for: what looks at a whole queue need not look after each of its entries.

        It must stand being called when there is nothing to do: who asked may have been taken back.
        """
        self._last[work, key] = None

    def take_last(self) -> list[Callable[[Tx], None]]:
        """Return what waits for the end of the step, in the order in which it was asked for."""
        taken, self._last = self._last, {}
        return [partial(_call, work, key) for work, key in taken]

    def signal(self, topic: str, value: Any = None) -> None:
        """Tell this process's own shell something after the commit."""
        self.signals.append(Signal(topic, value))

    def decide(self, host_id: str, what: str, text: str, *, rule: str = "", **facts: Any) -> None:
        """Leave a decision that explains itself (R19). `facts` must be JSON."""
        self._decisions.append((to_micros(self.now), host_id, what, rule, text, _as_json(facts)))

    def write_decisions(self) -> None:
        """Write what was decided so far; never within what may be taken back to a mark before."""
        write_many(
            self.db,
            "INSERT INTO decision (at, host_id, what, rule, text, facts) VALUES",
            self._decisions,
        )
        self._decisions = []


def _call(work: Callable[[Tx, str], None], key: str, tx: Tx) -> None:
    work(tx, key)
