"""The loop's synchronous heart: one transaction per step, the same over NATS and in memory.

    step(messages, inputs, now) →  apply the log → answer inputs → run what is due → commit
                                   position + state + outbox + deadlines + effects together

A message that cannot be applied becomes a dead letter; the batch is bisected to find it. A fault of
the disk is no message's fault: it rolls back everything and is raised as `StoreFault`.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

import structlog

from libs.common.bus.base import LogMessage
from libs.common.clock import from_micros, to_micros
from libs.common.events.base import BadEvent, Envelope, decode
from libs.common.events.host import Dead
from libs.common.ids import IdSource
from libs.common.loop.answers import Answers
from libs.common.loop.deadlines import Deadlines
from libs.common.loop.keys import KNOWN, Key, id_of, key_of, key_of_type
from libs.common.loop.machine import Buckets, Machine
from libs.common.loop.outcomes import Outcome
from libs.common.loop.step import (
    IN_ONE_SAVEPOINT,
    Effect,
    Ended,
    Position,
    Step,
    Work,
    faults_of,
    in_parts_of,
    is_fault,
)
from libs.common.loop.turns import TURNS, rank_of
from libs.common.loop.tx import Tx
from libs.common.loop.unsent import Unheard, Unsent, last_row
from libs.common.store.database import savepoint, transaction

log = structlog.get_logger()

DUE_PER_STEP = 1000
FAILED_AGAIN = timedelta(minutes=10)


class Core:
    """Drives one machine on one connection. Not thread-safe: one caller at a time."""

    def __init__(self, machine: Machine, db: sqlite3.Connection, ids: IdSource | None = None):
        self.machine = machine
        self.db = db
        self._ids = ids or IdSource()
        self._interest = {key_of_type(model.type) for model in machine.handlers}
        self._last_effect_row = 0
        self._position: Position | None = None  # As of the last commit; None: not known here.
        self._answers = Answers(machine.name, db)
        self._deadlines = Deadlines(db)
        self._unsent = Unsent(db)
        self._unheard = Unheard()
        self._removed_row = 0  # Up to it the outbox is empty.
        self._last_row = last_row(db)

    # -- position ------------------------------------------------------------------------------

    def position(self) -> Position | None:
        """Return the last applied event's place; None before `start_at`. Raises: StoreFault."""
        with faults_of(self.machine.name):
            row = self.db.execute("SELECT log_created_at, seq, event_id FROM position").fetchone()
            self._deadlines.load()
        self._position = Position(*row) if row else None
        return self._position

    def start_at(self, position: Position, buckets: Buckets, now: datetime, *, again: bool) -> None:
        """Go on after `position`, with the state from `buckets`: what is read then may be older.

        `again`: the log we knew is gone. Owners put their buckets again, the others reload them.
        """
        with self._tx(now, contextlib.nullcontext()) as tx:  # Of a large fleet it takes seconds.
            self.machine.load(tx, buckets)
            if again:
                self.machine.republish(tx)
            self._run_last(tx)
            self._save(position)

    def restart(self) -> Step:
        """Return what is still to be sent and done, as after a start. Raises: StoreFault."""
        position = self.position()
        if position is None:
            raise RuntimeError("start_at comes first")
        with faults_of(self.machine.name):
            step = Step(position, outbox=self._unsent.load())
            self._last_effect_row = 0
            self._collect_effects(step)
            step.next_due = self._next_due()
        return step

    def handles(self, message: LogMessage) -> bool:
        """Say whether a step does more with it than move the position and empty the outbox."""
        key = key_of(message.subject)
        wanted = key in self._interest and message.event_id not in self._unheard
        return wanted or key not in KNOWN

    # -- the step ------------------------------------------------------------------------------

    def step(
        self,
        messages: Sequence[LogMessage] = (),
        inputs: Sequence[Work] = (),
        *,
        now: datetime,
        deadlines: bool = False,
        acknowledged_row: int = 0,
    ) -> Step:
        """Apply, answer, run what is due, commit; return what the shell has to do now.

        `deadlines`: the log has been read to its tail as of `now`, so what is due may be decided.
        `acknowledged_row`: every outbox row up to it is stored on the bus.

        Raises: StoreFault.
        """
        position = self._position or self.position()
        if position is None:
            raise RuntimeError("start_at comes first")
        step = Step(position)
        asked = bool(inputs) or deadlines
        rank = rank_of(asked=asked, agents_wait=self.machine.agents_wait)
        with self._tx(now, TURNS.turn(rank)) as tx:
            step.sent_rows = self._unsent.standing_in(messages)
            sent_row = max(acknowledged_row, *step.sent_rows, 0)
            self._remove_sent(sent_row)
            if messages:
                # Who handles many at once is given all of them.
                size = len(messages) if self.machine.handlers_of_many else IN_ONE_SAVEPOINT
                for part in in_parts_of(size, messages):
                    self._apply(tx, part, step)
                last = messages[-1]
                step.position = Position(position.log_created_at, last.seq, last.event_id)
                self._save(step.position)
            self._answers.answer_all(tx, inputs, step)
            if deadlines:
                self._run_due(tx, step)
            self._run_last(tx)
        self._position, step.next_due = step.position, self._next_due()
        step.signals, step.outbox = tx.signals, tx.rows
        self._removed_row = max(self._removed_row, sent_row)
        self._unsent.forget(sent_row)
        self._unsent.add(tx.rows)
        self._unheard.heard(messages)
        if self.machine.knows_own:
            self._unheard.add(tx.rows)
        if tx.effects_started:
            self._collect_effects(step)
        return step

    @contextlib.contextmanager
    def _tx(self, now: datetime, turn: contextlib.AbstractContextManager[None]) -> Iterator[Tx]:
        """One transaction; what it emits is committed with it. The commit is outside of `turn`."""
        source, row = self.machine.source, self._last_row + 1
        self._position = None  # Until the commit nobody knows.
        with faults_of(self.machine.name), transaction(self.db), turn:
            tx = Tx(self.db, source=source, now=now, ids=self._ids, first_row=row)
            yield tx
            self._deadlines.write(tx.take_deadlines())
            tx.write_down()
        self._last_row += len(tx.rows)

    def _remove_sent(self, through_row: int) -> None:
        """Take out what is on the bus. An own event that stands in the log needs no sending, nor
        does any row before it."""
        if through_row > self._removed_row:
            self.db.execute("DELETE FROM outbox WHERE row_id <= ?", (through_row,))

    def _apply(self, tx: Tx, messages: Sequence[LogMessage], step: Step) -> None:
        mark, unknown = tx.mark(), step.unknown
        try:
            with savepoint(self.db):
                for key, run in groupby(messages, key=lambda one: key_of(one.subject)):
                    self._apply_run(tx, key, list(run), step)
        except Exception as error:
            if is_fault(error):
                raise
            tx.back_to(mark)
            step.unknown = unknown
            if len(messages) == 1:
                self._bury(tx, messages[0], error, step)
                return
            middle = len(messages) // 2
            self._apply(tx, messages[:middle], step)
            self._apply(tx, messages[middle:], step)

    def _apply_run(self, tx: Tx, key: Key, messages: Sequence[LogMessage], step: Step) -> None:
        """Apply messages that follow each other and are of one family and name."""
        if key not in self._interest:
            step.unknown += len(messages) * (key not in KNOWN)
            return
        read = [(one, decode(one.data)) for one in messages if one.event_id not in self._unheard]
        known = [(message, envelope) for message, envelope in read if envelope is not None]
        step.unknown += len(read) - len(known)
        for model, run in groupby(known, key=lambda one: type(one[1].event)):
            found = list(run)
            of_many = self.machine.handlers_of_many.get(model)
            if of_many is not None and len(found) > 1:
                of_many(tx, [envelope.event for _, envelope in found])
            elif model in self.machine.handlers:
                for message, envelope in found:
                    self._apply_one(tx, message, envelope)

    def _apply_one(self, tx: Tx, message: LogMessage, envelope: Envelope) -> None:
        TURNS.give_way()
        tx.seq, tx.event_id = message.seq, envelope.id
        tx.time = min(envelope.time, tx.now)  # Its sender's clock may be ahead of ours.
        self.machine.handlers[type(envelope.event)](tx, envelope.event)
        tx.seq, tx.time, tx.event_id = 0, tx.now, ""

    def _bury(self, tx: Tx, message: LogMessage, error: Exception, step: Step) -> None:
        step.dead += 1
        tx.seq, tx.time, tx.event_id = 0, tx.now, ""
        log.error("event_not_applied", service=self.machine.name, seq=message.seq,
                  subject=message.subject, error=repr(error),
                  exc_info=None if isinstance(error, BadEvent) else error)  # fmt: skip
        if message.subject.startswith("dormice.dead."):
            return  # A dead letter about a dead letter would breed.
        tx.emit(
            Dead(
                service=self.machine.name,
                event_id=id_of(message),
                event_subject=message.subject,
                seq=message.seq,
                error=f"{type(error).__name__}: {error}"[:500],
            )
        )

    # -- deadlines -----------------------------------------------------------------------------

    def _run_due(self, tx: Tx, step: Step) -> None:
        now = to_micros(tx.now)
        while step.due_run < DUE_PER_STEP:
            self._deadlines.write(tx.take_deadlines())
            first = self._deadlines.first
            if first is None or first[0] > now:
                return
            step.due_run += 1
            self._run_one(tx, first[1], first[2], first[0])

    def _run_one(self, tx: Tx, kind: str, key: str, due_at: int) -> None:
        """What fails is looked at again later: a fault of ours must not end what it watches."""
        TURNS.give_way()
        tx.unschedule(kind, key)
        mark = tx.mark()
        try:
            with savepoint(self.db):
                self.machine.deadlines[kind](tx, key, from_micros(due_at))
        except Exception as error:
            if is_fault(error):
                raise
            tx.back_to(mark)
            log.exception("deadline_failed", service=self.machine.name, kind=kind, key=key)
            tx.schedule(kind, key, tx.now + FAILED_AGAIN)
            tx.decide(key, "deadline_failed", f"{kind}: {type(error).__name__}: {error}"[:300])

    def _run_last(self, tx: Tx) -> None:
        """What fails here takes nothing else back: what it is to do is asked for again."""
        while works := tx.take_last():
            for part in in_parts_of(IN_ONE_SAVEPOINT, works):
                if len(part) > 1 and self._try(tx, part) is None:
                    continue
                for work in part:
                    if error := self._try(tx, [work]):
                        log.error("last_work_failed", service=self.machine.name, exc_info=error)

    def _try(self, tx: Tx, works: Sequence[Callable[[Tx], None]]) -> Exception | None:
        """Do all, or nothing and return why."""
        mark = tx.mark()
        try:
            with savepoint(self.db):
                for work in works:
                    work(tx)
        except Exception as error:
            if is_fault(error):
                raise
            tx.back_to(mark)
            return error
        return None

    def _next_due(self) -> datetime | None:
        first = self._deadlines.first
        return None if first is None else from_micros(first[0])

    # -- what the shell has to do ----------------------------------------------------------------

    def _collect_effects(self, step: Step) -> None:
        """Hand out each effect once; `restart` begins again."""
        for row in self.db.execute(
            "SELECT row_id, kind, key, payload FROM effect WHERE row_id > ? ORDER BY row_id",
            (self._last_effect_row,),
        ):
            step.effects.append(Effect(row[0], row[1], row[2], json.loads(row[3])))
            self._last_effect_row = row[0]

    def outcome(self, effect: Effect, outcome: dict[str, Any]) -> Work:
        """Return the input that ends an effect; ignored if it was dropped or replaced meanwhile."""
        return Outcome(self.machine, Ended(effect, outcome))

    def _save(self, position: Position) -> None:
        self.db.execute(
            "INSERT INTO position VALUES (1, ?, ?, ?) ON CONFLICT (one) DO UPDATE SET "
            "log_created_at = excluded.log_created_at, seq = excluded.seq, "
            "event_id = excluded.event_id",
            (position.log_created_at, position.seq, position.event_id),
        )
