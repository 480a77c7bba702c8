"""Puts on disk when each session was last heard, and that we are able to hear."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import structlog

from libs.common.aio import cancel
from libs.common.errors import DormiceError
from libs.common.loop.service import Service
from services.gateway.connections import Connection, Hub
from services.gateway.machine import GatewayMachine

log = structlog.get_logger()


class Pulse:
    """Every `interval` in one batch; sooner where the disk would be behind by more than that.

    An agent that beats seldom is written after each beat, together with those that beat meanwhile;
    a session whose deadline could come before the next batch, at once.
    """

    def __init__(self, hub: Hub, service: Service, machine: GatewayMachine) -> None:
        self._hub, self._service, self._machine = hub, service, machine
        settings = machine.settings
        self._interval = settings.pulse_interval
        self._urgent_after: timedelta = settings.offline_after - 2 * self._interval
        self._soon: asyncio.Task[None] | None = None
        self._urgent: asyncio.Task[None] | None = None

    def note_frame(self, connection: Connection, now: datetime) -> None:
        """A frame came. What the disk knows must neither run out nor fall far behind (R18)."""
        self._hub.note_frame(connection, now)
        if connection.flushed_at is None:
            return
        behind = now - connection.flushed_at
        if behind >= self._urgent_after:
            self._urgent = self._start(self._urgent, timedelta())
        elif behind >= self._interval:
            self._soon = self._start(self._soon, self._interval / 10)

    def _start(self, present: asyncio.Task[None] | None, delay: timedelta) -> asyncio.Task[None]:
        if present is not None and not present.done():
            return present
        return asyncio.get_running_loop().create_task(self._write_after(delay))

    async def _write_after(self, delay: timedelta) -> None:
        await asyncio.sleep(delay.total_seconds())
        await self.write()

    async def run(self) -> None:
        while True:
            await asyncio.sleep(self._interval.total_seconds())
            await self.write()

    async def stop(self) -> None:
        """Write no more: what was heard since the last batch is within its exactness."""
        for task in (self._soon, self._urgent):
            if task is not None:
                await cancel(task)

    async def write(self) -> None:
        """Write down who was heard; keep it for the next time if the store or the bus is away."""
        heard = self._hub.take_unwritten()
        try:
            await self._service.submit(lambda tx: self._machine.take_pulse(tx, heard))
        except DormiceError as error:
            if heard:
                log.warning("last_seen_not_written", sessions=len(heard), reason=error.message)
            self._hub.keep_unwritten(heard)
