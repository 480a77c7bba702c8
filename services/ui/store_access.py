"""Writes and reads who may come in: operators, API tokens, web sessions, the setup code."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from libs.common.clock import from_micros, to_micros
from libs.common.events.host import Actor
from libs.common.loop.tx import Tx
from services.ui.reads.columns import moment
from services.ui.reads.paging import Slice, Source, Where, fetch_page, row
from services.ui.views import ApiTokenView, OperatorView, Page

_OPERATORS = Source("*", "operator", "id", {"name": "name", "created_at": "created_at"}, "name")
_TOKENS = Source("*", "api_token", "id", {"name": "name", "created_at": "created_at"}, "name")


@dataclass(frozen=True, slots=True)
class Credentials:
    """An operator with the hash of the password."""

    operator: OperatorView
    password: str


def list_operators(db: sqlite3.Connection, part: Slice) -> Page[OperatorView]:
    return fetch_page(db, _OPERATORS, Where(), part, lambda found: [_operator(r) for r in found])


def find_operator(db: sqlite3.Connection, operator_id: str) -> OperatorView | None:
    found = row(db, "SELECT * FROM operator WHERE id = ?", (operator_id,))
    return _operator(found) if found else None


def find_credentials(db: sqlite3.Connection, name: str) -> Credentials | None:
    """Return the operator of this name, unless disabled."""
    found = row(db, "SELECT * FROM operator WHERE name = ? AND disabled = 0", (name,))
    return Credentials(_operator(found), found["password"]) if found else None


def has_admin(db: sqlite3.Connection, *, but: str = "") -> bool:
    """Say whether an admin, other than `but`, can log in."""
    sql = "SELECT 1 FROM operator WHERE role = 'admin' AND disabled = 0 AND id <> ? LIMIT 1"
    return db.execute(sql, (but,)).fetchone() is not None


def add_operator(tx: Tx, operator: OperatorView, password: str) -> None:
    tx.db.execute(
        "INSERT INTO operator (id, name, role, password, created_at) VALUES (?, ?, ?, ?, ?)",
        (operator.id, operator.name, operator.role, password, to_micros(operator.created_at)),
    )


def change_operator(tx: Tx, operator_id: str, **columns: Any) -> None:
    changes = ", ".join(f"{name} = ?" for name in columns)
    tx.db.execute(
        f"UPDATE operator SET {changes} WHERE id = ?",  # noqa: S608  our own names
        (*columns.values(), operator_id),
    )


def remove_operator(tx: Tx, operator_id: str) -> None:
    tx.db.execute("DELETE FROM operator WHERE id = ?", (operator_id,))


# --- Web sessions ---------------------------------------------------------------------------------


def add_session(tx: Tx, token_hash: str, operator_id: str, expires_at: datetime) -> None:
    tx.db.execute(
        "INSERT INTO web_session VALUES (?, ?, ?, ?)",
        (token_hash, operator_id, to_micros(tx.now), to_micros(expires_at)),
    )
    change_operator(tx, operator_id, last_login_at=to_micros(tx.now))


def find_session_actor(db: sqlite3.Connection, token_hash: str, now: datetime) -> Actor | None:
    """Return who a web session belongs to, unless it is over or its operator is disabled."""
    found = row(
        db,
        "SELECT operator.id, operator.name, operator.role FROM web_session "
        "JOIN operator ON operator.id = web_session.operator_id "
        "WHERE web_session.token_hash = ? AND web_session.expires_at > ? AND operator.disabled = 0",
        (token_hash, to_micros(now)),
    )
    return Actor(kind="operator", **found) if found else None


def end_session(tx: Tx, token_hash: str) -> None:
    tx.db.execute("DELETE FROM web_session WHERE token_hash = ?", (token_hash,))


def end_sessions_of(tx: Tx, operator_id: str) -> None:
    tx.db.execute("DELETE FROM web_session WHERE operator_id = ?", (operator_id,))


# --- API tokens -----------------------------------------------------------------------------------


def list_tokens(db: sqlite3.Connection, part: Slice) -> Page[ApiTokenView]:
    return fetch_page(db, _TOKENS, Where(), part, lambda found: [_token(r) for r in found])


def find_token(db: sqlite3.Connection, token_id: str) -> ApiTokenView | None:
    found = row(db, "SELECT * FROM api_token WHERE id = ?", (token_id,))
    return _token(found) if found else None


def find_token_by_hash(
    db: sqlite3.Connection, token_hash: str, now: datetime
) -> ApiTokenView | None:
    """Return the token of this hash, unless it has expired."""
    found = row(
        db,
        "SELECT * FROM api_token WHERE token_hash = ? AND ifnull(expires_at, ?) >= ?",
        (token_hash, to_micros(now), to_micros(now)),
    )
    return _token(found) if found else None


def save_token(tx: Tx, token: ApiTokenView, token_hash: str) -> None:
    """Add a token, or give one of this id another secret."""
    expires_at = None if token.expires_at is None else to_micros(token.expires_at)
    tx.db.execute(
        "INSERT INTO api_token (id, name, role, token_hash, created_by, created_at, expires_at) "
        "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET "
        "token_hash = excluded.token_hash, role = excluded.role",
        (
            token.id, token.name, token.role, token_hash, token.created_by,
            to_micros(token.created_at), expires_at,
        ),
    )  # fmt: skip


def change_token(tx: Tx, token_id: str, **columns: Any) -> None:
    changes = ", ".join(f"{name} = ?" for name in columns)
    tx.db.execute(
        f"UPDATE api_token SET {changes} WHERE id = ?",  # noqa: S608  our own names
        (*columns.values(), token_id),
    )


def remove_token(tx: Tx, token_id: str) -> None:
    tx.db.execute("DELETE FROM api_token WHERE id = ?", (token_id,))


# --- The setup code -------------------------------------------------------------------------------


def set_setup_code(tx: Tx, code_hash: str, expires_at: datetime) -> None:
    """Make this the only code that works."""
    tx.db.execute(
        "INSERT INTO setup_code VALUES (1, ?1, ?2) "
        "ON CONFLICT (one) DO UPDATE SET code_hash = ?1, expires_at = ?2",
        (code_hash, to_micros(expires_at)),
    )


def take_setup_code(tx: Tx, code_hash: str) -> bool:
    """Use the code up; say whether it was right and in time."""
    done = tx.db.execute(
        "DELETE FROM setup_code WHERE code_hash = ? AND expires_at > ?",
        (code_hash, to_micros(tx.now)),
    )
    return bool(done.rowcount)


def _operator(found: sqlite3.Row) -> OperatorView:
    return OperatorView(
        found["id"], found["name"], found["role"], from_micros(found["created_at"]),
        moment(found["last_login_at"]), bool(found["disabled"]),
    )  # fmt: skip


def _token(found: sqlite3.Row) -> ApiTokenView:
    return ApiTokenView(
        found["id"], found["name"], found["role"], found["created_by"],
        from_micros(found["created_at"]), moment(found["expires_at"]),
        moment(found["last_used_at"]),
    )  # fmt: skip
