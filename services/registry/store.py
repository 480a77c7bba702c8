"""The registry's tables of hosts. Every function works inside the loop's transaction.

Those of tokens stand in `token_store`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from libs.common.errors import HostNotFound
from libs.common.events.agent import AgentHello
from libs.common.events.host import HostRecord, read_record
from libs.common.loop.tx import Tx

SESSIONS_KEPT = 16
"""So many of each host at least; only twice as many are cut back, not each one too many."""


@dataclass(frozen=True, slots=True)
class Host:
    """A host as the registry knows it: the public record, and what it needs beside it."""

    record: HostRecord
    zone_is_set: bool = False
    reported_zone: str = ""
    session: str = ""
    connection: int | None = None


# -- hosts -----------------------------------------------------------------------------------------

_HOST = "SELECT record, zone_is_set, reported_zone, session, connection FROM host "


def _host(row: Sequence[Any]) -> Host:
    return Host(read_record(row[0]), bool(row[1]), row[2], row[3], row[4])


def find_host(tx: Tx, host_id: str) -> Host | None:
    """Return a host, removed or not."""
    row = tx.db.execute(_HOST + "WHERE id = ?", (host_id,)).fetchone()
    return _host(row) if row else None


def known_version(tx: Tx, host_id: str) -> int | None:
    """Return the version of a host's record, or None if there is none."""
    row = tx.db.execute("SELECT version FROM host WHERE id = ?", (host_id,)).fetchone()
    return row[0] if row else None


def get_host(tx: Tx, host_id: str) -> Host:
    """Return a host that is not removed. Raises HostNotFound."""
    host = find_host(tx, host_id)
    if host is None or host.record.removed:
        raise HostNotFound
    return host


def list_hosts(tx: Tx, *, after: str, limit: int | None) -> list[HostRecord]:
    """Return the hosts that are not removed, by id, which is the order of their enrollment."""
    rows = tx.db.execute(
        _HOST + "WHERE removed = 0 AND id > ? ORDER BY id LIMIT ?",
        (after, -1 if limit is None else limit),
    )
    return [_host(row).record for row in rows]


def all_records(tx: Tx) -> list[HostRecord]:
    """Return every record, tombstones included."""
    return [_host(row).record for row in tx.db.execute(_HOST + "ORDER BY id").fetchall()]


def save_record(tx: Tx, record: HostRecord) -> None:
    """Insert or replace the record; what is known beside it stays."""
    tx.db.execute(
        "INSERT INTO host VALUES (?, ?, ?, ?, ?, 0, '', '', NULL) ON CONFLICT (id) DO UPDATE SET "
        "name = excluded.name, removed = excluded.removed, version = excluded.version, "
        "record = excluded.record",
        (record.id, record.name, record.removed, record.version, record.model_dump_json()),
    )


def save_zone(tx: Tx, host_id: str, *, is_set: bool, reported: str) -> None:
    """Remember whether an operator chose the zone, and what the agent says it is."""
    tx.db.execute(
        "UPDATE host SET zone_is_set = ?, reported_zone = ? WHERE id = ?",
        (is_set, reported, host_id),
    )


def is_name_free(tx: Tx, name: str, host_id: str = "") -> bool:
    """Say whether no host but `host_id` has this name."""
    row = tx.db.execute(
        "SELECT 1 FROM host WHERE name = ? AND removed = 0 AND id <> ?", (name, host_id)
    ).fetchone()
    return row is None


def taken_names(tx: Tx) -> set[str]:
    return {name for (name,) in tx.db.execute("SELECT name FROM host WHERE removed = 0")}


# -- hellos ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Said:
    """A hello beside what is known. `known`: its session has said hello before; `sessions`: how
    many have; `ends_tokens`: the token in use replaces others, or need not be delivered again."""

    host: Host
    known: bool
    sessions: int
    ends_tokens: bool


def look_up_hello(tx: Tx, hello: AgentHello) -> Said | None:
    """Return what a hello is judged by, with one look; None if there never was such a host."""
    row = tx.db.execute(
        "SELECT record, zone_is_set, reported_zone, session, connection, "
        "EXISTS (SELECT 1 FROM hello WHERE host_id = host.id AND hello.session = :session), "
        "(SELECT count(*) FROM hello WHERE host_id = host.id), "
        "EXISTS (SELECT 1 FROM agent_token WHERE host_id = host.id AND (version < :token "
        "OR version = :token AND sealed IS NOT NULL)) FROM host WHERE id = :host",
        {"host": hello.host_id, "session": hello.session, "token": hello.token_version},
    ).fetchone()
    return None if row is None else Said(_host(row), bool(row[5]), row[6], bool(row[7]))


def save_session(tx: Tx, host_id: str, session: str) -> None:
    """Remember a session that said hello."""
    tx.db.execute("INSERT INTO hello (host_id, session) VALUES (?, ?)", (host_id, session))


def forget_old_sessions(tx: Tx, host_id: str) -> None:
    tx.db.execute(
        "DELETE FROM hello WHERE host_id = ? AND row_id NOT IN "
        "(SELECT row_id FROM hello WHERE host_id = ? ORDER BY row_id DESC LIMIT ?)",
        (host_id, host_id, SESSIONS_KEPT),
    )


def save_newest(tx: Tx, host_id: str, session: str, connection: int | None) -> None:
    tx.db.execute(
        "UPDATE host SET session = ?, connection = ? WHERE id = ?", (session, connection, host_id)
    )


# -- repositories ----------------------------------------------------------------------------------


def find_repository(tx: Tx, host_id: str) -> bytes | None:
    """Return the sealed settings of a host's repository."""
    row = tx.db.execute("SELECT sealed FROM repository WHERE host_id = ?", (host_id,)).fetchone()
    return row[0] if row else None


def save_repository(tx: Tx, host_id: str, sealed: bytes) -> None:
    tx.db.execute("INSERT OR REPLACE INTO repository VALUES (?, ?)", (host_id, sealed))


def salt(tx: Tx) -> bytes:
    row = tx.db.execute("SELECT salt FROM installation").fetchone()
    return bytes(row[0])


def forget_host(tx: Tx, host_id: str) -> None:
    """Delete what a removed host leaves beside its tombstone and its tokens."""
    tx.db.execute("DELETE FROM repository WHERE host_id = ?", (host_id,))
    tx.db.execute("DELETE FROM hello WHERE host_id = ?", (host_id,))
