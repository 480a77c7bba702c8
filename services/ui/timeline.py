"""A host's intervals of presence, cut to a window, with what nobody observed taken out. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from services.ui.views import TimelineInterval

Gap = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Stretch:
    """From `start` on a host was online or offline, until its next stretch."""

    start: datetime
    state: Literal["online", "offline"]
    reason: str | None = None


def intervals(
    stretches: Sequence[Stretch], gaps: Sequence[Gap], since: datetime, now: datetime
) -> list[TimelineInterval]:
    """Return what is known of [since, now), in order and without holes; the last one is still so.

    Before the first stretch the host was never seen. A gap (no gateway listened) is not observed,
    whatever the host did meanwhile.
    """
    if since >= now:
        return []
    pieces = [TimelineInterval(since, None, "never_seen", None)]
    for stretch in stretches:
        start = max(stretch.start, since)
        if start >= now:
            break
        if start <= pieces[-1].start:
            pieces.pop()
        else:
            pieces[-1] = _until(pieces[-1], start)
        pieces.append(TimelineInterval(start, None, stretch.state, stretch.reason))
    for gap in gaps:
        pieces = [part for piece in pieces for part in _without(piece, gap, now)]
    return _merged(pieces)


def _until(piece: TimelineInterval, end: datetime) -> TimelineInterval:
    return TimelineInterval(piece.start, end, piece.state, piece.reason)


def _without(piece: TimelineInterval, gap: Gap, now: datetime) -> list[TimelineInterval]:
    end = piece.end or now
    start, stop = max(gap[0], piece.start), min(gap[1], end)
    if start >= stop or piece.state == "never_seen":
        return [piece]
    parts = []
    if piece.start < start:
        parts.append(_until(piece, start))
    parts.append(TimelineInterval(start, stop if stop < now else None, "not_observed", None))
    if stop < end:
        parts.append(TimelineInterval(stop, piece.end, piece.state, piece.reason))
    return parts


def _merged(pieces: Sequence[TimelineInterval]) -> list[TimelineInterval]:
    merged: list[TimelineInterval] = []
    for piece in pieces:
        last = merged[-1] if merged else None
        if last and (last.state, last.reason) == (piece.state, piece.reason):
            merged[-1] = _until(last, piece.end)  # type: ignore[arg-type]
        else:
            merged.append(piece)
    return merged
