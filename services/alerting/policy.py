"""When somebody must be told: pure decisions about one host.

    agent_offline   an always-on host, silent for its floor
                    ends: it is back, mode, a longer floor, removal
    stale_schedule  an intermittent host with an enabled schedule, whose last success is too old
                    ends: a backup, mode, no schedule, a longer threshold, removal
                    told again at 2, 4 and 12 times the threshold

Silence counts only within one unbroken period in which a gateway listened (R10). Staleness is
calendar age, but after a long blackout it waits for the host's reports (R6): the backup may have
been made.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, StrEnum

from libs.common.durations import format_duration

REPORTS_AWAITED_FOR = timedelta(hours=24)
MUTED_FOR = timedelta(seconds=60)
LOOK_AGAIN = timedelta(seconds=1)
"""After a look that came too early: the next is not in the same moment."""


class Status(StrEnum):
    NEVER_SEEN = "never_seen"
    ONLINE = "online"
    OFFLINE = "offline"


@dataclass(frozen=True, slots=True)
class HostState:
    """What the rules need of a host. `floor` and `stale_after` are the thresholds that hold for it.

    `gateway_lost_at`: when the gateway that held its last session was last lost. `reports_arrived`:
    its `synced` came after the last long blackout.
    """

    always_on: bool
    status: Status
    floor: timedelta
    stale_after: timedelta
    last_seen: datetime | None = None
    gateway_lost_at: datetime | None = None
    has_schedule: bool = False
    last_success_at: datetime | None = None
    reports_arrived: bool = False


@dataclass(frozen=True, slots=True)
class Watch:
    """Whether anyone listens.

    `period_start`: since when at least one gateway has listened without a break; None: none does,
    since `dark_from` (None: nobody knows). `gate_since`: when the last long blackout ended.
    """

    period_start: datetime | None
    dark_from: datetime | None = None
    gate_since: datetime | None = None


# -- agent_offline -------------------------------------------------------------------------------


class OfflineVerdict(Enum):
    """Why `agent_offline` is, or is not, due."""

    DUE = "silent past the floor"
    INTERMITTENT = "intermittent hosts raise none while asleep"
    NEVER_SEEN = "a host that was never seen has no silence to measure"
    ONLINE = "it is connected"
    NOT_OBSERVED = "no gateway is listening: such time ages no host"
    TOO_EARLY = "silent, still within the floor"


def silence_start(host: HostState, watch: Watch) -> datetime | None:
    """Return since when `host` is silent before our ears; None if nobody listens or it never spoke.

    The latest of: its last_seen; the start of the present unbroken period with a listening gateway;
    the loss of the gateway that held its last session.
    """
    if host.last_seen is None or watch.period_start is None:
        return None
    return max(host.last_seen, watch.period_start, host.gateway_lost_at or host.last_seen)


def assess_offline(host: HostState, watch: Watch, now: datetime) -> OfflineVerdict:
    """Say whether `host` deserves an `agent_offline` at `now`, and why (R4, R5, R10)."""
    if host.status is Status.ONLINE:
        return OfflineVerdict.ONLINE
    if not host.always_on:
        return OfflineVerdict.INTERMITTENT
    if host.status is Status.NEVER_SEEN or host.last_seen is None:
        return OfflineVerdict.NEVER_SEEN
    start = silence_start(host, watch)
    if start is None:
        return OfflineVerdict.NOT_OBSERVED
    return OfflineVerdict.DUE if now - start >= host.floor else OfflineVerdict.TOO_EARLY


def next_offline_look(host: HostState, watch: Watch, now: datetime) -> datetime:
    """Return the earliest moment at which `host` can deserve an `agent_offline`.

    It may turn out too early, never too late: while nobody listens, a new period cannot begin
    before `now`.
    """
    start = silence_start(host, watch)
    return (now if start is None else start) + host.floor


def offline_message(silence: timedelta, floor: timedelta) -> str:
    """`Agent offline for 17m0s (threshold 15m0s)`."""
    return f"Agent offline for {format_duration(silence)} (threshold {format_duration(floor)})"


# -- stale_schedule ------------------------------------------------------------------------------


class StaleVerdict(Enum):
    """Why `stale_schedule` is, or is not, due."""

    DUE = "no successful backup within the threshold"
    ALWAYS_ON = "only intermittent hosts are judged by the age of their backups"
    NO_SCHEDULE = "no schedule is enabled"
    NEVER_BACKED_UP = "never backed up: there is no baseline"
    FRESH = "the last successful backup is young enough"
    REPORTS_AWAITED = "nobody listened for long: its reports are awaited first"


def assess_stale(
    host: HostState, watch: Watch, now: datetime, offline_after: timedelta
) -> StaleVerdict:
    """Say whether `host` deserves a `stale_schedule` at `now`, and why (R6)."""
    if host.always_on:
        return StaleVerdict.ALWAYS_ON
    if not host.has_schedule:
        return StaleVerdict.NO_SCHEDULE
    if host.last_success_at is None:
        return StaleVerdict.NEVER_BACKED_UP
    if is_waiting_for_reports(host, watch, now, offline_after):
        return StaleVerdict.REPORTS_AWAITED
    stale = now - host.last_success_at >= host.stale_after
    return StaleVerdict.DUE if stale else StaleVerdict.FRESH


def is_waiting_for_reports(
    host: HostState, watch: Watch, now: datetime, offline_after: timedelta
) -> bool:
    """Say whether backups of `host` may have been made that nobody could tell us of.

    That is so during a blackout once it is long, and after it until the host's reports are here, at
    most for 24 h.
    """
    if watch.period_start is None:
        return watch.dark_from is None or now - watch.dark_from >= offline_after
    if watch.gate_since is None or host.reports_arrived:
        return False
    return now - watch.gate_since < REPORTS_AWAITED_FOR


def is_long_blackout(dark_from: datetime | None, until: datetime, offline_after: timedelta) -> bool:
    """Say whether a blackout raises the gate; one that began nobody knows when does."""
    return dark_from is None or until - dark_from >= offline_after


def next_stale_look(
    host: HostState, watch: Watch, now: datetime, offline_after: timedelta
) -> datetime | None:
    """Return when the verdict can become DUE by itself, at the earliest; None: never."""
    if host.always_on or not host.has_schedule or host.last_success_at is None:
        return None
    due = host.last_success_at + host.stale_after
    if not is_waiting_for_reports(host, watch, now, offline_after):
        return due
    return max(due, reports_awaited_until(watch, now))


def reports_awaited_until(watch: Watch, now: datetime) -> datetime:
    """Return when the wait for reports ends at the earliest, if none come."""
    listening_from = now if watch.period_start is None else watch.gate_since or now
    return listening_from + REPORTS_AWAITED_FOR


RUNGS = (2, 4, 12)
"""The staleness ladder: at so many times the threshold it is told again, once each, never more."""


def rung_reached(age: timedelta, threshold: timedelta) -> int:
    """Return the highest rung that a backup of this `age` has reached; 0: none yet."""
    return max((rung for rung in RUNGS if age >= rung * threshold), default=0)


def next_rung_at(last_success_at: datetime, threshold: timedelta, rung: int) -> datetime | None:
    """Return when the rung after `rung` is reached; None: there is none."""
    ahead = min((higher for higher in RUNGS if higher > rung), default=None)
    return None if ahead is None else last_success_at + ahead * threshold


def stale_message(age: timedelta, threshold: timedelta) -> str:
    """`No backup in 8d2h0m (threshold 7d0h0m)`."""
    return f"No backup in {format_duration(age)} (threshold {format_duration(threshold)})"


# -- sessions ------------------------------------------------------------------------------------
