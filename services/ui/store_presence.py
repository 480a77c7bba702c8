"""Writes presence: stretches of being online and offline, gateways, time that nobody observed."""

from __future__ import annotations

import sqlite3
from datetime import datetime
from typing import Any

from libs.common.clock import from_micros, to_micros
from libs.common.events.presence import PresenceOffline, PresenceOnline
from libs.common.loop.tx import Tx
from libs.common.periods import is_newer_period
from services.ui.reads.paging import row
from services.ui.store import NOT_ENDED


def add_stretch(
    tx: Tx, host_id: str, session: str, state: str, start: datetime, reason: str | None = None
) -> bool:
    """Note that a session began (`online`) or ended (`offline`); say whether that is news."""
    done = tx.db.execute(
        "INSERT OR IGNORE INTO stretch (host_id, started_at, state, session, reason) "
        "VALUES (?, ?, ?, ?, ?)",
        (host_id, to_micros(start), state, session, reason),
    )
    return bool(done.rowcount)


def set_online(tx: Tx, event: PresenceOnline) -> bool:
    """Show a host online; say whether. Not if the session's end is known, nor if it is an older
    one, told again after the log was lost."""
    done = tx.db.execute(
        "UPDATE host SET status = 'online', since = :since, session = :session, "  # noqa: S608
        "gateway = :gateway, offline_reason = NULL, "
        "last_seen_at = max(ifnull(last_seen_at, 0), :since) "
        f"WHERE id = :host AND ifnull(since, :since) <= :since AND {NOT_ENDED}",
        {
            "host": event.host_id, "session": event.session, "gateway": event.gateway,
            "since": to_micros(event.since), "ended": event.session,
        },
    )  # fmt: skip
    return bool(done.rowcount)


def set_offline(tx: Tx, event: PresenceOffline) -> bool:
    """Show a host offline, unless another session is known; say whether."""
    done = tx.db.execute(
        "UPDATE host SET status = 'offline', since = :since, session = :session, "
        "offline_reason = :reason, last_seen_at = :seen, arm_state = NULL "
        "WHERE id = :host AND ifnull(session, :session) = :session",
        {
            "host": event.host_id, "session": event.session, "reason": event.reason.value,
            "since": to_micros(event.since), "seen": to_micros(event.last_seen),
        },
    )  # fmt: skip
    return bool(done.rowcount)


def gateway_listens(tx: Tx, gateway: str, since: datetime, heard_at: datetime) -> None:
    """Note that a gateway has listened since `since`. What was known of it before is over."""
    known = _gateway(tx, gateway)
    if known and not is_newer_period(since, from_micros(known["since"]), tx.now):
        _heard(tx, known, heard_at)
        return
    if not _others_listen(tx, gateway):
        _end_blindness(tx, known, min(since, tx.now))
    tx.db.execute(
        "INSERT INTO gateway VALUES (?1, ?2, NULL, ?3) ON CONFLICT (id) DO UPDATE SET "
        "since = ?2, ended_at = NULL, last_beat = ?3",
        (gateway, to_micros(since), to_micros(heard_at)),
    )


def gateway_ended(tx: Tx, gateway: str, at: datetime) -> None:
    """Note that a gateway stopped or was lost. A late word of an earlier life changes nothing."""
    known = _gateway(tx, gateway)
    if known is None or known["ended_at"] is not None or known["since"] > to_micros(at):
        return
    ended_at = to_micros(min(at, tx.now))
    tx.db.execute("UPDATE gateway SET ended_at = ? WHERE id = ?", (ended_at, gateway))
    if not _others_listen(tx, gateway):
        tx.db.execute("INSERT OR IGNORE INTO unobserved VALUES (?, NULL)", (ended_at,))


def _end_blindness(tx: Tx, known: Any, since: datetime) -> None:
    """Nobody listened until `since`: from the gap's start, or this gateway's last sign of life.

    The end of the last gap, if only of length 0, is when the present unbroken period began.
    """
    closed = tx.db.execute(
        "UPDATE unobserved SET ended_at = max(started_at, ?) WHERE ended_at IS NULL",
        (to_micros(since),),
    )
    if not closed.rowcount:
        end = to_micros(since)
        start = end if known is None else min(known["last_beat"], end)
        tx.db.execute("INSERT OR IGNORE INTO unobserved VALUES (?, ?)", (start, end))


def _heard(tx: Tx, known: Any, heard_at: datetime) -> None:
    if known["last_beat"] < to_micros(heard_at):
        tx.db.execute(
            "UPDATE gateway SET last_beat = ? WHERE id = ?", (to_micros(heard_at), known["id"])
        )


def _gateway(tx: Tx, gateway: str) -> sqlite3.Row | None:
    return row(tx.db, "SELECT * FROM gateway WHERE id = ?", (gateway,))


def _others_listen(tx: Tx, gateway: str) -> bool:
    found = tx.db.execute(
        "SELECT 1 FROM gateway WHERE ended_at IS NULL AND id <> ?", (gateway,)
    ).fetchone()
    return found is not None
