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
            words = raw[at:line_end].split()
            if words and words[0] in (b"MSG", b"HMSG"):
                end = line_end + _END + _size(words)
                if len(raw) < end + _END:
                    self._enough = end + _END - at
                    break
                pending = self._message(words, raw[line_end + _END : end])
                at = end + _END
            else:
                pending = self._control(raw[at:line_end])
                at = line_end + _END
        del self._buffer[:at]
        return pending

    def _message(self, words: list[bytes], body: bytes) -> Pending | None:
        """`MSG subject sid [reply] bytes`, or `HMSG subject sid [reply] header-bytes bytes`."""
        with_headers = len(words[0]) == len(b"HMSG")
        reply = words[3] if len(words) == 5 + with_headers else b""
        if not with_headers:
            return self._receiver.deliver(int(words[2]), words[1], reply, body, None)
        size = int(words[-2])
        return self._receiver.deliver(int(words[2]), words[1], reply, body[size:], body[:size])

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


def _size(words: list[bytes]) -> int:
    """Return how long the message is. Raises: ProtocolError."""
    least = 4 if words[0] == b"MSG" else 5
    if not (least <= len(words) <= least + 1 and words[-1].isdigit()):  # One more with a reply.
        raise ProtocolError("nats: malformed MSG")
    return int(words[-1])
