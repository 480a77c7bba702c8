"""Carries out the effects `send` and `repeat`: opens the sealed address, and sends by its kind.

Channels are independent: each has places of its own, and nothing else to wait for, so that however
many hang, no other waits.
"""

from __future__ import annotations

import asyncio
import sqlite3
from dataclasses import dataclass, field
from typing import Any

import structlog

from libs.common.clock import Clock, monotonic_seconds
from libs.common.security import SecretUnreadable, Vault
from services.notify import configs, queue, store
from services.notify.kinds.base import ChannelConfig, Errand, Outcome, Wires
from services.notify.kinds.http import site_at
from services.notify.kinds.table import kind_of
from services.notify.shelf import Read, Shelf
from services.notify.store import Channel

log = structlog.get_logger()

PLACES_PER_CHANNEL = 4
_GONE: Outcome = {"error": "the channel is gone", "refused": True}


@dataclass(slots=True)
class Desk:
    """What the shell has of a channel: its places, what is in hand, its opened configuration."""

    shelf: Shelf
    places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(PLACES_PER_CHANNEL))
    sealed: str = ""
    config: ChannelConfig | None = None


class Courier:
    """The runner of the effects. Give it `read` before the service starts."""

    read: Read

    def __init__(self, wires: Wires, vault: Vault, clock: Clock) -> None:
        self._wires, self._vault, self._clock = wires, vault, clock
        self._desks: dict[str, Desk] = {}
        self._log = log.bind()  # Once, not for each of many tries.

    async def send(self, delivery_id: str, payload: dict[str, Any]) -> Outcome:
        """Try the delivery once; return its outcome (see delivering.on_sent)."""
        channel_id = str(payload["channel_id"])
        desk = self._desk(channel_id)
        desk.shelf.expect(delivery_id)
        async with desk.places:
            started = monotonic_seconds()
            outcome = await self._try(delivery_id, desk)
        say = self._log.debug if _is_plain(outcome) else self._log.info
        say(
            "notification_tried", delivery_id=delivery_id, channel_id=channel_id,
            tried=payload.get("try"), status=outcome.get("status"), error=outcome.get("error"),
            seconds=round(monotonic_seconds() - started, 3),
        )  # fmt: skip
        return outcome

    async def repeat(self, channel_id: str, _payload: dict[str, Any]) -> Outcome:
        """Tell a receiver once more what is open (see repeating.on_repeated)."""
        desk = self._desk(channel_id)
        async with self._wires.turn(channel_id):
            found = await self.read(lambda db: _look_up_open(db, channel_id))
            if found is None:
                return _GONE
            channel, views = found
            repeat = kind_of(channel.kind).repeat
            assert repeat is not None
            try:
                config = self._config_of(channel, desk)
            except SecretUnreadable as error:
                return {"error": error.message, "refused": True}
            return await repeat(self._wires, config, views, self._clock.now())

    def forget(self, channel_id: str) -> None:
        """The channel is gone: send nothing more of it, and keep no secret of it in memory."""
        desk = self._desks.pop(channel_id, None)
        if desk is not None:
            desk.shelf.forget()
        site_at.cache_clear()

    async def _try(self, delivery_id: str, desk: Desk) -> Outcome:
        item = await desk.shelf.take(delivery_id)
        if item is None:
            return _GONE
        try:
            config = self._config_of(item.channel, desk)
        except SecretUnreadable as error:
            return {"error": error.message, "refused": True}
        errand = Errand(item.channel.id, delivery_id, item.written, self._clock.now())
        return await kind_of(item.channel.kind).send(self._wires, config, errand)

    def _desk(self, channel_id: str) -> Desk:
        if channel_id not in self._desks:
            self._desks[channel_id] = Desk(Shelf(channel_id, self.read))
        return self._desks[channel_id]

    def _config_of(self, channel: Channel, desk: Desk) -> ChannelConfig:
        """Open what is sealed, once. Raises: SecretUnreadable."""
        if desk.config is None or desk.sealed != channel.sealed:
            desk.config = configs.open_config(self._vault, channel)
            desk.sealed = channel.sealed
        return desk.config


def _is_plain(outcome: Outcome) -> bool:
    """Say whether it went out and there is nothing to tell: the log of events has it then."""
    taken = outcome.get("taken") or outcome.get("status") in range(200, 300)
    return bool(taken) and outcome.get("error") is None


def _look_up_open(
    db: sqlite3.Connection, channel_id: str
) -> tuple[Channel, list[dict[str, Any]]] | None:
    channel = store.find_channel(db, channel_id)
    return None if channel is None else (channel, queue.told_and_open(db, channel_id))
