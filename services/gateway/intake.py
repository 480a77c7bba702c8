"""From an agent's frames to durable events: in order, a few at a time, acknowledged after.

A connection has a task only while it has something to publish. The next frames of the same agent
wait until the ones before are durable; other agents' frames share transaction and batch with them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from itertools import islice

import structlog

from libs.common.errors import DormiceError
from libs.common.loop.service import Service
from libs.common.protocol import Ack, CloseCode
from services.gateway.connections import Connection, State
from services.gateway.reports import Received, Taken, take_frames

log = structlog.get_logger()

FRAMES_AT_ONCE = 40
CONNECTIONS_AT_ONCE = 50
"""Together what a slow machine stores well within the time that a report may wait for."""


class Intake:
    """Publishes what connections receive."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._room = asyncio.Semaphore(CONNECTIONS_AT_ONCE)

    async def put(self, connection: Connection, received: Received, size_bytes: int) -> None:
        """Queue a frame; waits while too much is unpublished, so that no more is read."""
        if connection.pending is None:
            connection.pending = deque()
        connection.pending.append(received)
        connection.pending_bytes += size_bytes
        if connection.draining is None:
            connection.draining = asyncio.get_running_loop().create_task(self._drain(connection))
        if connection.is_full:
            await asyncio.wait((connection.draining,))

    async def _drain(self, connection: Connection) -> None:
        """Publish until nothing is left, even if the socket is gone by now."""
        try:
            while connection.pending:
                async with self._room:
                    batch = list(islice(connection.pending, FRAMES_AT_ONCE))
                    taken = await self._publish(connection, batch)
                if taken is None:
                    connection.pending.clear()  # The agent sends them again in its next session.
                    break
                for _ in batch:
                    connection.pending.popleft()
                await self._answer(connection, taken)
        finally:
            connection.pending, connection.pending_bytes, connection.draining = None, 0, None

    async def _publish(self, connection: Connection, batch: list[Received]) -> Taken | None:
        host_id, session = connection.host_id, connection.session
        try:
            done = await self._service.submit(lambda tx: take_frames(tx, host_id, session, batch))
        except DormiceError as error:
            log.warning("frames_not_stored", host_id=host_id, reason=error.message)
            connection.close(CloseCode.TRY_LATER, "reports cannot be stored now")
            return None
        taken: Taken | None = done.result
        return taken

    async def _answer(self, connection: Connection, taken: Taken) -> None:
        for error in taken.errors:
            await connection.send(error)
        if taken.ack is not None:
            await connection.send(Ack(seq=taken.ack))
        if taken.ended:
            connection.close(1000, "goodbye")


def is_ignored(connection: Connection) -> bool:
    """Say whether frames of this connection no longer count: it said goodbye, or was closed."""
    return connection.state in (State.LEAVING, State.CLOSED)
