"""Alerting's table of chances to back up. A row stands for a host that is judged by them."""

from __future__ import annotations

from libs.common.clock import TICK, from_micros, to_micros
from libs.common.loop.tx import Tx
from services.alerting.policy_chances import Chances


def find_chances(tx: Tx, host_id: str) -> Chances | None:
    """Return the host's chances; None: it is not judged by them."""
    row = tx.db.execute(
        "SELECT sessions, awake, since FROM chance WHERE host_id = ?", (host_id,)
    ).fetchone()
    return None if row is None else _chances(*row)


def _chances(sessions: int, awake: int, since: int | None) -> Chances:
    return Chances(sessions, awake * TICK, None if since is None else from_micros(since))


def save_chances(tx: Tx, host_id: str, chances: Chances) -> None:
    since = None if chances.since is None else to_micros(chances.since)
    tx.db.execute(
        "INSERT OR REPLACE INTO chance VALUES (?, ?, ?, ?)",
        (host_id, chances.sessions, chances.awake // TICK, since),
    )


def drop_chances(tx: Tx, host_id: str) -> None:
    tx.db.execute("DELETE FROM chance WHERE host_id = ?", (host_id,))


def list_awake(tx: Tx) -> list[tuple[str, Chances]]:
    """Return the hosts with a session under way that counts."""
    rows = tx.db.execute(
        "SELECT host_id, sessions, awake, since FROM chance WHERE since IS NOT NULL"
    )
    return [(host_id, _chances(*rest)) for host_id, *rest in rows.fetchall()]
