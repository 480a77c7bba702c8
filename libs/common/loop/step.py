"""What goes into a step of the loop and what comes out of it."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from libs.common.errors import DormiceError
from libs.common.loop.tx import OutboxRow, Signal, Tx


class StoreFault(DormiceError):
    """SQLite could not write (disk full, I/O error). Nothing was committed; try again later."""

    code = "unavailable"


@dataclass(frozen=True, slots=True)
class Position:
    log_created_at: str
    seq: int
    event_id: str


@dataclass(frozen=True, slots=True)
class Effect:
    row_id: int
    kind: str
    key: str
    payload: dict[str, Any]


Work = Callable[[Tx], Any]
"""An input to decide in the step; its answer, or the DormiceError it raises, is in `answers`."""


@dataclass(slots=True)
class Step:
    """What a step did. `answers` belong to the inputs, in order."""

    position: Position
    answers: list[Any] = field(default_factory=list)
    answer_rows: list[int] = field(default_factory=list)  # last outbox row of each input, 0: none
    outbox: list[OutboxRow] = field(default_factory=list)
    sent_rows: list[int] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)
    signals: list[Signal] = field(default_factory=list)
    next_due: datetime | None = None
    dead: int = 0
    unknown: int = 0  # events of a type that we do not know: a newer service's
    due_run: int = 0


@contextlib.contextmanager
def faults_of(service: str) -> Iterator[None]:
    """Turn SQLite's operational errors (disk full, I/O error) into StoreFault."""
    try:
        yield
    except (sqlite3.OperationalError, sqlite3.InternalError) as error:
        raise StoreFault(f"{service} cannot write its state: {error}") from error
