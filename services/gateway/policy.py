"""Pure decisions of the gateway.

A **session** is one accepted hello. The newest session of a host is the one with the larger
connection counter (or, if either has none, the one that came later), whether it has ended or not.

    hello ──accepted──▶ live ──goodbye──▶ ended (its reason)
                         │ ├──OFFLINE_AFTER without a frame──▶ ended (heartbeat_timeout)
                         │ └──presence lost this gateway──▶ ended (gateway_lost)
                         └──a newer session, here or elsewhere──▶ replaced (its hello says so)

A socket that closes is no cause: only frames, their absence, and newer sessions are. Stored of each
session: who, where, which counter, last frame, how much of the spool was promised.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum

FIRE_AHEAD = timedelta(minutes=5)
OLDEST_FIRE = datetime(2000, 1, 1, tzinfo=UTC)
TRIES_WINDOW = timedelta(minutes=1)
FAILED_TRIES = 10


class HelloVerdict(Enum):
    """Why a hello is, or is not, the newest session of its host."""

    FIRST = "no session of this host is known"
    LARGER = "its connection counter is larger"
    LATER = "one of the two has no counter, and it came later"
    EARLIER = "one of the two has no counter, and it came earlier"
    SMALLER = "its connection counter is smaller"
    EQUAL_LATER = "its connection counter is taken by an earlier session"
    EQUAL_EARLIER = "it had this connection counter first"

    @property
    def accepted(self) -> bool:
        return self in _ACCEPTED


_ACCEPTED = frozenset(
    {
        HelloVerdict.FIRST,
        HelloVerdict.LARGER,
        HelloVerdict.LATER,
        HelloVerdict.EQUAL_EARLIER,
    }
)


class Arrival(Enum):
    """Which of two hellos came first."""

    AFTER = "after the known session"
    BEFORE = "before the known session"


@dataclass(frozen=True, slots=True)
class Known:
    """The newest session of a host that is known so far."""

    session: str
    connection: int | None


def assess_hello(
    known: Known | None, connection: int | None, arrival: Arrival = Arrival.AFTER
) -> HelloVerdict:
    """Say whether a hello with `connection` is newer than the session known so far (R3)."""
    if known is None:
        return HelloVerdict.FIRST
    after = arrival is Arrival.AFTER
    if known.connection is None or connection is None:
        return HelloVerdict.LATER if after else HelloVerdict.EARLIER
    if connection == known.connection:
        return HelloVerdict.EQUAL_LATER if after else HelloVerdict.EQUAL_EARLIER
    return HelloVerdict.LARGER if connection > known.connection else HelloVerdict.SMALLER


def offline_deadline(
    last_seen: datetime, listening_since: datetime, offline_after: timedelta
) -> datetime:
    """Return when a silent session ends (R3): time before we listened does not age a host (R10)."""
    return max(last_seen, listening_since) + offline_after


def was_stalled(pulse_at: datetime | None, offline_after: timedelta, now: datetime) -> bool:
    """Say whether the shell has been unable to hear frames: this process, or its machine, slept.

    It reports several times per OFFLINE_AFTER; who was still for half of it has frames waiting
    that nobody has read. A clock that was set, ahead or back, looks the same: times from before
    say nothing of the silence since.
    """
    return pulse_at is not None and abs(now - pulse_at) > offline_after / 2


def clock_offset(agent_now: datetime | None, received_at: datetime) -> timedelta:
    """Return how far the agent's clock is ahead; 0 if it does not say."""
    return timedelta() if agent_now is None else agent_now - received_at


def believed_time(
    reported: datetime, offset: timedelta, previous: datetime | None, received_at: datetime
) -> datetime:
    """Return when a report happened by our clock.

    Corrected by the agent's offset, then kept within [previous report, receipt]: reports are in
    order, and nothing later than now is believed.
    """
    try:
        corrected = (reported - offset).astimezone(UTC)
    except OverflowError:
        corrected = received_at
    if previous is not None:
        corrected = max(corrected, previous)
    return min(corrected, received_at)


def in_utc(moment: datetime | None) -> datetime | None:
    """Return a time that an agent announced, in UTC; None if there is none, or no such time."""
    try:
        return None if moment is None else moment.astimezone(UTC)
    except OverflowError:
        return None


class FireVerdict(Enum):
    """Whether the time of a reported fire can be believed."""

    BELIEVED = "not ahead of our clock by more than 5 min"
    AHEAD = "more than 5 min ahead of our clock"
    ANCIENT = "before Dormice was"


def assess_fire(fire_time: datetime, received_at: datetime) -> FireVerdict:
    """Say whether a fire may be recorded. It names a run, so it is never corrected."""
    if fire_time - received_at > FIRE_AHEAD:
        return FireVerdict.AHEAD
    return FireVerdict.ANCIENT if fire_time < OLDEST_FIRE else FireVerdict.BELIEVED


class ReportVerdict(Enum):
    """What becomes of a report."""

    NEW = "above the last acknowledged one"
    REPEATED = "already published: acknowledged again"


def assess_report(seq: int, last_seq: int) -> ReportVerdict:
    """Say whether a report is new. Gaps are allowed: an agent may have dropped older ones."""
    return ReportVerdict.NEW if seq > last_seq else ReportVerdict.REPEATED


def is_synced(sync_seq: int, last_seq: int) -> bool:
    """Say whether all that the spool held at hello has been published; an empty one says 0."""
    return sync_seq == 0 or last_seq >= sync_seq


def is_behind(agent_version: int, wanted_version: int | None) -> bool:
    """Say whether the agent needs its configuration; an unknown host's comes later."""
    return wanted_version is not None and agent_version != wanted_version


def tries_left(failed_at: Iterable[datetime], now: datetime) -> int:
    """Return how often an address may still fail to enroll: 10 times a minute.

    A clock that was set back forgets failures, rather than lock an address out until they are past.
    """
    return FAILED_TRIES - sum(abs(now - at) < TRIES_WINDOW for at in failed_at)
