"""What store.py does with one alert, here with many by one statement (see queue_many.py)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from libs.common.events.alert import Alert
from libs.common.loop.tx import Tx
from services.notify.store import NOBODY, Host, host_from

_LISTED = "(SELECT value FROM json_each(?))"


def known_among(tx: Tx, alert_ids: Iterable[str]) -> set[str]:
    """Return those of the alerts that we know."""
    rows = tx.db.execute(
        f"SELECT id FROM alert WHERE id IN {_LISTED}",  # noqa: S608  our own words
        (json.dumps(list(alert_ids)),),
    )
    return {alert_id for (alert_id,) in rows}


def save_new(tx: Tx, alerts: Iterable[Alert]) -> None:
    """Keep alerts that we don't know yet, all of them open and held by nothing."""
    rows = [[alert.id, alert.state, alert.model_dump_json()] for alert in alerts]
    tx.db.execute(
        "INSERT INTO alert (id, state, body) "
        "SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(?)",
        (json.dumps(rows),),
    )


def hosts_of(tx: Tx, alerts: Sequence[Alert]) -> dict[str | None, Host]:
    """Return the hosts of alerts by id; one not known yet is without name and tags."""
    rows = tx.db.execute(
        f"SELECT id, name, tags FROM host WHERE id IN {_LISTED}",  # noqa: S608
        (json.dumps([alert.host_id for alert in alerts]),),
    )
    known = {host_id: host_from(name, tags) for host_id, name, tags in rows}
    return {alert.host_id: known.get(alert.host_id, NOBODY) for alert in alerts}
