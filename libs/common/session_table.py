"""The table `known_session`, in the file of each service that must know a hello again, however late
it comes. Each makes it by a migration of its own."""

from __future__ import annotations

import sqlite3

KEPT_PER_HOST = 200

IS_FULL = (
    "EXISTS (SELECT 1 FROM known_session WHERE known_session.host_id = host.host_id "  # noqa: S608
    f"LIMIT 1 OFFSET {KEPT_PER_HOST - 1})"
)
"""SQL, beside a row of the table `host`: with one hello more there are too many to be kept."""


def remember_session(db: sqlite3.Connection, host_id: str, session: str) -> bool:
    """Remember a hello; say whether it is a new one."""
    noted = db.execute(
        "INSERT OR IGNORE INTO known_session (host_id, session) VALUES (?, ?)", (host_id, session)
    )
    return noted.rowcount > 0


def forget_oldest_sessions(db: sqlite3.Connection, host_id: str) -> None:
    """Forget the hellos of a host beyond KEPT_PER_HOST."""
    db.execute(
        "DELETE FROM known_session WHERE host_id = ?1 AND row_id <= (SELECT row_id FROM "
        "known_session WHERE host_id = ?1 ORDER BY row_id DESC LIMIT 1 OFFSET ?2)",
        (host_id, KEPT_PER_HOST),
    )
