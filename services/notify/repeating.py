"""Telling a receiver again and again which alerts are open, where the kind asks for that.

    a message was delivered ─▶ deadline `repeat` of the channel ─▶ effect `repeat`, if something is
    open ─▶ its outcome ─▶ the next deadline

These are no deliveries: there is one of them at a time, and a missed one is made up by the next.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from libs.common.loop.tx import Tx
from services.notify import policy, queue, store
from services.notify.kinds.table import kind_of
from services.notify.policy import Ending

REPEAT = "repeat"


def begin(tx: Tx, channel_id: str) -> None:
    """A message was delivered: look after what is open on its channel from now on."""
    if _interval(tx, channel_id) is not None and not _is_on(tx, channel_id):
        _look_later(tx, channel_id)


def end(tx: Tx, channel_id: str) -> None:
    tx.unschedule(REPEAT, channel_id)
    tx.drop_effect(REPEAT, channel_id)


def on_repeat(tx: Tx, channel_id: str, _due_at: datetime) -> None:
    if queue.told_and_open(tx.db, channel_id):
        tx.start_effect(REPEAT, channel_id, {"channel_id": channel_id})


def on_repeated(tx: Tx, channel_id: str, _payload: dict[str, Any], outcome: dict[str, Any]) -> None:
    """One that did not work is shown on the channel, and made up by the next."""
    result = policy.read_outcome(outcome)
    ending = policy.assess_try(result, first_tried_at=tx.now, now=tx.now)
    if ending is Ending.DELIVERED:
        store.note_delivered(tx, channel_id)
    else:
        store.note_error(tx, channel_id, policy.explain_failure(result, ending))
    _look_later(tx, channel_id)


def _look_later(tx: Tx, channel_id: str) -> None:
    every = _interval(tx, channel_id)
    if every is not None:
        tx.schedule(REPEAT, channel_id, tx.now + every)


def _interval(tx: Tx, channel_id: str) -> timedelta | None:
    """None: the channel is gone, or its kind is told once."""
    _, kind = store.name_and_kind(tx.db, channel_id)
    return kind_of(kind).repeat_every if kind else None


def _is_on(tx: Tx, channel_id: str) -> bool:
    if tx.find_due(REPEAT, channel_id) is not None:
        return True
    (there,) = tx.db.execute(
        "SELECT EXISTS (SELECT 1 FROM effect WHERE kind = ? AND key = ?)", (REPEAT, channel_id)
    ).fetchone()
    return bool(there)
