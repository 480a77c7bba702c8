"""Decides a step's inputs: several at once where none of them fails, else each by itself.

An input that raises takes back what it did, and nothing else: it needs a savepoint of its own. That
is the exception, so inputs are tried in one savepoint first.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import structlog

from libs.common.errors import DormiceError
from libs.common.loop.outcomes import in_parts
from libs.common.loop.step import IN_ONE_SAVEPOINT, Step, Work, in_parts_of, is_fault
from libs.common.loop.tx import Tx
from libs.common.store.database import savepoint

log = structlog.get_logger()


class Answers:
    """Puts the answers of a service's inputs, and their last outbox rows, into its step."""

    def __init__(self, service: str, db: sqlite3.Connection) -> None:
        self._service, self._db = service, db

    def answer_all(self, tx: Tx, inputs: Sequence[Work], step: Step) -> None:
        if inputs:
            tx.write_decisions()  # A call may read them, and what it does may be taken back.
        for together, works in in_parts(inputs):
            if together is not None and self._answer_together(tx, together, works, step):
                continue
            for part in in_parts_of(IN_ONE_SAVEPOINT, works):
                if len(part) == 1 or not self._answer_in_one(tx, part, step):
                    for work in part:
                        self._answer(tx, work, step)

    def _answer(self, tx: Tx, work: Work, step: Step) -> None:
        mark = tx.mark()
        try:
            with savepoint(self._db):
                answer = work(tx)
        except DormiceError as error:
            answer = error
        except Exception as error:
            if is_fault(error):
                raise
            log.exception("input_not_decided", service=self._service)
            answer = DormiceError(f"internal error: {type(error).__name__}")
        if isinstance(answer, DormiceError):
            tx.back_to(mark)
        step.answers.append(answer)
        step.answer_rows.append(_last_row(tx, mark))

    def _answer_in_one(self, tx: Tx, works: Sequence[Work], step: Step) -> bool:
        """Answer one after the other in one savepoint; False, and nothing done, if one fails."""
        mark, answered = tx.mark(), []
        try:
            with savepoint(self._db):
                for work in works:
                    before = tx.mark()
                    answered.append((work(tx), _last_row(tx, before)))
        except Exception as error:
            if is_fault(error):
                raise
            tx.back_to(mark)
            return False
        for answer, row in answered:
            step.answers.append(answer)
            step.answer_rows.append(row)
        return True

    def _answer_together(self, tx: Tx, together: Work, works: Sequence[Work], step: Step) -> bool:
        """Decide several by one function; False if that fails: one by one it shows which does."""
        mark = tx.mark()
        try:
            with savepoint(self._db):
                together(tx)
        except Exception as error:
            if is_fault(error):
                raise
            log.exception("inputs_not_decided_together", service=self._service)
            tx.back_to(mark)
            return False
        step.answers.extend(None for _ in works)
        step.answer_rows.extend(_last_row(tx, mark) for _ in works)
        return True


def _last_row(tx: Tx, mark: Sequence[int]) -> int:
    """Return the last outbox row since `mark`, 0 if there is none."""
    return tx.rows[-1].row_id if len(tx.rows) > mark[1] else 0
