"""Alerting's tables of gateways, and of whether anyone listens."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from libs.common.clock import from_micros, micros_or_none, moment_or_none, to_micros
from libs.common.events.host import ThresholdRules, read_rules
from libs.common.loop.tx import Tx
from services.alerting.policy import Watch


class GatewayState(StrEnum):
    LISTENING = "listening"
    STOPPED = "stopped"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Gateway:
    """A gateway as last heard of; `lost_at` is its last loss, however long ago.

    `is_awaited`: it has not been heard since we were cut off ourselves.
    """

    name: str
    since: datetime
    state: GatewayState
    heard_at: datetime
    lost_at: datetime | None = None
    is_awaited: bool = False


@dataclass(frozen=True, slots=True)
class Gate:
    """The watch, and how many long blackouts there have been."""

    watch: Watch
    number: int


def find_gateway(tx: Tx, name: str) -> Gateway | None:
    row = tx.db.execute("SELECT * FROM gateway WHERE gateway = ?", (name,)).fetchone()
    if row is None:
        return None
    return Gateway(
        row[0], from_micros(row[1]), GatewayState(row[2]), from_micros(row[3]),
        moment_or_none(row[4]),
        row[5] is not None,
    )  # fmt: skip


def save_gateway(tx: Tx, gateway: Gateway) -> None:
    """Keep what was just heard of it: it is awaited no more."""
    tx.db.execute(
        "INSERT OR REPLACE INTO gateway VALUES (?, ?, ?, ?, ?, NULL)",
        (
            gateway.name, to_micros(gateway.since), gateway.state, to_micros(gateway.heard_at),
            micros_or_none(gateway.lost_at),
        ),
    )  # fmt: skip


def note_loss(tx: Tx, name: str, at: datetime) -> None:
    """A gateway was lost once, whatever it is now: that is no sign of its life."""
    tx.db.execute(
        "UPDATE gateway SET lost_at = max(coalesce(lost_at, 0), ?) WHERE gateway = ?",
        (to_micros(at), name),
    )


def find_others_since(tx: Tx, name: str) -> datetime | None:
    """Return since when a gateway other than `name` has listened; None: none does."""
    (since,) = tx.db.execute(
        "SELECT min(since) FROM gateway WHERE state = 'listening' AND gateway != ?", (name,)
    ).fetchone()
    return moment_or_none(since)


def await_gateways(tx: Tx, until: datetime) -> None:
    """Every gateway that is thought to listen must be heard first, or be given up at `until`."""
    tx.db.execute(
        "UPDATE gateway SET awaited_until = ? WHERE state = 'listening'", (to_micros(until),)
    )


def is_any_awaited(tx: Tx) -> bool:
    """Say whether a gateway that is thought to listen has still to be heard."""
    query = "SELECT 1 FROM gateway WHERE state = 'listening' AND awaited_until > ?"
    return tx.db.execute(query, (to_micros(tx.now),)).fetchone() is not None


def forget_gateways(tx: Tx) -> None:
    """Know of no gateway any more, the log that told of them is gone: only until when one listened.

    Else a log that is lost in a moment would count as a long blackout.
    """
    tx.db.execute(
        "UPDATE watch SET dark_from = (SELECT max(heard_at) FROM gateway "
        "WHERE state = 'listening') WHERE period_start IS NOT NULL"
    )
    tx.db.execute("UPDATE watch SET period_start = NULL, listened_until = dark_from")
    tx.db.execute("DELETE FROM gateway")


def get_listened_until(tx: Tx) -> datetime | None:
    """Return until when somebody is known to have listened, as of the last loss of the log."""
    (until,) = tx.db.execute("SELECT listened_until FROM watch").fetchone()
    return moment_or_none(until)


def get_gate(tx: Tx) -> Gate:
    start, dark_from, number, gate_since = tx.db.execute(
        "SELECT period_start, dark_from, gate, gate_since FROM watch"
    ).fetchone()
    return Gate(
        Watch(moment_or_none(start), moment_or_none(dark_from), moment_or_none(gate_since)), number
    )


@dataclass(frozen=True, slots=True)
class Scene:
    """What a host is judged before: the gate, the last loss of its gateway, thresholds of tags and
    modes."""

    gate: Gate
    gateway_lost_at: datetime | None
    rules: ThresholdRules


def get_scene(tx: Tx, gateway: str | None) -> Scene:
    """Return what a host of `gateway` is judged before."""
    start, dark_from, number, gate_since, lost_at, rules = tx.db.execute(
        "SELECT period_start, dark_from, gate, gate_since, "
        "(SELECT lost_at FROM gateway WHERE gateway = ?), (SELECT rules FROM threshold_rules) "
        "FROM watch",
        (gateway,),
    ).fetchone()
    gate = Gate(
        Watch(moment_or_none(start), moment_or_none(dark_from), moment_or_none(gate_since)), number
    )
    return Scene(gate, moment_or_none(lost_at), read_rules(rules or "{}"))


def begin_period(tx: Tx, at: datetime, *, long_blackout: bool) -> None:
    """Somebody listens since `at`; a long blackout raises the gate for who was not heard yet."""
    gate = get_gate(tx)
    watch = replace(gate.watch, period_start=at, dark_from=None)
    if long_blackout:
        gate = replace(gate, number=gate.number + 1)
        watch = replace(watch, gate_since=at)
        tx.db.execute("UPDATE host SET synced_gate = ? WHERE synced_at >= ?",
                      (gate.number, to_micros(at)))  # fmt: skip
    _save(tx, replace(gate, watch=watch))


def end_period(tx: Tx, dark_from: datetime) -> None:
    """Nobody listens since `dark_from`."""
    gate = get_gate(tx)
    _save(tx, replace(gate, watch=replace(gate.watch, period_start=None, dark_from=dark_from)))


def _save(tx: Tx, gate: Gate) -> None:
    watch = gate.watch
    tx.db.execute(
        "UPDATE watch SET period_start = ?, dark_from = ?, gate = ?, gate_since = ?",
        (micros_or_none(watch.period_start), micros_or_none(watch.dark_from), gate.number,
         micros_or_none(watch.gate_since)),
    )  # fmt: skip
