"""The queue's tables: every message that was or will be sent, and in which order.

Two deliveries of one alert on one channel never overtake each other; everything else is free.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from libs.common.clock import from_micros, to_micros
from libs.common.loop.tx import Tx
from services.notify.message import json_of
from services.notify.policy import TELLING, News
from services.notify.store import moment


class State(StrEnum):
    """Where a delivery stands. The last three are ends."""

    BLOCKED = "blocked"
    READY = "ready"
    SENDING = "sending"
    WAITING = "waiting"
    DELIVERED = "delivered"
    FAILED = "failed"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message to one channel. `place` orders all deliveries; `tries` counts those begun."""

    place: int
    id: str
    channel_id: str
    news: News
    alert_ids: tuple[str, ...]
    state: State
    tries: int
    created_at: datetime
    first_tried_at: datetime | None
    next_try_at: datetime | None
    ended_at: datetime | None
    status: int | None
    error: str | None


COLUMNS = (
    "place, id, channel_id, news, alert_ids, state, tries, created_at, first_tried_at, "
    "next_try_at, ended_at, status, error"
)


@dataclass(frozen=True, slots=True)
class NewDelivery:
    """A message about to be queued. `about`: the alerts whose order it keeps."""

    id: str
    channel_id: str
    news: News
    about: tuple[str, ...]
    body: dict[str, Any]


def add(tx: Tx, new: NewDelivery) -> Delivery | None:
    """Queue a message, or return None if it is already there."""
    cursor = tx.db.execute(
        "INSERT INTO delivery (id, channel_id, news, alert_ids, body, state, created_at) "
        "VALUES (?, ?, ?, ?, ?, 'ready', ?) ON CONFLICT (id) DO NOTHING",
        (new.id, new.channel_id, new.news, json_of(new.about), json_of(new.body),
         to_micros(tx.now)),
    )  # fmt: skip
    if not cursor.rowcount:
        return None
    place = cursor.lastrowid
    tx.db.executemany(
        "INSERT INTO delivery_alert VALUES (?, ?, ?)",
        [(alert_id, new.channel_id, place) for alert_id in dict.fromkeys(new.about)],
    )
    assert place is not None
    return Delivery(
        place, new.id, new.channel_id, new.news, new.about, State.READY, 0, tx.now,
        None, None, None, None, None,
    )  # fmt: skip


def find(db: sqlite3.Connection, delivery_id: str) -> Delivery | None:
    row = db.execute(
        f"SELECT {COLUMNS} FROM delivery WHERE id = ?",  # noqa: S608  our own columns
        (delivery_id,),
    ).fetchone()
    return delivery_of(row) if row else None


def find_open(db: sqlite3.Connection, delivery_id: str) -> Delivery | None:
    """Return the delivery unless it has ended."""
    row = db.execute(
        f"SELECT {COLUMNS} FROM delivery WHERE id = ? AND ended_at IS NULL",  # noqa: S608
        (delivery_id,),
    ).fetchone()
    return delivery_of(row) if row else None


def body_of(db: sqlite3.Connection, delivery_id: str) -> dict[str, Any]:
    """Return the message as composed. Raises: KeyError."""
    row = db.execute("SELECT body FROM delivery WHERE id = ?", (delivery_id,)).fetchone()
    if row is None:
        raise KeyError(delivery_id)
    body: dict[str, Any] = json.loads(row[0])
    return body


def list_written(db: sqlite3.Connection, delivery_ids: Sequence[str]) -> dict[str, str]:
    """Return the messages as written, by id; those that are gone are left out."""
    rows = db.execute(
        "SELECT id, body FROM delivery WHERE id IN (SELECT value FROM json_each(?))",
        (json.dumps(delivery_ids),),
    )
    return dict(rows.fetchall())


def is_blocked(tx: Tx, place: int) -> bool:
    """Say whether an earlier delivery of one of its alerts on its channel has not ended."""
    (blocked,) = tx.db.execute(
        "SELECT EXISTS (SELECT 1 FROM delivery_alert mine "
        "JOIN delivery_alert earlier ON earlier.alert_id = mine.alert_id "
        "  AND earlier.channel_id = mine.channel_id AND earlier.place < mine.place "
        "JOIN delivery ON delivery.place = earlier.place "
        "WHERE mine.place = ? AND delivery.ended_at IS NULL)",
        (place,),
    ).fetchone()
    return bool(blocked)


def is_told(tx: Tx, channel_id: str, alert_id: str) -> bool:
    """Say whether a message that the alert is open went out, or still will."""
    marks = ", ".join("?" for _ in TELLING)
    (told,) = tx.db.execute(
        "SELECT EXISTS (SELECT 1 FROM delivery_alert JOIN delivery USING (place) "  # noqa: S608
        "WHERE delivery_alert.alert_id = ? AND delivery_alert.channel_id = ? "
        f"AND delivery.state NOT IN ('failed', 'dropped') AND delivery.news IN ({marks}))",
        (alert_id, channel_id, *sorted(TELLING)),
    ).fetchone()
    return bool(told)


def may_raise(tx: Tx, channel_id: str, alert_id: str) -> bool:
    """Say whether nothing tells yet that the alert is open, nor ever tried to by its own raise."""
    marks = ", ".join("?" for _ in TELLING)
    (told,) = tx.db.execute(
        "SELECT EXISTS (SELECT 1 FROM delivery_alert JOIN delivery USING (place) "  # noqa: S608
        "WHERE delivery_alert.alert_id = ? AND delivery_alert.channel_id = ? "
        "AND (delivery.news = 'raised' OR "
        f"(delivery.state NOT IN ('failed', 'dropped') AND delivery.news IN ({marks}))))",
        (alert_id, channel_id, *sorted(TELLING)),
    ).fetchone()
    return not told


def sent_lately(tx: Tx, channel_id: str, count: int) -> list[datetime]:
    """Return when the latest `count` messages were queued, tests not counted."""
    rows = tx.db.execute(
        "SELECT created_at FROM delivery WHERE channel_id = ? AND news != 'test' "
        "ORDER BY place DESC LIMIT ?",
        (channel_id, count),
    )
    return [from_micros(created_at) for (created_at,) in rows]


def told_and_open(db: sqlite3.Connection, channel_id: str) -> list[dict[str, Any]]:
    """Return the open alerts that this channel was told of, as it was told of them last."""
    marks = ", ".join("?" for _ in TELLING)
    rows = db.execute(
        "SELECT alert.id, delivery.body FROM alert JOIN delivery_alert "  # noqa: S608
        "  ON delivery_alert.alert_id = alert.id AND delivery_alert.channel_id = ? "
        "JOIN delivery USING (place) WHERE alert.resolved_at IS NULL "
        f"AND delivery.state = 'delivered' AND delivery.news IN ({marks}) ORDER BY place",
        (channel_id, *sorted(TELLING)),
    )
    views: dict[str, dict[str, Any]] = {}
    for alert_id, body in rows:
        told = [view for view in json.loads(body)["alerts"] if view["id"] == alert_id]
        views.update((view["id"], view) for view in told)
    return list(views.values())


def set_state(tx: Tx, delivery_id: str, state: State) -> None:
    tx.db.execute(
        "UPDATE delivery SET state = ?, next_try_at = NULL WHERE id = ?", (state, delivery_id)
    )


def begin_tries(tx: Tx, channel_id: str, limit: int) -> list[tuple[str, int]]:
    """Begin a try of what may be sent now; return ids and how many tries that makes, in order."""
    rows = tx.db.execute(
        "UPDATE delivery SET state = 'sending', tries = tries + 1, next_try_at = NULL, "
        "first_tried_at = coalesce(first_tried_at, ?) WHERE place IN "
        "(SELECT place FROM delivery WHERE channel_id = ? AND state = 'ready' "
        "ORDER BY place LIMIT ?) RETURNING place, id, tries",
        (to_micros(tx.now), channel_id, limit),
    )
    return [(delivery_id, tries) for _, delivery_id, tries in sorted(rows)]


def wait_until(tx: Tx, delivery: Delivery, at: datetime) -> None:
    """Write down what the try came to, and when the next one is."""
    tx.db.execute(
        "UPDATE delivery SET state = 'waiting', next_try_at = ?, status = ?, error = ? "
        "WHERE place = ?",
        (to_micros(at), delivery.status, delivery.error, delivery.place),
    )


def drop(tx: Tx, delivery_id: str) -> None:
    tx.db.execute(
        "UPDATE delivery SET state = 'dropped', ended_at = ?, next_try_at = NULL WHERE id = ?",
        (to_micros(tx.now), delivery_id),
    )


def count_sending(tx: Tx, channel_id: str) -> int:
    (count,) = tx.db.execute(
        "SELECT count(*) FROM delivery WHERE channel_id = ? AND state = 'sending'", (channel_id,)
    ).fetchone()
    return int(count)


def count_pending(db: sqlite3.Connection, channel_id: str) -> int:
    """Return how many deliveries of the channel have not ended."""
    (count,) = db.execute(
        "SELECT count(*) FROM delivery WHERE channel_id = ? "
        "AND state IN ('blocked', 'ready', 'sending', 'waiting')",
        (channel_id,),
    ).fetchone()
    return int(count)


def waiting(tx: Tx, channel_id: str) -> list[Delivery]:
    rows = tx.db.execute(
        f"SELECT {COLUMNS} FROM delivery WHERE channel_id = ? "  # noqa: S608
        "AND state = 'waiting' ORDER BY place",
        (channel_id,),
    )
    return [delivery_of(row) for row in rows]


def unended(tx: Tx, channel_id: str) -> list[str]:
    rows = tx.db.execute(
        "SELECT id FROM delivery WHERE channel_id = ? AND ended_at IS NULL ORDER BY place",
        (channel_id,),
    )
    return [delivery_id for (delivery_id,) in rows]


def latest(
    db: sqlite3.Connection, channel_id: str, limit: int, before: int | None = None
) -> list[Delivery]:
    """Return the channel's deliveries, newest first, those before a place only."""
    rows = db.execute(
        f"SELECT {COLUMNS} FROM delivery WHERE channel_id = ? AND place < ? "  # noqa: S608
        "ORDER BY place DESC LIMIT ?",
        (channel_id, 2**62 if before is None else before, limit),
    )
    return [delivery_of(row) for row in rows]


def forget_ended(tx: Tx, before: datetime, limit: int) -> int:
    """Delete deliveries that ended before a moment; return how many."""
    return tx.db.execute(
        "DELETE FROM delivery WHERE place IN "
        "(SELECT place FROM delivery WHERE ended_at < ? ORDER BY ended_at LIMIT ?)",
        (to_micros(before), limit),
    ).rowcount


def delivery_of(row: Iterable[Any]) -> Delivery:
    (place, id_, channel_id, news, alert_ids, state, tries, created_at, first_tried_at,
     next_try_at, ended_at, status, error) = row  # fmt: skip
    created = moment(created_at)
    assert created is not None
    return Delivery(
        place, id_, channel_id, News(news), tuple(json.loads(alert_ids)), State(state), tries,
        created, moment(first_tried_at), moment(next_try_at), moment(ended_at), status, error,
    )  # fmt: skip
