"""What goes into a step of the loop and what comes out of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from libs.common.errors import DormiceError
from libs.common.loop.tx import OutboxRow, Signal, Tx

T = TypeVar("T")

IN_ONE_SAVEPOINT = 32
"""So many events or inputs. SQLite copies each page that they touch once for each savepoint, above
64 KiB into a temporary file. Measured: 32 cost less than 8, and less than 500."""

_FAULTS = frozenset(
    {
        sqlite3.SQLITE_PERM, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_NOTADB,
    }
)  # fmt: skip


class StoreFault(DormiceError):
    """The file or its disk is at fault (full, I/O error, corrupt). Nothing was committed; try again
    later."""

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


@dataclass(frozen=True, slots=True)
class Ended:
    """An effect with what came of it."""

    effect: Effect
    outcome: dict[str, Any]


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


def is_fault(error: Exception) -> bool:
    """Say whether the file or its disk is at fault, and no statement or message is."""
    code = getattr(error, "sqlite_errorcode", 0) if isinstance(error, sqlite3.Error) else 0
    return code & 0xFF in _FAULTS  # The rest of a code says more precisely what happened.


def in_parts_of(size: int, things: Sequence[T]) -> Iterator[Sequence[T]]:
    """Cut a sequence, in order, into parts of at most `size`."""
    return (things[start : start + size] for start in range(0, len(things), size))


class faults_of:  # noqa: N801  Reads as a part of the statement that it stands in.
    """Turn an error of SQLite that `is_fault` into StoreFault."""

    def __init__(self, service: str) -> None:
        self._service = service

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, sqlite3.Error) and is_fault(error):
            text = f"{self._service} cannot use its state file: {error}"
            raise StoreFault(text) from error
