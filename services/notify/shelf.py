"""Reads from the state what is to be sent: all that a channel has in hand, at one hop.

A hop to the database thread waits for the step that runs there, commit and all. One for each
message would make that the pace of sending. What has lain here for a second is read again, so that
a changed address is used, and a deleted channel hears nothing more.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from libs.common.clock import monotonic_seconds
from services.notify import queue, store
from services.notify.store import Channel

T = TypeVar("T")
FRESH_SECONDS = 1.0


class Read(Protocol):
    """Runs a query on the service's own state, as `Service.read` does."""

    def __call__(self, query: Callable[[sqlite3.Connection], T], /) -> Awaitable[T]: ...


@dataclass(frozen=True, slots=True)
class Item:
    """A message with its channel, as they were when they were read."""

    channel: Channel
    written: str
    read_at: float

    @property
    def is_fresh(self) -> bool:
        return monotonic_seconds() - self.read_at < FRESH_SECONDS


class Shelf:
    """What one channel has in hand. `expect` a message as soon as it is known, then `take` it."""

    def __init__(self, channel_id: str, read: Read) -> None:
        self._channel_id, self._read = channel_id, read
        self._items: dict[str, Item | None] = {}
        self._reading = asyncio.Lock()

    def expect(self, delivery_id: str) -> None:
        self._items[delivery_id] = None

    async def take(self, delivery_id: str) -> Item | None:
        """Return the message, or None if it or its channel is gone."""
        try:
            async with self._reading:
                item = self._items.get(delivery_id)
                if item is None or not item.is_fresh:
                    self._items.update(await self._read(self._look_up))
            return self._items.get(delivery_id)
        finally:
            self._items.pop(delivery_id, None)

    def forget(self) -> None:
        """Have whatever is still to be taken read again."""
        self._items.clear()

    def _look_up(self, db: sqlite3.Connection) -> dict[str, Item | None]:
        channel = store.find_channel(db, self._channel_id)
        if channel is None:
            return {}
        now = monotonic_seconds()
        found = queue.list_written(db, list(self._items))
        return {one: Item(channel, written, now) for one, written in found.items()}
