"""Tables and SQL of the gateway: agent tokens and host records, as the registry told them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

from libs.common.events.host import HostRecord


@dataclass(frozen=True, slots=True)
class Token:
    """Whose token it is; a rotation raises the version."""

    host_id: str
    token_version: int


# -- tokens ----------------------------------------------------------------------------------------


def find_tokens(db: sqlite3.Connection, hashes: Iterable[str]) -> dict[str, Token]:
    """Return those that are known, by their hash."""
    query = "SELECT host_id, token_version FROM token WHERE token_hash = ?"
    rows = ((token_hash, db.execute(query, (token_hash,)).fetchone()) for token_hash in hashes)
    return {token_hash: Token(*row) for token_hash, row in rows if row}


def put_token(db: sqlite3.Connection, token_hash: str, token: Token) -> None:
    db.execute(
        "INSERT OR REPLACE INTO token VALUES (?, ?, ?)",
        (token_hash, token.host_id, token.token_version),
    )


def replace_tokens(db: sqlite3.Connection, tokens: Iterable[tuple[str, Token]]) -> None:
    db.execute("DELETE FROM token")
    for token_hash, token in tokens:
        put_token(db, token_hash, token)


def forget_tokens(db: sqlite3.Connection, host_id: str, below: int | None = None) -> None:
    """Forget a host's tokens (of versions below `below`): the registry will be asked again."""
    db.execute(
        "DELETE FROM token WHERE host_id = ? AND token_version < coalesce(?, 9223372036854775807)",
        (host_id, below),
    )


# -- hosts -----------------------------------------------------------------------------------------


def find_host(db: sqlite3.Connection, host_id: str) -> HostRecord | None:
    row = db.execute("SELECT record FROM host WHERE host_id = ?", (host_id,)).fetchone()
    return HostRecord.model_validate_json(row[0]) if row else None


def find_hosts(db: sqlite3.Connection, host_ids: Iterable[str]) -> dict[str, HostRecord]:
    """Return those that are known, by their id."""
    found = ((host_id, find_host(db, host_id)) for host_id in host_ids)
    return {host_id: record for host_id, record in found if record is not None}


def find_config_version(db: sqlite3.Connection, host_id: str) -> int | None:
    """Return the version that the host's agent should run; None for an unknown or removed host."""
    row = db.execute(
        "SELECT config_version FROM host WHERE host_id = ? AND removed = 0", (host_id,)
    ).fetchone()
    return row[0] if row else None


def put_newer_host(db: sqlite3.Connection, record: HostRecord) -> bool:
    """Keep `record` if it is newer than the one known; a removed host stays removed."""
    done = db.execute(
        "INSERT INTO host VALUES (?, ?, ?, ?, ?) ON CONFLICT (host_id) DO UPDATE SET "
        "version = excluded.version, config_version = excluded.config_version, "
        "removed = excluded.removed, record = excluded.record "
        "WHERE excluded.version > host.version AND host.removed = 0",
        (
            record.id, record.version, record.config_version, record.removed,
            record.model_dump_json(),
        ),
    )  # fmt: skip
    return done.rowcount > 0
