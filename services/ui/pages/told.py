"""WHEN WILL I BE TOLD? One honest sentence per host, after R4 to R6. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from libs.common.events.alert import AlertKind
from libs.common.thresholds import Threshold, describe
from services.ui.pages.times import clock, dated, span_words, zone_of
from services.ui.views import HostView


@dataclass(frozen=True, slots=True)
class Told:
    """The sentence, and the threshold that it follows from (`text (threshold, origin)`)."""

    text: str
    threshold: str | None = None
    origin: str | None = None

    def whole(self) -> str:
        if self.threshold is None:
            return self.text
        return f"{self.text} ({self.threshold}, {self.origin})"


def when_told(host: HostView, kinds: frozenset[str], now: datetime) -> Told:
    """Say when someone hears of this host if nothing changes. `kinds`: of its open alerts."""
    if host.always_on:
        return _always_on(host, kinds, now)
    return _intermittent(host, kinds, now)


def _always_on(host: HostView, kinds: frozenset[str], now: datetime) -> Told:
    floor = host.thresholds["offline"]
    if AlertKind.AGENT_OFFLINE in kinds:
        return _with("You have been told: it is expected online and silent.", floor)
    if host.display == "never_seen":
        return Told("Not before it has connected for the first time.")
    if host.display == "online":
        return _with(_while_online(host), floor)
    if host.next_alert is None:
        return _with("Nobody listens for agents now: silence does not count meanwhile.", floor)
    at = clock(max(host.next_alert.at, now), now, zone_of(host.timezone))
    return _with(f"First alert {at} if it stays silent", floor)


def _while_online(host: HostView) -> str:
    """Nobody misses the backups of a server unless someone asked for it: that is said, too."""
    silent = f"When it has been silent for {span_words(host.thresholds['offline'].value)}"
    if not host.has_schedule:
        return f"{silent}; not of missing backups: nothing is scheduled."
    missed = host.thresholds.get("missed")
    if missed is None:
        return f"{silent} or a backup fails; not of one that never begins: no threshold `missed`."
    return f"{silent}, a backup fails, or none has begun {span_words(missed.value)} after its time."


def _intermittent(host: HostView, kinds: frozenset[str], now: datetime) -> Told:
    stale = host.thresholds["stale"]
    if AlertKind.STALE_SCHEDULE in kinds:
        return _with("You have been told: no backup for too long.", stale)
    if not host.has_schedule:
        return Told("Not while it sleeps, and not of missing backups: nothing is scheduled.")
    if host.last_backup_at is None or host.next_alert is None:
        return Told("Not while it sleeps. Missing backups count from its first successful one.")
    at = host.next_alert.at
    if at <= now:
        reports = "once its reports have arrived, at the latest after a day"
        return _with(f"Not while it sleeps. An alert is due {reports}", stale)
    when = dated(at, zone_of(host.timezone))
    return _with(f"Not while it sleeps. First alert {when} if no backup succeeds", stale)


def _with(text: str, threshold: Threshold) -> Told:
    return Told(text, span_words(threshold.value), describe(threshold))
