"""Tables and SQL of the gateway: the hellos in the log, and what a hello is judged by.

Each is read with one look, not with one per table: a fleet that comes back says hello at once.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from datetime import datetime

from libs.common.clock import EPOCH, from_micros
from services.gateway.store import (
    SESSION,
    SESSION_WIDTH,
    Session,
    Spool,
    read_session,
    read_spool,
)

HELLOS_PER_HOST = 16
"""So many are kept at least; only twice as many are cut back, not each one too many."""


@dataclass(frozen=True, slots=True)
class OfferFacts:
    """What is known when an agent offers a session. `session`: the newest so far; `spool` None: it
    is new, beside `spools` others. `config_version`: what the agent should run, None: unknown."""

    session: Session | None
    spool: Spool | None
    spools: int
    removed: bool
    config_version: int | None
    listening_since: datetime


def look_up_offer(db: sqlite3.Connection, host_id: str, spool_id: str) -> OfferFacts:
    row = db.execute(
        f"SELECT {SESSION}, spool.last_seq, spool.last_report_at, "  # noqa: S608
        "(SELECT count(*) FROM spool WHERE host_id = ?1), "
        "host.removed, host.config_version, gateway.listening_since "
        "FROM (SELECT 1) LEFT JOIN session ON session.host_id = ?1 "
        "LEFT JOIN spool ON spool.host_id = ?1 AND spool.spool_id = ?2 "
        "LEFT JOIN host ON host.host_id = ?1 LEFT JOIN gateway",
        (host_id, spool_id),
    ).fetchone()
    last_seq, last_report_at, spools, removed, wanted, since = row[SESSION_WIDTH:]
    return OfferFacts(
        None if row[0] is None else read_session(row[:SESSION_WIDTH]),
        read_spool(last_seq, last_report_at), spools, bool(removed), None if removed else wanted,
        EPOCH if since is None else from_micros(since),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class HelloFacts:
    """What is known when a hello is read from the log: the newest session, how many hellos are kept
    and whether a token older than the one in use is."""

    session: Session | None
    hellos: int
    old_token: bool


def look_up_hello(db: sqlite3.Connection, host_id: str, token_version: int) -> HelloFacts:
    row = db.execute(
        f"SELECT {SESSION}, (SELECT count(*) FROM hello WHERE host_id = ?1), "  # noqa: S608
        "EXISTS (SELECT 1 FROM token WHERE host_id = ?1 AND token_version < ?2) "
        "FROM (SELECT 1) LEFT JOIN session ON session.host_id = ?1",
        (host_id, token_version),
    ).fetchone()
    session = None if row[0] is None else read_session(row[:SESSION_WIDTH])
    return HelloFacts(session, row[SESSION_WIDTH], bool(row[SESSION_WIDTH + 1]))


def remember_hello(db: sqlite3.Connection, host_id: str, session: str, log_seq: int) -> bool:
    """Return False if this hello has been read from the log before."""
    done = db.execute("INSERT OR IGNORE INTO hello VALUES (?, ?, ?)", (host_id, session, log_seq))
    return done.rowcount > 0


def forget_old_hellos(db: sqlite3.Connection, host_id: str) -> None:
    db.execute(
        "DELETE FROM hello WHERE host_id = ? AND session NOT IN (SELECT session FROM hello "
        "WHERE host_id = ? ORDER BY log_seq DESC LIMIT ?)",
        (host_id, host_id, HELLOS_PER_HOST),
    )
