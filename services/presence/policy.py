"""Who is online: pure decisions.

    never_seen ──hello──▶ online ──agent.offline of the live session──▶ offline ──hello──▶ online

Only two things move a host: the hello of a newer session, and the end of the live one. The end
comes from the gateway (90 s of silence, or a goodbye), or from us when the gateway itself is lost.
The mode of a host plays no part (R2).

A gateway is `listening`, `stopped` or `lost`. While none is listening, nobody is observed: such
time is laid over the timeline when it is read, and counts against nobody.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import Enum, StrEnum

from libs.common.events.agent import OfflineReason

NOT_OBSERVED = "not_observed"
OBSERVED_AGAIN = "observed_again"
_FOREVER = datetime.max.replace(tzinfo=UTC)


class Status(StrEnum):
    """What a host is. The values are those of the API and of the timeline."""

    NEVER_SEEN = "never_seen"
    ONLINE = "online"
    OFFLINE = "offline"


class EndVerdict(Enum):
    """What the end of a session means for a host."""

    LIVE = "the live session ended"
    OTHER = "the end of another session says nothing about the live one"
    ALREADY = "the session had ended already"


def assess_end(status: Status, current: str | None, ended: str) -> EndVerdict:
    """Say whether the end of session `ended` takes the host offline (R3)."""
    if current != ended:
        return EndVerdict.OTHER
    return EndVerdict.LIVE if status is Status.ONLINE else EndVerdict.ALREADY


_GOODBYES = frozenset({OfflineReason.SLEEP, OfflineReason.SHUTDOWN, OfflineReason.RESTART})


def offline_since(
    last_seen: datetime, reason: OfflineReason, *, offline_after: timedelta,
    not_before: datetime, not_after: datetime,
) -> datetime:  # fmt: skip
    """Return when a host went offline: when it should have happened, not when we noticed.

    A goodbye takes effect with its frame, silence `offline_after` after the last one. Never before
    the host came online, never later than the event that says so.
    """
    moment = last_seen if reason in _GOODBYES else last_seen + offline_after
    return max(not_before, min(moment, not_after))


class GatewayState(StrEnum):
    LISTENING = "listening"
    STOPPED = "stopped"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Gateway:
    """A gateway as last heard of. `heard_at` is its last sign of life, `ended_at` when it ended."""

    name: str
    since: datetime
    state: GatewayState
    heard_at: datetime
    ended_at: datetime | None = None

    @property
    def last_listened(self) -> datetime:
        """Until when it listened, as far as is known."""
        stopped = self.state is GatewayState.STOPPED
        return self.ended_at if stopped and self.ended_at else self.heard_at


class GatewayVerdict(Enum):
    """Whether a gateway is lost."""

    LOST = "no beat, or stopped, for too long"
    HEARD = "heard within the grace"
    WE_WERE_AWAY = "we looked too late ourselves: its beats may be on their way"
    ALREADY = "counted as lost already"


def assess_gateway(
    gateway: Gateway, *, due_at: datetime, lost_after: timedelta, tolerance: timedelta,
    now: datetime,
) -> GatewayVerdict:  # fmt: skip
    """Say whether `gateway`, to be looked at since `due_at`, is lost at `now`.

    Whoever looks more than `tolerance` late was not awake, and judges nobody before a full grace.
    """
    if gateway.state is GatewayState.LOST:
        return GatewayVerdict.ALREADY
    if now - due_at > tolerance:
        return GatewayVerdict.WE_WERE_AWAY
    silent_since = gateway.ended_at or gateway.heard_at
    if silent_since <= now < silent_since + lost_after:
        return GatewayVerdict.HEARD
    return GatewayVerdict.LOST


@dataclass(frozen=True, slots=True)
class Interval:
    """A stretch of the timeline. `cause` began it, `reason` ended it (None: it goes on)."""

    start: datetime
    end: datetime | None
    state: str
    cause: str
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Gap:
    """A span of time, mostly one in which no gateway listened; `end` None: it goes on."""

    start: datetime
    end: datetime | None


def unobserved(gap: Gap, heard: Iterable[Gap], offline_after: timedelta) -> list[Gap]:
    """Return when nobody listened, of the time in which one gateway did not.

    `heard`: the periods of the others (`end` None: it goes on). The first of several to return from
    a blackout cannot tell, the last to be heard can. Pieces that could hide nothing are left out.
    """
    start, until = gap.start, gap.end or _FOREVER
    pieces = []
    for period in sorted(heard, key=lambda one: one.start):
        pieces.append((start, min(period.start, until)))
        start = max(start, period.end or _FOREVER)
    pieces.append((start, until))
    return [
        Gap(begin, None if end == _FOREVER else end)
        for begin, end in pieces
        if is_worth_a_gap(begin, end, offline_after)
    ]


def is_worth_a_gap(start: datetime, end: datetime, offline_after: timedelta) -> bool:
    """Say whether a blackout could hide anything: a session outlives shorter ones."""
    return end - start >= offline_after


def overlay(intervals: Iterable[Interval], gaps: Sequence[Gap]) -> list[Interval]:
    """Return the timeline with what nobody observed cut out of it; both inputs are in order."""
    pieces: list[Interval] = []
    for interval in intervals:
        for piece in _cut(interval, gaps):
            last = pieces[-1] if pieces else None
            if last and last.state == NOT_OBSERVED == piece.state and last.end == piece.start:
                pieces[-1] = replace(last, end=piece.end, reason=piece.reason)
            else:
                pieces.append(piece)
    return pieces


def _cut(interval: Interval, gaps: Sequence[Gap]) -> Iterable[Interval]:
    if interval.state == Status.NEVER_SEEN:
        yield interval
        return
    at, cause = interval.start, interval.cause
    for gap in gaps:
        start = max(at, gap.start)
        if _is_past(gap.end, at) or _is_past(interval.end, start):
            continue
        if start > at:
            yield Interval(at, start, interval.state, cause, NOT_OBSERVED)
        end = _earlier(gap.end, interval.end)
        yield Interval(start, end, NOT_OBSERVED, NOT_OBSERVED, OBSERVED_AGAIN if end else None)
        if end is None:
            return
        at, cause = end, OBSERVED_AGAIN
    if interval.end is None or interval.end > at:
        yield replace(interval, start=at, cause=cause)


def _is_past(end: datetime | None, moment: datetime) -> bool:
    return end is not None and end <= moment


def _earlier(one: datetime | None, other: datetime | None) -> datetime | None:
    return min((moment for moment in (one, other) if moment is not None), default=None)


def assess_shares(
    timeline: Iterable[Interval], *, since: datetime, now: datetime
) -> dict[str, float]:
    """Return the share of [since, now] in each state, 0 to 1; they add up to 1, or all are 0."""
    shares = dict.fromkeys((*Status, NOT_OBSERVED), timedelta())
    for interval in timeline:
        length = min(interval.end or now, now) - max(interval.start, since)
        shares[interval.state] += max(length, timedelta())
    whole = sum(shares.values(), timedelta())
    return {str(state): (length / whole if whole else 0.0) for state, length in shares.items()}
