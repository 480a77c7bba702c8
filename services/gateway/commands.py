"""Commands of other services to a connected agent: `dormice-cmd.<gateway>.<host>`."""

from __future__ import annotations

import asyncio
import json
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ValidationError

from libs.common.frames import decode_gateway_frame
from libs.common.protocol import BadFrame, Cancel, Frame, Hold, Run
from services.gateway.connections import Connection, Hub, State

WRITE_SECONDS = 5.0


class Undelivered(StrEnum):
    """Why a frame was not written to the host's socket."""

    NOT_CONNECTED = "not_connected"
    OTHER_SESSION = "other_session"
    NOT_ACCEPTING = "not_accepting"
    BAD_FRAME = "bad_frame"


class _Command(BaseModel):
    session: str
    frame: dict[str, Any]


class Commands:
    """Writes `run`, `hold` and `cancel` to the socket of the session that the caller means."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    async def answer(self, subject: str, data: bytes) -> bytes:
        """Return {"ok": true} once the frame is written, else {"ok": false, "reason"}."""
        why = await self._deliver(subject.rpartition(".")[2], data)
        return json.dumps({"ok": True} if why is None else {"ok": False, "reason": why}).encode()

    async def _deliver(self, host_id: str, data: bytes) -> Undelivered | None:
        try:
            command = _Command.model_validate_json(data)
            frame = _allowed(command.frame)
        except (ValidationError, BadFrame):
            return Undelivered.BAD_FRAME
        try:
            async with asyncio.timeout(WRITE_SECONDS):
                return await self._write(host_id, command.session, frame)
        except TimeoutError:  # Nothing was written: a slow socket takes a frame whole or not.
            return Undelivered.NOT_ACCEPTING

    async def _write(self, host_id: str, session: str, frame: Frame) -> Undelivered | None:
        connection = self._hub.find_session(session)
        if connection is None or connection.host_id != host_id:
            other = self._hub.find_host(host_id)
            return Undelivered.OTHER_SESSION if other else Undelivered.NOT_CONNECTED
        await connection.wait_joined()
        return await _send(connection, frame)


async def _send(connection: Connection, frame: Frame) -> Undelivered | None:
    if connection.state is State.LEAVING:
        return Undelivered.NOT_ACCEPTING
    return None if await connection.send(frame) else Undelivered.NOT_CONNECTED


def _allowed(raw: dict[str, Any]) -> Frame:
    """Raises: BadFrame for anything but run, hold and cancel."""
    frame = decode_gateway_frame(json.dumps(raw))
    if not isinstance(frame, Run | Hold | Cancel):
        raise BadFrame("only run, hold and cancel may be sent")
    return frame
