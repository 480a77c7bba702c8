"""Conditions that an operator resolved although they hold: silent a while, then raised again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from libs.common.durations import format_duration
from libs.common.events.alert import AlertKind
from libs.common.loop.tx import Tx
from services.alerting import policy
from services.alerting import store_alerts as rows
from services.alerting.store import Host


def unless_muted(tx: Tx, host: Host, kind: AlertKind, raise_it: Callable[[], None]) -> None:
    """Raise an alert now, or look again when its mute is over."""
    until = rows.find_mute(tx, host.id, kind)
    if until is None:
        rows.unmute(tx, host.id, kind)
        raise_it()
        return
    tx.schedule(kind, host.id, until)
    text = (
        "an operator resolved it and it still holds: raised again in "
        f"{format_duration(until - tx.now)}"
    )
    tx.decide(host.id, "alert_muted", text, kind=kind, until=until)


def mute(tx: Tx, host_id: str, kind: AlertKind) -> datetime:
    """Mute a condition, and look again after it; return until when."""
    until = tx.now + policy.MUTED_FOR
    rows.mute(tx, host_id, kind, until)
    tx.schedule(kind, host_id, until)
    text = f"if it still holds, it is raised again in {format_duration(until - tx.now)}"
    tx.decide(host_id, "alert_muted", text, kind=kind, until=until)
    return until
