"""What a world knows of an agent's connections: sessions as they really were, for the oracle."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

NO_TIME = timedelta()


@dataclass(slots=True)
class Session:
    """An agent was connected from its welcome to its last frame; `ended` None: it still is."""

    began: datetime
    ended: datetime | None = None

    def until(self, now: datetime) -> datetime:
        return now if self.ended is None else self.ended

    def lasted(self, now: datetime) -> timedelta:
        return max(self.until(now) - self.began, NO_TIME)


def joined(
    sessions: Iterable[Session], gap: timedelta, dark: Sequence[tuple[datetime, datetime]]
) -> list[list[Session]]:
    """Return the sessions in groups: within one, breaks of at most `gap` that somebody saw.

    Services may take such a group for one session, or not: a break that is short, or in which
    nobody listened, can be seen or overlooked.
    """
    groups: list[list[Session]] = []
    for session in sessions:
        last = groups[-1][-1].ended if groups else None
        if last is not None and _is_near(last, session.began, gap, dark):
            groups[-1].append(session)
        else:
            groups.append([session])
    return groups


def _is_near(
    left: datetime, began: datetime, gap: timedelta, dark: Sequence[tuple[datetime, datetime]]
) -> bool:
    """Say whether at most `gap` of a break was seen by somebody."""
    apart = began - left
    return apart <= gap or apart - _within(left, began, dark) <= gap


def _within(
    since: datetime, until: datetime, spans: Sequence[tuple[datetime, datetime]]
) -> timedelta:
    """Return how much of a time lies in spans that don't overlap."""
    parts = (min(until, end) - max(since, begin) for begin, end in spans)
    return sum((part for part in parts if part > NO_TIME), NO_TIME)
