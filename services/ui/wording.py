"""The fleet's health and verdict, in words. Pure: facts and `now` in, sentences out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from libs.common.events.alert import AlertKind, Severity
from services.ui.views import Display, FleetCounts, FleetHealth, Problem, Verdict

REASONS_SHOWN = 20


def ago(span: timedelta) -> str:
    """Return a span as people say it, in its largest unit: `18 min`, `3 h`, `8 days`."""
    seconds = max(int(span.total_seconds()), 0)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min"
    if seconds < 86_400:
        return f"{seconds // 3600} h"
    days = seconds // 86_400
    return "1 day" if days == 1 else f"{days} days"


@dataclass(frozen=True, slots=True)
class AlertFacts:
    """An open alert, as far as the fleet's health depends on it. `host_name` None: the fleet's."""

    host_name: str | None
    severity: str
    message: str
    display: str | None
    silenced: bool = False


def fleet_health(
    alerts: Sequence[AlertFacts], not_ready: Sequence[str], broken_channels: Sequence[str]
) -> FleetHealth:
    """Return what a monitor should say of the fleet.

    Failing: a critical alert, or a part of Dormice that is not ready. Degraded: any other alert, or
    a channel that does not deliver. A silenced alert counts for nothing; nor does a warning about a
    host that is asleep: asleep hosts never degrade the fleet.
    """
    loud = [alert for alert in alerts if not alert.silenced]
    critical = [alert for alert in loud if alert.severity == Severity.CRITICAL]
    warnings = [
        alert
        for alert in loud
        if alert.severity != Severity.CRITICAL and alert.display != Display.ASLEEP
    ]
    failing = [*not_ready, *map(_sentence, critical)]
    degraded = [
        *map(_sentence, warnings),
        *(f"channel {name}: the last notification was not delivered" for name in broken_channels),
    ]
    reasons = tuple([*failing, *degraded][:REASONS_SHOWN])
    if failing:
        return FleetHealth("failing", reasons)
    return FleetHealth("degraded" if degraded else "ok", reasons)


def _sentence(alert: AlertFacts) -> str:
    return f"{alert.host_name}: {alert.message}" if alert.host_name else alert.message


@dataclass(frozen=True, slots=True)
class Trouble:
    """A host with an open alert or a failed backup. `kinds`: of its open alerts, oldest first."""

    host_id: str
    host_name: str
    last_seen_at: datetime | None
    last_backup_at: datetime | None
    failing: int
    kinds: tuple[str, ...] = ()


def verdict(
    counts: FleetCounts, troubles: Sequence[Trouble], now: datetime, *, never_backed_up: int = 0
) -> Verdict:
    """Return the sentence that a person reads first, and the hosts that it counts."""
    problems = tuple(Problem(one.host_id, one.host_name, _trouble(one, now)) for one in troubles)
    more = max(counts.attention - len(problems), 0)
    return Verdict(_summary(counts), problems, more, _never(counts.total, never_backed_up))


def _never(total: int, never_backed_up: int) -> str:
    """Nobody is told of a host that has no backup yet, so it is said here."""
    if never_backed_up == 0:
        return ""
    if never_backed_up == total:
        return "No backup yet." if total == 1 else "None has a backup yet."
    return f"{never_backed_up} {'has' if never_backed_up == 1 else 'have'} no backup yet."


def _summary(counts: FleetCounts) -> str:
    if counts.total == 0:
        return "No host yet. Add the first one."
    one = counts.total == 1
    everyone = "The host is covered" if one else f"All {counts.total} hosts are covered"
    if counts.attention == 0:
        return f"{everyone}."
    if counts.attention == counts.total:
        return "The host needs attention." if one else "Every host needs attention."
    return f"{everyone} but {counts.attention}."


def _trouble(one: Trouble, now: datetime) -> str:
    if AlertKind.AGENT_OFFLINE in one.kinds and one.last_seen_at is not None:
        return f"offline {ago(now - one.last_seen_at)}"
    if AlertKind.STALE_SCHEDULE in one.kinds and one.last_backup_at is not None:
        return f"no backup for {ago(now - one.last_backup_at)}"
    if one.kinds:
        return one.kinds[0].replace("_", " ")
    return "backup failed" if one.failing < 2 else f"backup failed in {one.failing} groups"
