"""Who works while many services of one process have something to do: one at a time.

Each service has a database thread of its own, and all of them share Python's one interpreter lock.
SQLite gives that lock away at every statement; eight threads in the middle of a storm would pass it
round thousands of times a second, at twice the CPU time of their work. So a step waits for its
turn, and lets those of a higher rank go first, even between two of its events. A commit waits for
the disk, not for others.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from heapq import heappop, heappush
from itertools import count


class Rank(IntEnum):
    """Who goes first."""

    AGENTS = 0  # What agents wait for, whole fleets of them.
    ASKED = 1  # A call, an outcome, something due.
    FOLLOWING = 2  # Only the log is read.


def rank_of(*, asked: bool, agents_wait: bool) -> Rank:
    """Return the rank of a step. `asked`: it has inputs, or something may be due."""
    if agents_wait:
        return Rank.AGENTS
    return Rank.ASKED if asked else Rank.FOLLOWING


class Turns:
    """Lets one thread work at a time: by rank, else first come first served."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._taken = False
        self._rank = Rank.AGENTS  # Of whoever has the turn.
        self._waiting: list[tuple[Rank, int, threading.Lock]] = []
        self._arrivals = count()

    @contextmanager
    def turn(self, rank: Rank) -> Iterator[None]:
        """Hold the turn; a thread must not ask for it again within."""
        self._take(rank)
        try:
            yield
        finally:
            self._leave()

    def give_way(self) -> None:
        """For whoever holds the turn: let those of a higher rank work first."""
        rank = self._rank
        if self._waiting and self._waiting[0][0] < rank:
            self._leave()
            self._take(rank)

    def _take(self, rank: Rank) -> None:
        with self._mutex:
            if not self._taken:
                self._taken, self._rank = True, rank
                return
            gate = threading.Lock()
            gate.acquire()
            heappush(self._waiting, (rank, next(self._arrivals), gate))
        gate.acquire()  # Until the turn is handed over.

    def _leave(self) -> None:
        with self._mutex:
            if self._waiting:
                self._rank, _, gate = heappop(self._waiting)
                gate.release()
            else:
                self._taken = False


TURNS = Turns()
"""Of this process, as its interpreter lock is."""
