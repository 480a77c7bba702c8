"""Pages by keyset: a cursor holds sort key and id of a page's edge, so nothing moves under it."""

from __future__ import annotations

import base64
import binascii
import json
import math
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from libs.common.errors import BadInput
from services.ui.views import Page

T = TypeVar("T")

MAX_LIMIT = 1000
DEFAULT_LIMIT = 100
MAX_CURSOR = 2000


@dataclass(frozen=True, slots=True)
class Slice:
    """Which part of a list is wanted. `sort`: a sortable field, `-` before it for descending."""

    sort: str = ""
    cursor: str | None = None
    limit: int = DEFAULT_LIMIT

    def __post_init__(self) -> None:
        if not 1 <= self.limit <= MAX_LIMIT:
            raise BadInput(f"limit is a number from 1 to {MAX_LIMIT}")


@dataclass(frozen=True, slots=True)
class Source:
    """What to list: SQL pieces, and for each sortable field the expression to sort by."""

    columns: str
    tables: str
    identity: str
    sorts: Mapping[str, str]
    default_sort: str


@dataclass(frozen=True, slots=True)
class Where:
    """Conditions that hold together, and their parameters."""

    pieces: tuple[str, ...] = ()
    parameters: tuple[Any, ...] = ()

    def plus(self, sql: str, *parameters: Any) -> Where:
        return Where((*self.pieces, sql), (*self.parameters, *parameters))

    def equal(self, **columns: Any) -> Where:
        """Add `column = value` for each value that is given; a tuple means any of its values."""
        where = self
        for column, value in columns.items():
            name = column.replace("__", ".")
            if isinstance(value, tuple):
                marks = ", ".join("?" * len(value))
                where = where.plus(f"{name} IN ({marks})", *value)
            elif value is not None:
                where = where.plus(f"{name} = ?", value)
        return where

    def __str__(self) -> str:
        return " AND ".join(f"({piece})" for piece in self.pieces) or "1"


def rows(db: sqlite3.Connection, sql: str, parameters: Iterable[Any] = ()) -> list[sqlite3.Row]:
    """Return rows that know their columns' names."""
    cursor = db.cursor()
    cursor.row_factory = sqlite3.Row
    return cursor.execute(sql, tuple(parameters)).fetchall()


def row(db: sqlite3.Connection, sql: str, parameters: Iterable[Any] = ()) -> sqlite3.Row | None:
    found = rows(db, sql, parameters)
    return found[0] if found else None


def find_sort(sort: str, sorts: Mapping[str, T]) -> tuple[bool, T]:
    """Return whether a sort is descending, and what it sorts by. Raises: BadInput."""
    field = sort.removeprefix("-")
    if field not in sorts:
        raise BadInput(f"sort={sort[:40]!r} is none of {', '.join(sorted(sorts))}")
    return sort.startswith("-"), sorts[field]


def fetch_page(
    db: sqlite3.Connection,
    source: Source,
    where: Where,
    part: Slice,
    build: Callable[[list[sqlite3.Row]], list[T]],
) -> Page[T]:
    """Return the wanted page; `build` turns all its rows at once into views.

    Raises: BadInput for an unknown sort, or a cursor that is not ours or of another sort.
    """
    sort = part.sort or source.default_sort
    descending, key = find_sort(sort, source.sorts)
    backward = False
    if part.cursor:
        backward, edge = decode_cursor(part.cursor, sort)
        sign = "<" if descending != backward else ">"
        where = where.plus(f"({key}, {source.identity}) {sign} (?, ?)", *edge)
    order = "DESC" if descending != backward else "ASC"
    found = rows(
        db,
        f"SELECT {source.columns}, {key} AS _key, {source.identity} AS _id "  # noqa: S608
        f"FROM {source.tables} WHERE {where} "
        f"ORDER BY {key} {order}, {source.identity} {order} LIMIT ?",
        (*where.parameters, part.limit + 1),
    )
    more, found = len(found) > part.limit, found[: part.limit]
    if backward:
        found.reverse()
    after = more if not backward else True
    before = more if backward else part.cursor is not None
    return Page(
        tuple(build(found)),
        next=_cursor_of(sort, found[-1], backward=False) if found and after else None,
        previous=_cursor_of(sort, found[0], backward=True) if found and before else None,
    )


def _is_of_a_column(value: Any) -> bool:
    """Say whether SQLite could have given, and takes, this value of a cursor."""
    if isinstance(value, str):
        return not any("\ud800" <= char <= "\udfff" for char in value)
    if isinstance(value, float):
        return math.isfinite(value)
    return type(value) is int and is_row_number(value)


def is_row_number(value: int) -> bool:
    """Say whether SQLite can hold an integer."""
    return -(2**63) <= value < 2**63


def _cursor_of(sort: str, edge: sqlite3.Row, *, backward: bool) -> str:
    return encode_cursor(sort, (edge["_key"], edge["_id"]), backward=backward)


def encode_cursor(sort: str, edge: tuple[Any, Any], *, backward: bool = False) -> str:
    """Return the cursor of a page's edge: its sort key and its id."""
    body = json.dumps([sort, int(backward), *edge])
    return base64.urlsafe_b64encode(body.encode()).decode().rstrip("=")


def decode_cursor(cursor: str, sort: str) -> tuple[bool, tuple[Any, Any]]:
    """Return whether the page before is wanted, and the edge. Raises: BadInput."""
    try:
        if len(cursor) > MAX_CURSOR:
            raise ValueError
        padded = cursor + "=" * (-len(cursor) % 4)
        made_for, backward, key, identity = json.loads(base64.urlsafe_b64decode(padded))
        if backward not in (0, 1) or not (_is_of_a_column(key) and _is_of_a_column(identity)):
            raise ValueError
    except (ValueError, TypeError, binascii.Error, RecursionError):
        raise BadInput("this cursor is none of ours; begin at the first page") from None
    if made_for != sort:
        raise BadInput("this cursor belongs to another sort; begin at the first page")
    return bool(backward), (key, identity)
