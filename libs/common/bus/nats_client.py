"""nats-py's client, with the parts that cost most read quicker: every event carries headers.

nats-py looks at each letter of a name for a space, which is half of what receiving an event costs;
and most headers are looked at by nobody, or for the event's id only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import structlog
from nats.aio.client import Client

from libs.common.bus.nats_parser import Pending, QuickParser

log = structlog.get_logger()

_NO_STATUS = b"NATS/1.0\r\n"
"""How headers begin that bear no status."""


class Message:
    """What came on `subject`. Its headers are read when they are asked for."""

    __slots__ = ("_headers", "data", "reply", "subject")

    def __init__(
        self, subject: str, reply: str, data: bytes, headers: bytes | dict[str, str] | None
    ) -> None:
        self.subject, self.reply, self.data, self._headers = subject, reply, data, headers

    @property
    def headers(self) -> dict[str, str]:
        if isinstance(self._headers, bytes):
            self._headers = read_headers(self._headers)
        return self._headers or {}

    def header(self, name: str) -> str | None:
        """Return one header, without reading the others."""
        if not isinstance(self._headers, bytes):
            return self.headers.get(name)
        _, found, rest = self._headers.partition(b"\r\n%b:" % name.encode())
        return rest.partition(b"\r\n")[0].strip().decode("utf-8", "replace") if found else None


MessageHandler = Callable[[Message], None]


class Sink(asyncio.Future[Message]):
    """Looks like the future of nats-py's old-style requests: no queue and no task a subscription.

    It is never resolved: each message is given to the handler instead.
    """

    def __init__(self, handler: MessageHandler) -> None:
        super().__init__()
        self._handler = handler

    def give(self, message: Message) -> None:
        try:
            self._handler(message)
        except Exception:  # Otherwise it would end the client's read loop.
            log.exception("bus_handler_failed", subject=message.subject)


class QuickClient(Client):
    """Gives the same messages as its parent (contract tests compare them), to sinks only."""

    def __init__(self) -> None:
        super().__init__()
        self._ps: Any = QuickParser(self)

    def deliver(
        self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes | None
    ) -> Pending | None:
        subscription = self._subs.get(sid)
        if subscription is None:
            return None
        sink: Any = subscription._future
        if headers is not None and not headers.startswith(_NO_STATUS):
            return self._deliver_status(sink, subject, reply, data, headers)
        sink.give(Message(subject.decode(), reply.decode(), data, headers))
        return None

    async def _deliver_status(
        self, sink: Sink, subject: bytes, reply: bytes, data: bytes, raw: bytes
    ) -> None:
        headers = await self._process_headers(raw)
        sink.give(Message(subject.decode(), reply.decode(), data, headers))

    @staticmethod
    def _parse_header_lines(raw: bytes) -> dict[str, str]:
        return read_headers(raw)


def read_headers(raw: bytes) -> dict[str, str]:
    found = {}
    for line in raw.split(b"\r\n"):
        name, colon, value = line.partition(b":")
        if colon and name.isascii() and len(words := name.decode().split()) == 1:
            found[words[0]] = value.strip().decode("utf-8", "replace")
    return found
