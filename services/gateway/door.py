"""Lets agents' dials past the HTTP parser: the WebSocket core parses the same request again.

In a storm of reconnects that parser was a fifth of all the work. Whatever is not plainly a whole
dial of an agent takes the ordinary way.
"""

from __future__ import annotations

from typing import cast

from uvicorn.protocols.http.h11_impl import H11Protocol

AGENT_PATH = "/agent/v1"
_DIAL = f"GET {AGENT_PATH} HTTP/1.1\r\n".encode()
_END = b"\r\n\r\n"
_UPGRADE = b"\r\nupgrade: websocket\r\n"


def is_dial(data: bytes) -> bool:
    """Say whether `data` is one whole request for the agents' WebSocket, and nothing more."""
    whole = data.startswith(_DIAL) and data.find(_END) == len(data) - len(_END)
    return whole and _UPGRADE in data.lower()


def in_lower_case(data: bytes) -> bytes:
    """Return a request with the names of its headers in lower case, as ASGI wants them."""
    first, *lines = data.split(b"\r\n")
    parts = (line.partition(b":") for line in lines)
    return b"\r\n".join([first, *(name.lower() + colon + value for name, colon, value in parts)])


class Door(H11Protocol):
    """For `uvicorn.Config(http=...)`."""

    _is_new = True

    def data_received(self, data: bytes) -> None:
        if self._is_new and is_dial(data):
            self._let_in(data)
            return
        self._is_new = False
        super().data_received(data)

    def _let_in(self, data: bytes) -> None:
        self.connections.discard(self)
        make = cast(type, self.ws_protocol_class)
        protocol = make(
            config=self.config, server_state=self.server_state, app_state=self.app_state
        )
        protocol.connection_made(self.transport)
        protocol.data_received(in_lower_case(data))
        self.transport.set_protocol(protocol)
