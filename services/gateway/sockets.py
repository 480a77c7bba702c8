"""uvicorn's WebSocket protocol, with what it lacks for agents that vanish.

When a write fails, asyncio drops the connection with whatever still lies unread in the kernel: an
agent's last report, or its goodbye. That is read here first. And a socket whose peer takes nothing
any more can be cut by force.
"""

from __future__ import annotations

import os
from typing import Any, cast

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request

from services.gateway.mailbox import Gate, Mailbox

UNREAD_MESSAGES = 4
DRAIN_BYTES = 64 * 1024
DRAIN_AT_MOST_BYTES = 8 * 1024 * 1024


class AgentSocket(WebSocketsSansIOProtocol):
    """For `uvicorn.Config(ws=...)`. Puts `dormice.abort` into the scope's extensions.

    What is named in `__slots__` are attributes of uvicorn's: with more than thirty of them in its
    `__dict__`, an object has a hash table of its own. What they are for there holds here.
    """

    __slots__ = (
        "close_timeout", "default_headers", "frames", "initial_response", "last_ping_rtt",
        "pending_ping_payload", "ping_interval", "ping_sent_at", "ping_timeout", "ping_timer",
        "pong_timer", "queue", "request", "response", "scope", "writable",
    )  # fmt: skip

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.queue: Any = Mailbox()
        self.writable: Any = Gate()

    def start_keepalive(self) -> None:
        """The last word of the handshake: nobody looks at its headers any more."""
        super().start_keepalive()
        self.request.headers.clear()
        self.response.headers.clear()

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is not None and self.handshake_complete:
            self._drain()
        super().connection_lost(exc)

    def _drain(self) -> None:
        """Read what the peer had sent; the socket is still open while this is called."""
        sock = self.transport.get_extra_info("socket")
        left = DRAIN_AT_MOST_BYTES
        try:
            while left > 0 and (data := os.read(sock.fileno(), DRAIN_BYTES)):
                left -= len(data)
                self.data_received(data)
        except OSError:
            pass  # Nothing more there, or the peer's reset.

    def send_receive_event_to_app(self) -> None:
        """Hand a message on. uvicorn stops reading at every single one, which costs two system
        calls each; a few may well wait."""
        if self.read_paused or self.queue.qsize() >= UNREAD_MESSAGES:
            super().send_receive_event_to_app()
            return
        self.read_paused = True
        super().send_receive_event_to_app()
        self.read_paused = False

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if hasattr(self, "scope"):
            extensions = cast(dict[str, Any], self.scope["extensions"])
            extensions["dormice.abort"] = self.transport.abort
