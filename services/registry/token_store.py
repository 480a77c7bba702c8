"""The registry's tables of tokens: only their hashes, and what is undelivered, sealed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from libs.common.clock import from_micros, to_micros
from libs.common.loop.tx import Tx


@dataclass(frozen=True, slots=True)
class EnrollmentToken:
    hash: str
    id: str
    name: str | None
    always_on: bool
    tags: tuple[str, ...]
    uses_left: int
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class AgentToken:
    """A token that is valid now. `sealed`: the token itself, until its host has used it."""

    hash: str
    host_id: str
    version: int
    valid_until: datetime | None = None
    sealed: bytes | None = None


# -- enrollment tokens -----------------------------------------------------------------------------


def find_enrollment_token(tx: Tx, token_hash: str) -> EnrollmentToken | None:
    row = tx.db.execute(
        "SELECT hash, id, name, always_on, tags, uses_left, expires_at FROM enrollment_token "
        "WHERE hash = ?",
        (token_hash,),
    ).fetchone()
    if row is None:
        return None
    return EnrollmentToken(
        hash=row[0],
        id=row[1],
        name=row[2],
        always_on=bool(row[3]),
        tags=tuple(json.loads(row[4])),
        uses_left=row[5],
        expires_at=from_micros(row[6]),
    )


def insert_enrollment_token(tx: Tx, token: EnrollmentToken) -> None:
    tx.db.execute(
        "INSERT INTO enrollment_token VALUES (?, ?, ?, ?, ?, ?, ?)",
        (token.hash, token.id, token.name, token.always_on, json.dumps(token.tags),
         token.uses_left, to_micros(token.expires_at)),
    )  # fmt: skip


def count_enrollment_tokens(tx: Tx) -> int:
    (count,) = tx.db.execute("SELECT count(*) FROM enrollment_token").fetchone()
    return int(count)


def use_enrollment_token(tx: Tx, token_id: str) -> None:
    tx.db.execute("UPDATE enrollment_token SET uses_left = uses_left - 1 WHERE id = ?", (token_id,))


def delete_enrollment_token(tx: Tx, token_id: str) -> bool:
    """Return whether there was one."""
    gone = tx.db.execute("DELETE FROM enrollment_token WHERE id = ?", (token_id,))
    return gone.rowcount > 0


# -- agent tokens ----------------------------------------------------------------------------------

_TOKEN = "SELECT hash, host_id, version, valid_until, sealed FROM agent_token "  # noqa: S105


def _token(row: Sequence[Any]) -> AgentToken:
    until = None if row[3] is None else from_micros(row[3])
    return AgentToken(row[0], row[1], row[2], until, row[4])


def find_agent_token(tx: Tx, token_hash: str) -> AgentToken | None:
    row = tx.db.execute(_TOKEN + "WHERE hash = ?", (token_hash,)).fetchone()
    return _token(row) if row else None


def agent_tokens(tx: Tx, host_id: str) -> list[AgentToken]:
    """Return the valid tokens of a host, oldest first; the last one is the present one."""
    rows = tx.db.execute(_TOKEN + "WHERE host_id = ? ORDER BY version", (host_id,))
    return [_token(row) for row in rows]


def all_agent_tokens(tx: Tx) -> list[AgentToken]:
    return [_token(row) for row in tx.db.execute(_TOKEN + "ORDER BY host_id, version").fetchall()]


def save_agent_token(tx: Tx, token: AgentToken) -> None:
    until = None if token.valid_until is None else to_micros(token.valid_until)
    tx.db.execute(
        "INSERT OR REPLACE INTO agent_token VALUES (?, ?, ?, ?, ?)",
        (token.hash, token.host_id, token.version, until, token.sealed),
    )


def delete_agent_token(tx: Tx, token_hash: str) -> None:
    tx.db.execute("DELETE FROM agent_token WHERE hash = ?", (token_hash,))
