"""Who tried to enroll and failed: an address has ten failures a minute, whole volleys included.

A try ends before it is known whether it fails. So no more of an address are under way at once than
it has failures left; the rest wait, and go on if those succeed.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

from libs.common.clock import Clock
from libs.common.errors import TooManyTries
from services.gateway import policy

MAX_ADDRESSES = 10_000


class _Address:
    """The tries of one address."""

    def __init__(self) -> None:
        self.failed_at: deque[datetime] = deque(maxlen=policy.FAILED_TRIES)
        self.under_way = 0
        self.waiting: deque[asyncio.Future[None]] = deque()

    def has_room(self, now: datetime) -> bool:
        """Raises: TooManyTries."""
        left = policy.tries_left(self.failed_at, now)
        if left <= 0:
            raise TooManyTries("too many failed tries from this address; wait a minute")
        return self.under_way < left

    def wake_next(self) -> None:
        while self.waiting:
            next_one = self.waiting.popleft()
            if not next_one.done():
                next_one.set_result(None)
                return


class FailedTries:
    """In memory, bounded: the address that failed longest ago is forgotten first."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._by_address: dict[str, _Address] = {}

    def check(self, address: str) -> None:
        """Raises: TooManyTries."""
        found = self._by_address.get(address)
        if found is not None:
            found.has_room(self._clock.now())

    @asynccontextmanager
    async def turn(self, address: str) -> AsyncIterator[None]:
        """Wait until it is certain that this try may fail. Raises: TooManyTries."""
        tries = self._by_address.setdefault(address, _Address())
        try:
            while not tries.has_room(self._clock.now()):
                waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                tries.waiting.append(waiter)
                await waiter
            tries.under_way += 1
            try:
                yield
            finally:
                tries.under_way -= 1
        finally:
            tries.wake_next()
            self._forget_idle(address, tries)

    def note(self, address: str) -> None:
        """This try failed."""
        tries = self._by_address.pop(address, None) or _Address()
        tries.failed_at.append(self._clock.now())
        self._by_address[address] = tries  # At the end: the front is who failed longest ago.
        if len(self._by_address) > MAX_ADDRESSES:
            del self._by_address[next(iter(self._by_address))]

    def _forget_idle(self, address: str, tries: _Address) -> None:
        if not (tries.failed_at or tries.under_way or tries.waiting):
            self._by_address.pop(address, None)
