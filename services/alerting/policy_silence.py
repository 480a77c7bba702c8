"""The rules of silences: which alerts one covers at a moment, and when that changes next.

    (made) ──from──▶ covers ──to, or ended by hand──▶ over
                      └ a weekly one: within its windows only ┘

A silence covers from its begin on, and no longer at its end. What it names must all fit: of the
alerts on hosts with the tag `lab`, say, those of one kind. An alert that is covered exists, and
nobody is told of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum, StrEnum

from libs.common.events.alert import AlertKind
from libs.common.weekly import Weekly, end_of_window, next_boundary

LONGEST = timedelta(days=366)
"""How long a silence lasts at most, and how far ahead it begins: none is open-ended by accident."""
FOREVER = datetime(9000, 1, 1, tzinfo=UTC)
"""The end of a weekly silence that goes on until somebody ends it, as was said explicitly."""


@dataclass(frozen=True, slots=True)
class Span:
    """From when until when: `begins_at` belongs to it, `ends_at` does not."""

    begins_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class Scope:
    """Which alerts are meant. What is None restricts nothing; at least one is not None."""

    host_id: str | None = None
    tag: str | None = None
    kind: AlertKind | None = None


@dataclass(frozen=True, slots=True)
class Silence:
    """What the rules need of a silence; its span ends where it was ended by hand.

    `weekly`: it covers only within these times; None: all the time.
    """

    id: str
    scope: Scope
    span: Span
    weekly: Weekly | None = None


@dataclass(frozen=True, slots=True)
class Subject:
    """What the rules need of an alert; `host_id` None: it is of the fleet, and has no tags."""

    kind: AlertKind
    host_id: str | None = None
    tags: frozenset[str] = field(default_factory=frozenset)


class SilenceState(StrEnum):
    SCHEDULED = "scheduled"
    ACTIVE = "active"
    OVER = "over"


class SilenceVerdict(Enum):
    """Why a silence does, or does not, cover an alert."""

    COVERS = "covers it"
    SCHEDULED = "begins later"
    OVER = "is over"
    OTHER_HOST = "is for another host"
    OTHER_TAG = "is for another tag"
    OTHER_KIND = "is for another kind"


class SpanVerdict(Enum):
    """Whether a silence may last so; the value is what to tell who asked for it."""

    FINE = "may be made"
    BACKWARDS = "a silence must end after it begins"
    PAST = "a silence must end in the future"
    TOO_LONG = "a silence lasts 366 days at most"
    TOO_FAR = "a silence begins within 366 days"


def assess_span(span: Span, now: datetime) -> SpanVerdict:
    """Say whether a new silence may have this span; FOREVER is asked for in so many words."""
    if span.ends_at <= span.begins_at:
        return SpanVerdict.BACKWARDS
    if span.ends_at <= now:
        return SpanVerdict.PAST
    if span.ends_at != FOREVER and span.ends_at - span.begins_at > LONGEST:
        return SpanVerdict.TOO_LONG
    if span.begins_at - now > LONGEST:
        return SpanVerdict.TOO_FAR
    return SpanVerdict.FINE


def assess_state(span: Span, now: datetime, weekly: Weekly | None = None) -> SilenceState:
    """Say where a silence is; one that was ended before its begin is over.

    A weekly one is scheduled between its windows.
    """
    if now >= span.ends_at:
        return SilenceState.OVER
    if weekly is not None and end_of_window(weekly, now) is None:
        return SilenceState.SCHEDULED
    return SilenceState.SCHEDULED if now < span.begins_at else SilenceState.ACTIVE


def covers_until(silence: Silence, now: datetime) -> datetime:
    """Return until when a silence covers that does now: the end of its window, or of itself."""
    end = end_of_window(silence.weekly, now) if silence.weekly is not None else None
    return min(silence.span.ends_at, end or silence.span.ends_at)


def assess_silence(silence: Silence, subject: Subject, now: datetime) -> SilenceVerdict:
    """Say whether `silence` covers the alert at `now`, and why not."""
    state, scope = assess_state(silence.span, now, silence.weekly), silence.scope
    if state is SilenceState.OVER:
        return SilenceVerdict.OVER
    if state is SilenceState.SCHEDULED:
        return SilenceVerdict.SCHEDULED
    if scope.host_id is not None and scope.host_id != subject.host_id:
        return SilenceVerdict.OTHER_HOST
    if scope.tag is not None and scope.tag not in subject.tags:
        return SilenceVerdict.OTHER_TAG
    if scope.kind is not None and scope.kind != subject.kind:
        return SilenceVerdict.OTHER_KIND
    return SilenceVerdict.COVERS


def find_cover(silences: Iterable[Silence], subject: Subject, now: datetime) -> Silence | None:
    """Return the silence that covers the alert at `now`, of several the last to end; or None."""
    covering = [
        one for one in silences if assess_silence(one, subject, now) is SilenceVerdict.COVERS
    ]
    return max(covering, key=lambda one: (covers_until(one, now), one.id), default=None)


def next_change(silences: Iterable[Silence], now: datetime) -> datetime | None:
    """Return when a silence begins or ends next, after `now`; None: nothing will change."""
    moments = (
        moment
        for silence in silences
        if silence.span.ends_at > now
        for moment in (silence.span.begins_at, silence.span.ends_at, *_boundary(silence, now))
    )
    return min((moment for moment in moments if moment > now), default=None)


def _boundary(silence: Silence, now: datetime) -> tuple[datetime, ...]:
    return () if silence.weekly is None else (next_boundary(silence.weekly, now),)
