"""The second clock of staleness: how often a host was awake and could have backed up. Pure.

    backup_not_succeeding   an intermittent host with an enabled schedule that was awake for 8 h or
                            more in at least 3 sessions since its last success, and has no backup
                            ends: a backup, mode, no schedule, removal

Sessions count that began after the last success; of a host that was never backed up, after it was
enrolled; and after it became intermittent, or got its first enabled schedule. One of less than
30 min is no chance: a catch-up settles, waits for a slot, and takes its time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum

from libs.common.durations import format_duration

AWAKE_AT_LEAST = timedelta(hours=8)
SESSIONS_AT_LEAST = 3
CHANCE_FROM = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class Chances:
    """Sessions that have ended and counted, the time in them, and the begin of the present one."""

    sessions: int = 0
    awake: timedelta = timedelta()
    since: datetime | None = None


class ChanceVerdict(Enum):
    """Why `backup_not_succeeding` is, or is not, due."""

    DUE = "awake for long enough in enough sessions, and still no backup"
    ALWAYS_ON = "only intermittent hosts are judged by their sessions"
    NO_SCHEDULE = "no schedule is enabled"
    FEW_CHANCES = "not awake for 8 h in 3 sessions since its last backup"
    REPORTS_AWAITED = "nobody listened for long: its reports are awaited first"


def begin(chances: Chances, at: datetime) -> Chances:
    """A session begins; one that is under way already goes on."""
    return chances if chances.since is not None else replace(chances, since=at)


def end(chances: Chances, at: datetime) -> Chances:
    """The present session ended `at`."""
    return replace(so_far(chances, at), since=None)


def so_far(chances: Chances, now: datetime) -> Chances:
    """Return the chances with the present session in them, if it counts by now."""
    if chances.since is None or now - chances.since < CHANCE_FROM:
        return chances
    awake = chances.awake + (now - chances.since)
    return replace(chances, sessions=chances.sessions + 1, awake=awake)


def after_success(chances: Chances, success_at: datetime) -> Chances:
    """Return what counts after a success: the present session, if it began later."""
    is_later = chances.since is not None and chances.since > success_at
    return Chances(since=chances.since if is_later else None)


def without_blackout(chances: Chances, dark_from: datetime | None, until: datetime) -> Chances:
    """Take time in which nobody listened out of the present session (R10): it began so much later.

    `dark_from` None: nobody knows since when.
    """
    since = chances.since
    if since is None or since >= until:
        return chances
    if dark_from is None or dark_from <= since:
        return replace(chances, since=until)
    return replace(chances, since=since + (until - dark_from))


def assess(chances: Chances, now: datetime) -> ChanceVerdict:
    """Say whether enough chances went by at `now`, of a host that is judged by them."""
    found = so_far(chances, now)
    enough = found.sessions >= SESSIONS_AT_LEAST and found.awake >= AWAKE_AT_LEAST
    return ChanceVerdict.DUE if enough else ChanceVerdict.FEW_CHANCES


def next_look(chances: Chances) -> datetime | None:
    """Return when the present session can make it due; None: it cannot, or none is under way."""
    if chances.since is None or chances.sessions + 1 < SESSIONS_AT_LEAST:
        return None
    return chances.since + max(CHANCE_FROM, AWAKE_AT_LEAST - chances.awake)


def message(chances: Chances) -> str:
    """`No backup in 3 sessions, awake for 9h12m0s`."""
    return f"No backup in {chances.sessions} sessions, awake for {format_duration(chances.awake)}"
