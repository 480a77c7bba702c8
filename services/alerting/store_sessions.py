"""Alerting's tables of sessions: who is there, which hellos were heard, when hosts were online."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from libs.common import session_table
from libs.common.clock import to_micros
from libs.common.events.agent import AgentHello, AgentSynced
from libs.common.loop.tx import Tx
from services.alerting import store
from services.alerting.policy import Status
from services.alerting.store import Host

KEEP_STRETCHES = timedelta(days=1)


# -- who says hello --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Caller:
    """A host that says hello, with what is asked at every hello.

    `is_gateway_heard`: its gateway listens and was heard lately: there is nothing to note of it.
    `has_many_sessions`: with one more there are too many to be remembered.
    """

    host: Host
    is_gateway_heard: bool = False
    has_many_sessions: bool = False


_CALLER = (
    f"SELECT {store.WITH_ALL}, "  # noqa: S608  our own names
    "EXISTS (SELECT 1 FROM gateway WHERE gateway.gateway = :gateway AND state = 'listening' "
    "AND awaited_until IS NULL AND heard_at > :heard_after), "
    f"{session_table.IS_FULL} FROM host WHERE host_id = :host"
)


def find_caller(tx: Tx, event: AgentHello, heard_after: datetime) -> Caller:
    """Return who says hello; a host that nobody told of is a new one.

    A gateway that was heard after `heard_after` was so lately.
    """
    row = tx.db.execute(
        _CALLER,
        {
            "host": event.host_id, "gateway": event.gateway, "heard_after": to_micros(heard_after),
            "old": store.old_job_ends(tx),
        },
    ).fetchone()  # fmt: skip
    if row is None:
        return Caller(Host(event.host_id, event.host_id))
    return Caller(store.read_host(row), bool(row[-2]), bool(row[-1]))


# -- who is there ----------------------------------------------------------------------------------


def set_online(tx: Tx, event: AgentHello, last_seen: datetime) -> None:
    """The host is there, in the session of `event`. One without a row gets it."""
    tx.db.execute(
        "INSERT INTO host (host_id, name, status, session, connection, gateway, last_seen) "
        "VALUES (?1, ?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (host_id) DO UPDATE SET "
        "status = excluded.status, session = excluded.session, connection = excluded.connection, "
        "gateway = excluded.gateway, last_seen = excluded.last_seen, offline_at = NULL, "
        "offline_reason = NULL",
        (
            event.host_id, Status.ONLINE, event.session, event.connection, event.gateway,
            to_micros(last_seen),
        ),
    )  # fmt: skip


def set_offline(tx: Tx, host: Host) -> None:
    """Keep that the host is away, since when and why."""
    assert host.last_seen is not None
    tx.db.execute(
        "UPDATE host SET status = ?, last_seen = ?, offline_at = ?, offline_reason = ? "
        "WHERE host_id = ?",
        (
            host.status, to_micros(host.last_seen),
            None if host.offline_at is None else to_micros(host.offline_at), host.offline_reason,
            host.id,
        ),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Awaited:
    """Whose reports were awaited until now. `is_behind`: since a long blackout."""

    always_on: bool
    is_behind: bool


def set_synced(tx: Tx, event: AgentSynced) -> Awaited | None:
    """The reports of the host's session are here; None: that is no news, or of another session.

    Of a session that is known to be here it is news if it was said after the last long blackout.
    """
    row = tx.db.execute(
        "SELECT always_on, synced_gate, gate FROM host, watch WHERE host_id = ?1 AND session = ?2 "
        "AND (synced_session IS NOT ?2 OR synced_gate < gate AND ?3 >= gate_since) "
        "AND NOT removed",
        (event.host_id, event.session, None if event.since is None else to_micros(event.since)),
    ).fetchone()
    if row is None:
        return None
    always_on, before, gate = row
    tx.db.execute(
        "UPDATE host SET synced_session = ?, synced_at = ?, synced_gate = ? WHERE host_id = ?",
        (event.session, to_micros(tx.time), gate, event.host_id),
    )
    return Awaited(bool(always_on), before < gate)


# -- when hosts were online ------------------------------------------------------------------------


def begin_stretch(tx: Tx, host_id: str, at: datetime) -> None:
    tx.db.execute(
        "INSERT INTO stretch (host_id, online_from) VALUES (?, ?)", (host_id, to_micros(at))
    )


def end_stretch(tx: Tx, host_id: str, at: datetime) -> None:
    """End the host's open stretch; drop those that no outage can ask for any more."""
    tx.db.execute(
        "UPDATE stretch SET online_to = ? WHERE host_id = ? AND online_to IS NULL",
        (to_micros(at), host_id),
    )
    tx.db.execute(
        "DELETE FROM stretch WHERE host_id = ? AND online_to < ?",
        (host_id, to_micros(at - KEEP_STRETCHES)),
    )
