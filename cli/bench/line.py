"""One agent's WebSocket, as light as it gets: an asyncio protocol around websockets' sans-I/O core.

No task and no queue a connection, so that ten thousand of them fit beside the server they load.
"""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any, Protocol, cast

from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import State
from websockets.uri import WebSocketURI

from libs.common.protocol import MAX_FRAME_BYTES

_quiet = logging.getLogger("dormice.bench.line")
_quiet.disabled = True


class Owner(Protocol):
    """Who is told what happens on a line."""

    def on_open(self) -> None: ...

    def on_frame(self, frame: dict[str, Any]) -> None: ...

    def on_lost(self, code: int | None, reason: str) -> None: ...


class Line(asyncio.Protocol):
    """A connection from dial to loss; `on_lost` is the last that its owner hears of it."""

    __slots__ = ("_core", "_owner", "_token", "_transport")

    def __init__(self, uri: WebSocketURI, token: str, owner: Owner) -> None:
        self._core = ClientProtocol(uri, max_size=MAX_FRAME_BYTES, logger=_quiet)
        self._token, self._owner = token, owner
        self._transport: asyncio.Transport | None = None

    def send(self, text: bytes) -> None:
        """Write a frame; nothing happens if the connection is closing."""
        if self._core.state is State.OPEN:
            self._core.send_text(text)
            self._flush()

    def cut(self) -> None:
        """Lose the connection as by a pulled cable: no goodbye, no close frame."""
        if self._transport is not None:
            self._transport.abort()

    # -- what asyncio calls ------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        request = self._core.connect()
        request.headers["Authorization"] = f"Bearer {self._token}"
        self._core.send_request(request)
        self._flush()

    def data_received(self, data: bytes) -> None:
        self._core.receive_data(data)
        for event in self._core.events_received():
            if isinstance(event, Response):
                if self._core.handshake_exc is None:
                    self._owner.on_open()
            elif isinstance(event, Frame) and event.opcode is Opcode.TEXT:
                self._owner.on_frame(json.loads(bytes(event.data)))
        self._flush()

    def eof_received(self) -> None:
        self._core.receive_eof()
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._core.eof_sent:
            self._core.receive_eof()
        self._transport = None
        refused = self._core.handshake_exc
        code = None if refused else self._core.close_code
        self._owner.on_lost(code, str(refused or exc or self._core.close_reason or ""))

    def _flush(self) -> None:
        if self._transport is None:
            return
        for data in self._core.data_to_send():
            if data:
                self._transport.write(data)
            elif self._transport.can_write_eof():
                self._transport.write_eof()
