"""Tables and SQL of the gateway: itself, sessions, spools."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from libs.common.clock import EPOCH, from_micros, to_micros

SPOOLS_PER_HOST = 8


@dataclass(frozen=True, slots=True)
class Session:
    """The newest session of a host. `live`: it is here and has not ended."""

    host_id: str
    session: str
    gateway: str
    connection: int | None
    live: bool
    last_seen: datetime
    log_seq: int | None
    spool_id: str
    sync_seq: int
    synced: bool
    config_version: int


@dataclass(frozen=True, slots=True)
class Spool:
    """Up to where a spool's reports are published, and the time of the last one."""

    last_seq: int
    last_report_at: datetime | None


NEW_SPOOL = Spool(-1, None)
"""Nothing of it is published: any number is new, 0 too."""


# -- this gateway ----------------------------------------------------------------------------------


def set_listening(db: sqlite3.Connection, since: datetime) -> None:
    db.execute(
        "INSERT INTO gateway VALUES (1, ?, NULL) ON CONFLICT (one) DO UPDATE SET "
        "listening_since = excluded.listening_since, pulse_at = NULL",
        (to_micros(since),),
    )


def listening_since(db: sqlite3.Connection) -> datetime:
    """Return the start of the present period of listening; long ago if there was none yet."""
    row = db.execute("SELECT listening_since FROM gateway").fetchone()
    return from_micros(row[0]) if row else EPOCH


def find_pulse(db: sqlite3.Connection) -> datetime | None:
    row = db.execute("SELECT pulse_at FROM gateway").fetchone()
    return from_micros(row[0]) if row and row[0] is not None else None


def set_pulse(db: sqlite3.Connection, now: datetime) -> None:
    db.execute("UPDATE gateway SET pulse_at = ?", (to_micros(now),))


# -- sessions --------------------------------------------------------------------------------------

SESSION = (
    "session.host_id, session.session, session.gateway, session.connection, session.live, "
    "session.last_seen, session.log_seq, session.spool_id, session.sync_seq, session.synced, "
    "session.config_version"
)
SESSION_WIDTH = 11


def find_session(db: sqlite3.Connection, host_id: str) -> Session | None:
    row = db.execute(
        f"SELECT {SESSION} FROM session WHERE host_id = ?",  # noqa: S608
        (host_id,),
    ).fetchone()
    return read_session(row) if row else None


def list_live(db: sqlite3.Connection) -> list[Session]:
    rows = db.execute(f"SELECT {SESSION} FROM session WHERE live = 1")  # noqa: S608
    return [read_session(row) for row in rows]


def read_session(row: tuple[Any, ...]) -> Session:
    host_id, session, gateway, connection, live, last_seen, log_seq, spool, sync, synced, config = (
        row
    )
    return Session(
        host_id, session, gateway, connection, bool(live), from_micros(last_seen), log_seq, spool,
        sync, bool(synced), config,
    )  # fmt: skip


def put_session(db: sqlite3.Connection, new: Session) -> None:
    db.execute(
        "INSERT OR REPLACE INTO session VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)",
        (
            new.host_id, new.session, new.gateway, new.connection, new.live,
            to_micros(new.last_seen), new.log_seq, new.spool_id, new.sync_seq, new.synced,
            new.config_version,
        ),
    )  # fmt: skip


def set_log_seq(db: sqlite3.Connection, session: str, host_id: str, seq: int) -> None:
    db.execute(
        "UPDATE session SET log_seq = ? WHERE host_id = ? AND session = ? AND log_seq IS NULL",
        (seq, host_id, session),
    )


def touch(db: sqlite3.Connection, host_id: str, session: str, last_seen: datetime) -> bool:
    """Move a live session's last_seen forward; False if it is not live."""
    done = db.execute(
        "UPDATE session SET last_seen = max(last_seen, ?) "
        "WHERE host_id = ? AND session = ? AND live = 1",
        (to_micros(last_seen), host_id, session),
    )
    return done.rowcount > 0


def forget_future(db: sqlite3.Connection, now: datetime) -> None:
    """Nobody was heard later than now: the clock was set back since."""
    db.execute("UPDATE session SET last_seen = min(last_seen, ?)", (to_micros(now),))


def end_session(db: sqlite3.Connection, host_id: str) -> None:
    db.execute("UPDATE session SET live = 0 WHERE host_id = ?", (host_id,))


def set_synced(db: sqlite3.Connection, host_id: str) -> None:
    db.execute("UPDATE session SET synced = 1 WHERE host_id = ?", (host_id,))


def doubt_synced(db: sqlite3.Connection) -> None:
    """While we heard nobody, live sessions may have had more to report."""
    db.execute("UPDATE session SET doubted = 1 WHERE live = 1 AND synced = 1")


def confirm_synced(
    db: sqlite3.Connection, sessions: Sequence[str], since: datetime
) -> list[tuple[str, str]]:
    """Doubt no more those of `sessions` that were heard after `since`: agents report in order.
    Return them as (host_id, session)."""
    return db.execute(
        "UPDATE session SET doubted = 0 WHERE doubted AND live = 1 AND last_seen > ? "
        "AND session IN (SELECT value FROM json_each(?)) RETURNING host_id, session",
        (to_micros(since), json.dumps(sessions)),
    ).fetchall()


def set_config_version(db: sqlite3.Connection, host_id: str, version: int) -> None:
    db.execute("UPDATE session SET config_version = ? WHERE host_id = ?", (version, host_id))


def delete_session(db: sqlite3.Connection, host_id: str) -> None:
    db.execute("DELETE FROM session WHERE host_id = ?", (host_id,))
    db.execute("DELETE FROM hello WHERE host_id = ?", (host_id,))
    db.execute("DELETE FROM spool WHERE host_id = ?", (host_id,))


# -- spools ----------------------------------------------------------------------------------------


def find_session_with_spool(db: sqlite3.Connection, host_id: str) -> tuple[Session, Spool] | None:
    """Return the newest session, and how far its spool is published."""
    row = db.execute(
        f"SELECT {SESSION}, last_seq, last_report_at FROM session "  # noqa: S608
        "LEFT JOIN spool USING (host_id, spool_id) WHERE session.host_id = ?",
        (host_id,),
    ).fetchone()
    if row is None:
        return None
    return read_session(row[:SESSION_WIDTH]), read_spool(*row[SESSION_WIDTH:]) or NEW_SPOOL


def read_spool(last_seq: int | None, last_report_at: int | None) -> Spool | None:
    if last_seq is None:
        return None
    return Spool(last_seq, None if last_report_at is None else from_micros(last_report_at))


def put_spool(
    db: sqlite3.Connection, host_id: str, spool_id: str, spool: Spool, now: datetime
) -> None:
    at = None if spool.last_report_at is None else to_micros(spool.last_report_at)
    db.execute(
        "INSERT OR REPLACE INTO spool VALUES (?, ?, ?, ?, ?)",
        (host_id, spool_id, spool.last_seq, at, to_micros(now)),
    )


def forget_old_spools(db: sqlite3.Connection, host_id: str) -> None:
    """Keep the few that were used last: a spool that was lost never comes back."""
    db.execute(
        "DELETE FROM spool WHERE host_id = ? AND spool_id NOT IN (SELECT spool_id FROM spool "
        "WHERE host_id = ? ORDER BY used_at DESC, spool_id DESC LIMIT ?)",
        (host_id, host_id, SPOOLS_PER_HOST),
    )
