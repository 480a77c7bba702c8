"""Carries out the effect `send`: reads the message and its sealed address, and sends it.

Channels are independent: each has places of its own, and nothing else to wait for, so that however
many hang, no other waits.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import Any

import httpcore
import structlog

from libs.common.clock import Clock, monotonic_seconds
from libs.common.security import SecretUnreadable, Vault
from services.notify import channels, queue, store, webhook
from services.notify.store import Channel

log = structlog.get_logger()

PLACES_PER_CHANNEL = 4

Query = Callable[[sqlite3.Connection], tuple[Channel, dict[str, Any]] | None]
Read = Callable[[Query], Awaitable[tuple[Channel, dict[str, Any]] | None]]
"""Runs a query on the service's own state, as `Service.read` does."""


class Courier:
    """The runner of the effect. Give it `read` before the service starts."""

    read: Read

    def __init__(self, pool: httpcore.AsyncConnectionPool, vault: Vault, clock: Clock) -> None:
        self._pool, self._vault, self._clock = pool, vault, clock
        self._places: defaultdict[str, asyncio.Semaphore] = defaultdict(
            lambda: asyncio.Semaphore(PLACES_PER_CHANNEL)
        )

    async def send(self, delivery_id: str, payload: dict[str, Any]) -> dict[str, Any]:
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

    async def _try(self, delivery_id: str, channel_id: str) -> dict[str, Any]:
        found = await self.read(lambda db: _look_up(db, delivery_id, channel_id))
        if found is None:
            return {"error": "the channel is gone", "refused": True}
        channel, body = found
        try:
            config = channels.open_config(self._vault, channel.sealed)
        except SecretUnreadable as error:
            return {"error": error.message, "refused": True}
        now = self._clock.now()
        return await webhook.post(self._pool, webhook.write_letter(config, body, now), now)


def _look_up(
    db: sqlite3.Connection, delivery_id: str, channel_id: str
) -> tuple[Channel, dict[str, Any]] | None:
    channel = store.find_channel(db, channel_id)
    return None if channel is None else (channel, queue.body_of(db, delivery_id))
