"""Notify's tables but the queue (queue.py): channels, and what it knows of hosts and alerts."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from libs.common.clock import from_micros, to_micros
from libs.common.events.alert import Alert, AlertState
from libs.common.events.host import HostRecord
from libs.common.loop.tx import Tx
from services.notify.errors import ChannelNotFound
from services.notify.policy import Concerned, Filter
from services.notify.policy_pace import QuietHours, RateLimit

_CHANNEL = (
    "id, name, kind, sealed, filter, quiet, rate, created_at, last_delivered_at, last_error_at, "
    "last_error, last_failed_at"
)


@dataclass(frozen=True, slots=True)
class Channel:
    """Where messages go. `sealed` is the kind's config, encrypted."""

    id: str
    name: str
    kind: str
    sealed: str
    wanted: Filter
    created_at: datetime
    quiet: QuietHours | None = None
    rate: RateLimit | None = None
    last_delivered_at: datetime | None = None
    last_error_at: datetime | None = None
    last_error: str | None = None
    last_failed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Host:
    """What filters and messages need of a host."""

    name: str
    tags: frozenset[str]


NOBODY = Host("", frozenset())


# -- channels --------------------------------------------------------------------------------------


def add_channel(tx: Tx, channel: Channel) -> None:
    tx.db.execute(
        "INSERT INTO channel (id, name, kind, sealed, filter, quiet, rate, created_at) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (channel.id, channel.name, channel.kind, channel.sealed, *_wishes(channel),
         to_micros(channel.created_at)),
    )  # fmt: skip


def change_channel(tx: Tx, channel: Channel) -> None:
    tx.db.execute(
        "UPDATE channel SET name = ?, sealed = ?, filter = ?, quiet = ?, rate = ? WHERE id = ?",
        (channel.name, channel.sealed, *_wishes(channel), channel.id),
    )


def _wishes(channel: Channel) -> tuple[str, str | None, str | None]:
    """Return filter, quiet hours and rate as JSON."""
    return (
        channel.wanted.model_dump_json(exclude_none=True),
        None if channel.quiet is None else channel.quiet.model_dump_json(by_alias=True),
        None if channel.rate is None else channel.rate.model_dump_json(),
    )


def remove_channel(tx: Tx, channel_id: str) -> None:
    """Keep the row for its deliveries, and nothing secret in it."""
    tx.db.execute(
        "UPDATE channel SET deleted_at = ?, sealed = '', filter = '{}', quiet = NULL, rate = NULL "
        "WHERE id = ?",
        (to_micros(tx.now), channel_id),
    )


def find_channel(db: sqlite3.Connection, channel_id: str) -> Channel | None:
    row = db.execute(
        f"SELECT {_CHANNEL} FROM channel WHERE id = ? AND deleted_at IS NULL",  # noqa: S608
        (channel_id,),
    ).fetchone()
    return _channel(row) if row else None


def name_and_kind(db: sqlite3.Connection, channel_id: str) -> tuple[str, str]:
    """Return a channel's name and kind, empty if it is gone."""
    row = db.execute(
        "SELECT name, kind FROM channel WHERE id = ? AND deleted_at IS NULL", (channel_id,)
    ).fetchone()
    return (row[0], row[1]) if row else ("", "")


def get_channel(db: sqlite3.Connection, channel_id: str) -> Channel:
    """Raises: ChannelNotFound."""
    channel = find_channel(db, channel_id)
    if channel is None:
        raise ChannelNotFound
    return channel


def list_channels(db: sqlite3.Connection) -> list[Channel]:
    rows = db.execute(
        f"SELECT {_CHANNEL} FROM channel WHERE deleted_at IS NULL ORDER BY id"  # noqa: S608
    )
    return [_channel(row) for row in rows]


def note_delivered(tx: Tx, channel_id: str) -> None:
    tx.db.execute(
        "UPDATE channel SET last_delivered_at = ? WHERE id = ?", (to_micros(tx.now), channel_id)
    )


def note_error(tx: Tx, channel_id: str, error: str) -> None:
    tx.db.execute(
        "UPDATE channel SET last_error_at = ?, last_error = ? WHERE id = ?",
        (to_micros(tx.now), error, channel_id),
    )


def note_failed(tx: Tx, channel_id: str) -> None:
    """Leave the visible mark of a message that was given up."""
    tx.db.execute(
        "UPDATE channel SET last_failed_at = ? WHERE id = ?", (to_micros(tx.now), channel_id)
    )


def _channel(row: sqlite3.Row | tuple[Any, ...]) -> Channel:
    (id_, name, kind, sealed, wanted, quiet, rate, created_at, delivered_at, error_at, error,
     failed_at) = row  # fmt: skip
    return Channel(
        id=id_, name=name, kind=kind, sealed=sealed, wanted=_filter_of(wanted),
        quiet=None if quiet is None else QuietHours.model_validate_json(quiet),
        rate=None if rate is None else RateLimit.model_validate_json(rate),
        created_at=from_micros(int(created_at)), last_delivered_at=moment(delivered_at),
        last_error_at=moment(error_at), last_error=error, last_failed_at=moment(failed_at),
    )  # fmt: skip


@lru_cache(maxsize=256)
def _filter_of(text: str) -> Filter:
    """Read a filter, once: a channel's is the same for every alert."""
    return Filter.model_validate_json(text)


def moment(micros: int | str | None) -> datetime | None:
    return None if micros is None else from_micros(int(micros))


# -- hosts -----------------------------------------------------------------------------------------


def learn_host(tx: Tx, record: HostRecord) -> None:
    """Take what is newer than what we know."""
    tx.db.execute(
        "INSERT INTO host VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET "
        "name = excluded.name, tags = excluded.tags, version = excluded.version "
        "WHERE excluded.version > version",
        (record.id, record.name, json.dumps(record.tags), record.version),
    )


def host_of(tx: Tx, host_id: str | None) -> Host:
    """Return the host; for the fleet, or a host not known yet, one without name and tags."""
    row = tx.db.execute("SELECT name, tags FROM host WHERE id = ?", (host_id,)).fetchone()
    return host_from(*row) if row else NOBODY


def host_from(name: str, tags: str) -> Host:
    """Return the host that a row says."""
    return Host(name, frozenset(json.loads(tags)))


def concerned(tx: Tx, host_ids: Iterable[str]) -> list[Concerned]:
    """Return hosts as filters see them."""
    return [Concerned(host_id, host_of(tx, host_id).tags) for host_id in host_ids]


def hosts_of(tx: Tx, alert: Alert) -> list[Concerned]:
    """Return whom an alert is about: its host, or all that a mass outage has taken so far."""
    if alert.host_id is not None:
        return concerned(tx, [alert.host_id])
    held = tx.db.execute(
        "SELECT json_extract(body, '$.host_id') FROM alert WHERE held_by = ?", (alert.id,)
    ).fetchall()
    return concerned(tx, {*alert.facts.get("hosts", ()), *(host_id for (host_id,) in held)})


def named(tx: Tx, alert: Alert) -> Alert:
    """Return the alert with its host's name, if it came without."""
    if alert.host_name:
        return alert
    return alert.model_copy(update={"host_name": host_of(tx, alert.host_id).name})


# -- alerts ----------------------------------------------------------------------------------------


def find_alert(tx: Tx, alert_id: str) -> Alert | None:
    row = tx.db.execute("SELECT body FROM alert WHERE id = ?", (alert_id,)).fetchone()
    return Alert.model_validate_json(row[0]) if row else None


def save_alert(tx: Tx, alert: Alert) -> None:
    """Keep the last word on an alert; a resolved one is held by nothing."""
    resolved = alert.state is AlertState.RESOLVED
    resolved_at = to_micros(alert.resolved_at or tx.now) if resolved else None
    held_by = None if resolved else alert.held_by
    tx.db.execute(
        "INSERT INTO alert VALUES (?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET "
        "state = excluded.state, held_by = excluded.held_by, body = excluded.body, "
        "resolved_at = excluded.resolved_at",
        (alert.id, alert.state, held_by, alert.model_dump_json(), resolved_at),
    )


def release_held(tx: Tx, outage_id: str) -> list[Alert]:
    """Free the open alerts that the outage held; return them, oldest first."""
    rows = tx.db.execute("SELECT body FROM alert WHERE held_by = ?", (outage_id,)).fetchall()
    freed = [
        Alert.model_validate_json(body).model_copy(update={"held_by": None}) for (body,) in rows
    ]
    for alert in freed:
        save_alert(tx, alert)
    return sorted(freed, key=lambda alert: (alert.raised_at, alert.id))


def forget_resolved(tx: Tx, before: datetime, limit: int) -> int:
    """Delete alerts resolved before a moment; return how many."""
    return tx.db.execute(
        "DELETE FROM alert WHERE id IN "
        "(SELECT id FROM alert WHERE resolved_at < ? ORDER BY resolved_at LIMIT ?)",
        (to_micros(before), limit),
    ).rowcount


def names_of(tx: Tx, host_ids: Collection[str]) -> list[str]:
    """Return the hosts' names, sorted; an unknown host's id stands for its name."""
    return sorted(host_of(tx, host_id).name or host_id for host_id in host_ids)
