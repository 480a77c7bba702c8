"""Many rows in few statements: each lets go of the interpreter's lock, and waits to get it back."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from itertools import chain

SIZES = (64, 8, 1)
"""Rows of a statement, the most first: few texts, so that all of them stay compiled."""


def write_many(
    db: sqlite3.Connection, before: str, rows: Sequence[Sequence[object]], after: str = ""
) -> None:
    """Execute `before`, places for all `rows`, `after`, in order: `INSERT INTO a VALUES (?, ?), …`.

    Every row has as many values as the first.
    """
    start = 0
    for size in SIZES:
        while len(rows) - start >= size:
            part = rows[start : start + size]
            places = ", ".join([f"({', '.join('?' * len(part[0]))})"] * size)
            db.execute(f"{before} {places}{after}", list(chain.from_iterable(part)))
            start += size
