"""Presence's tables of hosts and their live sessions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import TypeAdapter

from libs.common import session_table
from libs.common.clock import micros_or_none, moment_or_none, to_micros
from libs.common.events.host import HostRecord
from libs.common.loop.tx import Tx
from services.presence.policy import Status

_COLUMNS = (
    "host_id, name, always_on, record_version, removed, status, since, last_seen, session, "
    "connection, gateway, reason, clock_offset_seconds, on_battery, battery_percent, metered, "
    "version"
)

_HEARD = "coalesce((SELECT at FROM heard WHERE heard.host_id = host.host_id), last_seen)"
_TIMELINE_FROM = "(SELECT min(started_at) FROM interval WHERE interval.host_id = host.host_id)"
_TRUE = f"{_COLUMNS.replace('last_seen', _HEARD)}, {_TIMELINE_FROM}"
_FIND = f"SELECT {_TRUE} FROM host WHERE host_id = ?"  # noqa: S608
_CALLER = (
    f"SELECT {_TRUE}, "  # noqa: S608
    "EXISTS (SELECT 1 FROM gateway WHERE gateway.gateway = ?2 AND state = 'listening'), "
    f"{session_table.IS_FULL} FROM host WHERE host_id = ?1"
)


@dataclass(frozen=True, slots=True)
class Host:
    """A host as presence knows it; fields as in the table.

    `timeline_from`: the begin of its oldest interval that is kept.
    """

    id: str
    name: str
    always_on: bool = True
    record_version: int = 0
    removed: bool = False
    status: Status = Status.NEVER_SEEN
    since: datetime | None = None
    last_seen: datetime | None = None
    session: str | None = None
    connection: int | None = None
    gateway: str | None = None
    reason: str | None = None
    clock_offset_seconds: float = 0.0
    on_battery: bool | None = None
    battery_percent: float | None = None
    metered: bool | None = None
    version: int = 0
    timeline_from: datetime | None = None


@dataclass(frozen=True, slots=True)
class Brief:
    """Of a host's record what a host that was never seen needs. `enrolled_at` is RFC 3339."""

    id: str
    name: str
    enrolled_at: str
    always_on: bool = True
    version: int = 1
    removed: bool = False


read_brief: Callable[[bytes], Brief] = TypeAdapter(Brief).validate_json
"""Return it from the record's JSON: a boot reads a hundred thousand of them."""


def find_host(tx: Tx, host_id: str) -> Host | None:
    """Return the host, also a removed one; `last_seen` of an online host is as of its last beat."""
    row = tx.db.execute(_FIND, (host_id,)).fetchone()
    return None if row is None else _host(row)


@dataclass(frozen=True, slots=True)
class Caller:
    """A host that says hello, with what is asked at every hello.

    `is_gateway_listening`: that is known. `has_many_sessions`: with one more there are too many to
    be remembered.
    """

    host: Host
    is_gateway_listening: bool = False
    has_many_sessions: bool = False


def find_caller(tx: Tx, host_id: str, gateway: str) -> Caller:
    """Return who says hello through `gateway`; a host that nobody told of is a new one."""
    row = tx.db.execute(_CALLER, (host_id, gateway)).fetchone()
    if row is None:
        return Caller(Host(host_id, host_id))
    return Caller(_host(row[:-2]), bool(row[-2]), bool(row[-1]))


def _host(row: tuple[object, ...]) -> Host:
    values = list(row)
    for place in (2, 4, 13, 15):
        values[place] = None if values[place] is None else bool(values[place])
    for place in (6, 7, 17):
        values[place] = moment_or_none(values[place])  # type: ignore[arg-type]
    values[5] = Status(values[5])  # type: ignore[arg-type]
    return Host(*values)  # type: ignore[arg-type]


_SAVE = (
    f"INSERT INTO host ({_COLUMNS}) "  # noqa: S608
    f"VALUES ({', '.join('?' * len(_COLUMNS.split(',')))}) ON CONFLICT (host_id) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in _COLUMNS.split(", ")[1:])
)


def save_host(tx: Tx, host: Host) -> None:
    """Insert the host's row, or write all of it."""
    tx.db.execute(
        _SAVE,
        (
            host.id, host.name, host.always_on, host.record_version, host.removed, host.status,
            micros_or_none(host.since), micros_or_none(host.last_seen), host.session,
            host.connection,
            host.gateway, host.reason, host.clock_offset_seconds, host.on_battery,
            host.battery_percent, host.metered, host.version,
        ),
    )  # fmt: skip


def save_record(tx: Tx, record: HostRecord) -> None:
    """Keep what a record says of a host whose row is there."""
    tx.db.execute(
        "UPDATE host SET name = ?, always_on = ?, record_version = ? WHERE host_id = ?",
        (record.name, record.always_on, record.version, record.id),
    )


def list_ids(tx: Tx) -> set[str]:
    """Return the ids of all hosts ever heard of, removed ones too."""
    return {host_id for (host_id,) in tx.db.execute("SELECT host_id FROM host")}


def add_hosts(tx: Tx, hosts: Iterable[Brief]) -> None:
    """Insert hosts that nobody has heard of: never seen."""
    tx.db.executemany(
        "INSERT INTO host (host_id, name, always_on, record_version) VALUES (?, ?, ?, ?)",
        [(one.id, one.name, one.always_on, one.version) for one in hosts],
    )


def forget_host(tx: Tx, record: HostRecord) -> None:
    """Drop all that is known of a host but that it was removed."""
    for table in ("heard", "known_session", "interval"):
        tx.db.execute(f"DELETE FROM {table} WHERE host_id = ?", (record.id,))  # noqa: S608
    save_host(tx, Host(record.id, record.name, record_version=record.version, removed=True))


def list_seen_hosts(tx: Tx) -> list[Host]:
    """Return every host that is or was online, and is not removed, with its true last_seen."""
    rows = tx.db.execute(
        f"SELECT {_TRUE} FROM host WHERE status != 'never_seen' AND NOT removed"  # noqa: S608
    )
    return [_host(row) for row in rows.fetchall()]


def list_online_at(tx: Tx, gateway: str) -> list[Host]:
    """Return the hosts whose live session is at `gateway`, with their true last_seen."""
    rows = tx.db.execute(
        "SELECT host_id FROM host WHERE gateway = ? AND status = 'online' ORDER BY host_id",
        (gateway,),
    )
    found = (find_host(tx, host_id) for (host_id,) in rows.fetchall())
    return [host for host in found if host is not None]


# -- last_seen and sessions ----------------------------------------------------------------------


def set_heard(tx: Tx, host_id: str, at: datetime | None) -> None:
    """Start (or with None end) following when a host was last heard."""
    if at is None:
        tx.db.execute("DELETE FROM heard WHERE host_id = ?", (host_id,))
    else:
        tx.db.execute("INSERT OR REPLACE INTO heard VALUES (?, ?)", (host_id, to_micros(at)))


def move_heard(tx: Tx, host_ids: Iterable[str], at: datetime, step: timedelta) -> None:
    """Note that online hosts were heard at `at`; nothing is written for less than `step`."""
    tx.db.executemany(
        "UPDATE heard SET at = ?1 WHERE host_id = ?2 AND at <= ?3",
        [(to_micros(at), host_id, to_micros(at - step)) for host_id in host_ids],
    )
