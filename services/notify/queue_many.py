"""What queue.py does with one delivery, here with many by one statement.

SQLite works through a list without Python, and so beside what Python does meanwhile.
"""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Sequence

from libs.common.clock import to_micros
from libs.common.loop.tx import Tx
from services.notify.message import json_of
from services.notify.queue import COLUMNS, Delivery, NewDelivery, State, delivery_of

_LISTED = "(SELECT value FROM json_each(?))"


def add_first(tx: Tx, messages: Sequence[NewDelivery]) -> None:
    """Queue messages, ready to go, each the first about its alerts on its channel."""
    (last,) = tx.db.execute("SELECT coalesce(max(place), 0) FROM delivery").fetchone()
    rows = [[one.id, one.channel_id, one.news, json_of(one.about), json_of(one.body)]
            for one in messages]  # fmt: skip
    tx.db.execute(
        "INSERT INTO delivery (id, channel_id, news, alert_ids, body, state, created_at) "
        "SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, 'ready', ? "
        "FROM json_each(?) WHERE true ON CONFLICT (id) DO NOTHING",
        (to_micros(tx.now), json_of(rows)),
    )
    tx.db.execute(
        "INSERT OR IGNORE INTO delivery_alert SELECT about.value, channel_id, place "
        "FROM delivery, json_each(alert_ids) AS about WHERE place > ?",
        (last,),
    )


def find_open(db: sqlite3.Connection, delivery_ids: Iterable[str]) -> dict[str, Delivery]:
    """Return the deliveries that have not ended, by id."""
    rows = db.execute(
        f"SELECT {COLUMNS} FROM delivery WHERE id IN {_LISTED} AND ended_at IS NULL",  # noqa: S608
        (json.dumps(list(delivery_ids)),),
    )
    return {found.id: found for found in map(delivery_of, rows)}


def end(tx: Tx, deliveries: Iterable[Delivery], state: State) -> None:
    """Write down how deliveries ended, and what the last try of each came to."""
    alike = defaultdict(list)
    for one in deliveries:
        alike[one.status, one.error].append(one.place)
    for (status, error), places in alike.items():
        tx.db.execute(
            "UPDATE delivery SET state = ?, ended_at = ?, next_try_at = NULL, "  # noqa: S608
            f"status = ?, error = ? WHERE place IN {_LISTED}",
            (state, to_micros(tx.now), status, error, json.dumps(places)),
        )


def blocked_behind(tx: Tx, places: Iterable[int]) -> list[Delivery]:
    """Return the blocked deliveries that share an alert with one of `places`, in order."""
    rows = tx.db.execute(
        f"SELECT {COLUMNS} FROM delivery WHERE state = 'blocked' AND place IN "  # noqa: S608
        "(SELECT later.place FROM delivery_alert mine "
        "JOIN delivery_alert later ON later.alert_id = mine.alert_id "
        "  AND later.channel_id = mine.channel_id AND later.place > mine.place "
        f"WHERE mine.place IN {_LISTED}) ORDER BY place",
        (json.dumps(list(places)),),
    )
    return [delivery_of(row) for row in rows]


def known_among(tx: Tx, alert_ids: Iterable[str]) -> set[str]:
    """Return those of the alerts about which anything was ever queued, or is held back."""
    listed = json.dumps(list(alert_ids))
    rows = tx.db.execute(
        f"SELECT alert_id FROM delivery_alert WHERE alert_id IN {_LISTED} "  # noqa: S608
        f"UNION SELECT alert_id FROM held WHERE alert_id IN {_LISTED}",
        (listed, listed),
    )
    return {alert_id for (alert_id,) in rows}
