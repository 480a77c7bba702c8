"""Presence's tables of time: each host's intervals, gateways, and when nobody was observed."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from libs.common.clock import from_micros, micros_or_none, moment_or_none, to_micros
from libs.common.loop.tx import Tx
from services.presence.policy import Gap, Gateway, GatewayState, Interval
from services.presence.store import Host

KEEP_TIMELINE = timedelta(days=90)


_BEGIN = "INSERT INTO interval (host_id, started_at, state, cause) VALUES (?, ?, ?, ?)"


def begin_all(tx: Tx, enrolled: Iterable[tuple[str, datetime]], state: str, cause: str) -> None:
    """Begin the timelines of hosts that have none, each at its own moment."""
    rows = [(host_id, to_micros(at), state, cause) for host_id, at in enrolled]
    tx.db.executemany(_BEGIN, rows)


def begin_interval(tx: Tx, host: Host, at: datetime, state: str, cause: str) -> None:
    """End the host's last interval at `at` and begin another; drop what is older than we keep."""
    tx.db.execute(_BEGIN, (host.id, to_micros(at), state, cause))
    if host.timeline_from is not None and host.timeline_from < at - KEEP_TIMELINE:
        tx.db.execute(
            "DELETE FROM interval WHERE host_id = ? AND started_at < ?",
            (host.id, to_micros(at - KEEP_TIMELINE)),
        )


def list_intervals(tx: Tx, host_id: str, since: datetime) -> list[Interval]:
    """Return the intervals that reach beyond `since`, oldest first, the first cut to `since`."""
    rows = tx.db.execute(
        "SELECT started_at, state, cause FROM interval WHERE host_id = ?1 AND started_at >= "
        "coalesce((SELECT max(started_at) FROM interval "
        "WHERE host_id = ?1 AND started_at <= ?2), 0) ORDER BY started_at, row_id",
        (host_id, to_micros(since)),
    ).fetchall()
    found = []
    for place, (started_at, state, cause) in enumerate(rows):
        following = rows[place + 1] if place + 1 < len(rows) else None
        end = from_micros(following[0]) if following else None
        start = max(from_micros(started_at), since)
        if end is None or end > start:
            reason = following[2] if following else None
            found.append(Interval(start, end, state, cause, reason))
    return found


def count_flaps(tx: Tx, host_id: str, since: datetime) -> int:
    """Return how often the host went offline since `since`."""
    (count,) = tx.db.execute(
        "SELECT count(*) FROM interval WHERE host_id = ? AND state = 'offline' AND started_at >= ?",
        (host_id, to_micros(since)),
    ).fetchone()
    return int(count)


# -- gateways and what nobody observed -----------------------------------------------------------


_GATEWAY = "SELECT gateway, since, state, heard_at, ended_at FROM gateway"


def find_gateway(tx: Tx, name: str) -> Gateway | None:
    row = tx.db.execute(f"{_GATEWAY} WHERE gateway = ?", (name,)).fetchone()
    return _gateway(row) if row else None


def _gateway(row: tuple[str, int, str, int, int | None]) -> Gateway:
    name, since, state, heard_at, ended_at = row
    return Gateway(
        name,
        from_micros(since),
        GatewayState(state),
        from_micros(heard_at),
        moment_or_none(ended_at),
    )


def save_gateway(tx: Tx, gateway: Gateway) -> None:
    tx.db.execute(
        "INSERT OR REPLACE INTO gateway (gateway, since, state, heard_at, ended_at) "
        "VALUES (?, ?, ?, ?, ?)",
        (
            gateway.name, to_micros(gateway.since), gateway.state, to_micros(gateway.heard_at),
            micros_or_none(gateway.ended_at),
        ),
    )  # fmt: skip


def list_gateways(tx: Tx) -> list[Gateway]:
    return [_gateway(row) for row in tx.db.execute(f"{_GATEWAY} ORDER BY gateway")]


def save_period(tx: Tx, gateway: Gateway) -> None:
    """Keep the period of a gateway, another begins."""
    tx.db.execute(
        "INSERT OR REPLACE INTO gateway_period VALUES (?, ?, ?)",
        (gateway.name, to_micros(gateway.since), to_micros(gateway.last_listened)),
    )


def list_periods(tx: Tx, since: datetime, *, other_than: str) -> list[Gap]:
    """Return the periods of the other gateways that reach beyond `since`."""
    rows = tx.db.execute(
        "SELECT started_at, ended_at FROM gateway_period WHERE gateway != ? AND ended_at > ?",
        (other_than, to_micros(since)),
    )
    before = [Gap(from_micros(start), from_micros(end)) for start, end in rows.fetchall()]
    now = [
        Gap(one.since, None if one.state is GatewayState.LISTENING else one.last_listened)
        for one in list_gateways(tx)
        if one.name != other_than
    ]
    return before + now


def find_open_gap(tx: Tx) -> datetime | None:
    """Return since when nobody is observed, or None."""
    row = tx.db.execute("SELECT max(started_at) FROM unobserved WHERE ended_at IS NULL").fetchone()
    return from_micros(row[0]) if row[0] else None


def save_gap(tx: Tx, start: datetime, end: datetime | None) -> None:
    tx.db.execute(
        "INSERT OR REPLACE INTO unobserved VALUES (?, ?)",
        (to_micros(start), to_micros(end) if end else None),
    )


def drop_open_gap(tx: Tx) -> None:
    tx.db.execute("DELETE FROM unobserved WHERE ended_at IS NULL")


def drop_old_gaps(tx: Tx, before: datetime) -> None:
    tx.db.execute("DELETE FROM unobserved WHERE ended_at < ?", (to_micros(before),))
    tx.db.execute("DELETE FROM gateway_period WHERE ended_at < ?", (to_micros(before),))


def list_gaps(tx: Tx, since: datetime) -> list[Gap]:
    """Return the blackouts that reach beyond `since`, oldest first."""
    rows = tx.db.execute(
        "SELECT started_at, ended_at FROM unobserved WHERE ended_at IS NULL OR ended_at > ? "
        "ORDER BY started_at",
        (to_micros(since),),
    )
    return [Gap(from_micros(start), from_micros(end) if end else None) for start, end in rows]
