"""Puts on disk when each session was last heard, and that we are able to hear."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import structlog

from libs.common.errors import DormiceError
from libs.common.loop.service import Service
from services.gateway.connections import Connection, Hub
from services.gateway.machine import GatewayMachine

log = structlog.get_logger()


class Pulse:
    """Every `interval` in one batch; at once for a session whose deadline could come before."""

    def __init__(self, hub: Hub, service: Service, machine: GatewayMachine) -> None:
        self._hub, self._service, self._machine = hub, service, machine
        settings = machine.settings
        self._interval = settings.pulse_interval
        self._urgent_after: timedelta = settings.offline_after - 2 * self._interval
        self._soon: asyncio.Task[None] | None = None

    def note_frame(self, connection: Connection, now: datetime) -> None:
        """A frame came. What the disk knows must not run out before the next batch."""
        self._hub.note_frame(connection, now)
        known = connection.flushed_at
        if known is None or now - known < self._urgent_after:
            return
        if self._soon is None or self._soon.done():
            self._soon = asyncio.get_running_loop().create_task(self.write())

    async def run(self) -> None:
        while True:
            await asyncio.sleep(self._interval.total_seconds())
            await self.write()

    async def write(self) -> None:
        """Write down who was heard; keep it for the next time if the store or the bus is away."""
        heard = self._hub.take_unwritten()
        try:
            await self._service.submit(lambda tx: self._machine.take_pulse(tx, heard))
        except DormiceError as error:
            if heard:
                log.warning("last_seen_not_written", sessions=len(heard), reason=error.message)
            self._hub.keep_unwritten(heard)
