"""The tables of what is usual: how long a host stays, and what its runs take."""

from __future__ import annotations

from datetime import datetime, timedelta

from libs.common.clock import from_micros
from libs.common.loop.tx import Tx
from services.catchup.policy_fit import Habit, learn_cut
from services.catchup.policy_usual import OF_HOST, learn

MICROSECOND = timedelta(microseconds=1)
USUAL = 2
"""Stays that make a habit: one is none."""


def end_stay(tx: Tx, host_id: str, at: datetime, *, shortest: timedelta) -> None:
    """A host left at `at`: learn from how long it had been there, unless that is so short that
    nothing could have run."""
    row = tx.db.execute(
        "SELECT online_since, usual_stay FROM host WHERE host_id = ? AND online_since IS NOT NULL",
        (host_id,),
    ).fetchone()
    if row is None:
        return
    stay = at - from_micros(row[0])
    if stay >= shortest:
        before = None if row[1] is None else timedelta(microseconds=row[1])
        usual = learn(before, stay, OF_HOST)
        tx.db.execute(
            "UPDATE host SET usual_stay = ?, stays = stays + 1 WHERE host_id = ?",
            (usual // MICROSECOND, host_id),
        )


def note_run(tx: Tx, host_id: str, group_id: str, took: timedelta) -> None:
    """A backup of the group succeeded."""
    usual = learn(_runs(tx, host_id).get(group_id), took, OF_HOST)
    _save_run(tx, host_id, group_id, usual)


def note_cut(tx: Tx, host_id: str, group_id: str) -> None:
    """A backup of the group was cut off: it does not fit into the usual stay, if that is known."""
    stay = _usual_stay(tx, host_id)
    if stay is not None:
        _save_run(tx, host_id, group_id, learn_cut(_runs(tx, host_id).get(group_id), stay))


def get_habit(tx: Tx, host_id: str) -> Habit:
    return Habit(_usual_stay(tx, host_id), _runs(tx, host_id))


def forget(tx: Tx, host_id: str) -> None:
    tx.db.execute("DELETE FROM usual_group_run WHERE host_id = ?", (host_id,))


def _usual_stay(tx: Tx, host_id: str) -> timedelta | None:
    """Return how long the host stays; None if fewer than USUAL stays were learned from."""
    row = tx.db.execute(
        "SELECT usual_stay FROM host WHERE host_id = ? AND stays >= ?", (host_id, USUAL)
    ).fetchone()
    return timedelta(microseconds=row[0]) if row else None


def _runs(tx: Tx, host_id: str) -> dict[str, timedelta]:
    rows = tx.db.execute(
        "SELECT source_group_id, microseconds FROM usual_group_run WHERE host_id = ?", (host_id,)
    )
    return {group_id: timedelta(microseconds=took) for group_id, took in rows}


def _save_run(tx: Tx, host_id: str, group_id: str, usual: timedelta) -> None:
    tx.db.execute(
        "INSERT OR REPLACE INTO usual_group_run VALUES (?, ?, ?)",
        (host_id, group_id, usual // MICROSECOND),
    )
