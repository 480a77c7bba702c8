"""Carries out the effects `send` and `repeat`: opens the sealed address, and sends by its kind.

Channels are independent: each has places of its own, and nothing else to wait for, so that however
many hang, no other waits.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

import structlog

from libs.common.clock import Clock, monotonic_seconds
from libs.common.security import SecretUnreadable, Vault
from services.notify import configs, queue, store
from services.notify.kinds.base import Errand, Outcome, Wires
from services.notify.kinds.table import kind_of
from services.notify.store import Channel

log = structlog.get_logger()
T = TypeVar("T")

PLACES_PER_CHANNEL = 4
_GONE: Outcome = {"error": "the channel is gone", "refused": True}


class Read(Protocol):
    """Runs a query on the service's own state, as `Service.read` does."""

    def __call__(self, query: Callable[[sqlite3.Connection], T], /) -> Awaitable[T]: ...


class Courier:
    """The runner of the effects. Give it `read` before the service starts."""

    read: Read

    def __init__(self, wires: Wires, vault: Vault, clock: Clock) -> None:
        self._wires, self._vault, self._clock = wires, vault, clock
        self._places: defaultdict[str, asyncio.Semaphore] = defaultdict(
            lambda: asyncio.Semaphore(PLACES_PER_CHANNEL)
        )

    async def send(self, delivery_id: str, payload: dict[str, Any]) -> Outcome:
        """Try the delivery once; return its outcome (see delivering.on_sent)."""
        channel_id = str(payload["channel_id"])
        async with self._places[channel_id]:
            started = monotonic_seconds()
            outcome = await self._try(delivery_id, channel_id)
        log.info(
            "notification_tried", delivery_id=delivery_id, channel_id=channel_id,
            tried=payload.get("try"), status=outcome.get("status"), error=outcome.get("error"),
            seconds=round(monotonic_seconds() - started, 3),
        )  # fmt: skip
        return outcome

    async def repeat(self, channel_id: str, _payload: dict[str, Any]) -> Outcome:
        """Tell a receiver once more what is open (see repeating.on_repeated)."""
        async with self._wires.turn(channel_id):
            found = await self.read(lambda db: _look_up_open(db, channel_id))
            if found is None:
                return _GONE
            channel, views = found
            repeat = kind_of(channel.kind).repeat
            assert repeat is not None
            try:
                config = configs.open_config(self._vault, channel)
            except SecretUnreadable as error:
                return {"error": error.message, "refused": True}
            return await repeat(self._wires, config, views, self._clock.now())

    async def _try(self, delivery_id: str, channel_id: str) -> Outcome:
        found = await self.read(lambda db: _look_up(db, delivery_id, channel_id))
        if found is None:
            return _GONE
        channel, body = found
        try:
            config = configs.open_config(self._vault, channel)
        except SecretUnreadable as error:
            return {"error": error.message, "refused": True}
        errand = Errand(channel_id, body, self._clock.now())
        return await kind_of(channel.kind).send(self._wires, config, errand)


def _look_up(
    db: sqlite3.Connection, delivery_id: str, channel_id: str
) -> tuple[Channel, dict[str, Any]] | None:
    channel = store.find_channel(db, channel_id)
    return None if channel is None else (channel, queue.body_of(db, delivery_id))


def _look_up_open(
    db: sqlite3.Connection, channel_id: str
) -> tuple[Channel, list[dict[str, Any]]] | None:
    channel = store.find_channel(db, channel_id)
    return None if channel is None else (channel, queue.told_and_open(db, channel_id))
