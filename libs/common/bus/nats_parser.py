"""Reads the wire in place of nats-py's parser, at half its cost: much of what receiving an
event or loading a bucket took was regular expressions, and a coroutine for each message.

What comes of any bytes, cut anywhere, is what nats-py makes of them (a contract test compares).
"""

from __future__ import annotations

import json
from collections.abc import Awaitable
from typing import Any, Protocol

from nats.errors import ProtocolError

_CRLF = b"\r\n"
_END = len(_CRLF)
_MESSAGES = (b"MSG ", b"HMSG ")

Pending = Awaitable[None]
"""What must be waited for before more is read."""


class Receiver(Protocol):
    """What is told of that which was read: a client of nats-py, and `deliver`."""

    def deliver(
        self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes | None
    ) -> Pending | None:
        """Hand over one message."""
        ...

    def _process_err(self, err_msg: str) -> Pending: ...

    def _process_info(self, info: dict[str, Any]) -> Pending: ...

    def _process_ping(self) -> Pending: ...

    def _process_pong(self) -> Pending: ...


class QuickParser:
    """Has the two methods of nats-py's parser that its client calls."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self.reset()

    def reset(self) -> None:
        """Forget what has been read in part: the connection is a new one."""
        self._buffer = bytearray()
        self._enough = 1  # Bytes before there is something whole to read.

    async def parse(self, data: bytes = b"") -> None:
        """Read on with `data`. Raises: ProtocolError."""
        self._buffer.extend(data)
        while len(self._buffer) >= self._enough:
            try:
                pending = self._take()
            except ValueError:  # Neither numbers, text nor JSON where they belong.
                raise ProtocolError("nats: malformed line") from None
            if pending is not None:
                await pending

    def _take(self) -> Pending | None:
        """Read all that is whole, but nothing beyond what must be waited for."""
        raw, at, pending = bytes(self._buffer), 0, None
        self._enough = 1
        while pending is None and at < len(raw):
            line_end = raw.find(_CRLF, at)
            if line_end < 0:
                self._enough = len(raw) - at + 1
                break
            line, body = raw[at:line_end], line_end + _END
            if line.startswith(_MESSAGES):
                sid, subject, reply, headers, size = _announced(line)
                end = body + size
                if len(raw) < end + _END:
                    self._enough = end + _END - at
                    break
                head = raw[body : body + headers] if headers else None
                data = raw[body + headers : end]
                pending = self._receiver.deliver(sid, subject, reply, data, head)
                at = end + _END
            else:
                pending = self._control(line)
                at = body
        del self._buffer[:at]
        return pending

    def _control(self, line: bytes) -> Pending | None:
        verb, _, rest = line.partition(b" ")
        match verb.strip():
            case b"PING":
                return self._receiver._process_ping()
            case b"PONG":
                return self._receiver._process_pong()
            case b"+OK":
                return None
            case b"-ERR":
                return self._receiver._process_err(rest.strip().decode().lower())
            case b"INFO":
                return self._receiver._process_info(json.loads(rest))
        raise ProtocolError("nats: unknown protocol")


def _announced(line: bytes) -> tuple[int, bytes, bytes, int, int]:
    """Return sid, subject, reply (or nothing), bytes of headers, bytes of all.

    It is `MSG subject sid [reply] bytes`, or `HMSG subject sid [reply] header-bytes bytes`.

    Raises: ProtocolError, ValueError.
    """
    kind, subject, sid, *rest = line.split()
    sizes = 2 if kind == b"HMSG" else 1
    if not sizes <= len(rest) <= sizes + 1 or not rest[-1].isdigit():
        raise ProtocolError("nats: malformed MSG")
    reply = rest[0] if len(rest) > sizes else b""
    return int(sid), subject, reply, int(rest[-2]) if sizes == 2 else 0, int(rest[-1])
