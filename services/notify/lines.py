"""Kept HTTP/1.1 connections to receivers: a request out, an answer's status in, and again.

    Lines.line_to(site) ─▶ a kept line, or a new one to a vetted address ─▶ ask ─▶ finish
         ▲                                                                           │
         └──────────── kept for 4 s if its answer was short and came whole ◀─────────┘

Nothing here follows a redirect, keeps a cookie, uses a proxy or logs an address, which is why it is
no HTTP client's pool; what an answer says is read by httptools. It opens as many lines as are asked
for: a bound would have one channel wait for another.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Self, cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from services.notify.targets import TargetGuard, connect

KEEP_SECONDS = 4.0
"""Less than the 5 s after which many servers close: a request must not cross with that."""
ANSWER_LIMIT_BYTES = 64 * 1024
"""How much of an answer is read: only its head counts, reading the rest keeps the line."""
FIRST_FINAL_STATUS = 200
_RETRY_AFTER = b"retry-after"


class NoLine(Exception):
    """No connection could be made; the cause says why."""


class LineBroken(Exception):
    """The connection ended, or what came on it is no HTTP, before there was a status."""


@dataclass(frozen=True, slots=True)
class Place:
    """What a line leads to; `host` is a name or an address without brackets."""

    host: str
    port: int
    is_secure: bool


@dataclass(slots=True)
class Answer:
    """A response, as far as it counts. `is_whole` once its body has ended."""

    status: int = 0
    retry_after: bytes = b""
    is_whole: bool = False


class Line(asyncio.Protocol):
    """One connection; `ask` only while no other request is under way."""

    def __init__(self) -> None:
        self._parser = HttpResponseParser(self)
        self._answer = Answer()
        self._bytes = 0
        self._is_open = self._stays = False
        self._head: asyncio.Future[None] | None = None
        self._end: asyncio.Future[None] | None = None

    @property
    def is_reusable(self) -> bool:
        """Whether the last answer came whole and nothing speaks against another request."""
        return self._is_open and self._head is None and not self._transport.is_closing()

    async def ask(self, request: bytes) -> Answer:
        """Send a whole request; return its answer once the head is there. Raises: LineBroken."""
        self._answer, self._bytes = Answer(), 0
        loop = asyncio.get_running_loop()
        self._head, self._end = loop.create_future(), loop.create_future()
        if self._is_open:
            self._transport.write(request)
        else:
            self._break()
        await self._head
        return self._answer

    async def finish(self, seconds: float) -> None:
        """Read what is left of the answer; what is neither short nor soon ends the line."""
        assert self._end is not None
        if not self._end.done():
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._end
        if self._answer.is_whole and self._stays:
            self._head = None
            self._parser = HttpResponseParser(self)

    def close(self) -> None:
        if self._is_open:
            self._transport.abort()

    # -- from the connection -----------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._is_open = True

    def data_received(self, data: bytes) -> None:
        if self._head is None or self._answer.is_whole:
            self.close()  # Nobody asked: it must not pass for the answer to what is asked next.
            return
        self._bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade):
            self._break()
        if self._bytes > ANSWER_LIMIT_BYTES and not self._answer.is_whole:
            self._break()

    def connection_lost(self, _error: Exception | None) -> None:
        self._is_open = False
        self._break()

    def _break(self) -> None:
        """Nothing more is read: who waits for a status learns that none comes."""
        self.close()
        if self._head is not None and not self._head.done():
            self._head.set_exception(LineBroken())
        if self._end is not None and not self._end.done():
            self._end.set_result(None)

    # -- from the parser ---------------------------------------------------------------------------

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == _RETRY_AFTER and not self._answer.is_whole:
            self._answer.retry_after = value

    def on_headers_complete(self) -> None:
        """An interim answer (1xx) is none, nor is what comes with an answer in one piece."""
        if self._answer.is_whole:
            self.close()
            return
        self._answer.status = self._parser.get_status_code()
        if self._answer.status >= FIRST_FINAL_STATUS and self._head and not self._head.done():
            self._head.set_result(None)

    def on_message_complete(self) -> None:
        if self._answer.status < FIRST_FINAL_STATUS:
            self._answer.retry_after = b""
        elif self._end is not None and not self._end.done():
            self._answer.is_whole, self._stays = True, self._parser.should_keep_alive()
            self._end.set_result(None)


@dataclass(frozen=True, slots=True)
class _Kept:
    """A line that waits for the next request `until` then, by the event loop's clock."""

    line: Line
    until: float


@dataclass(slots=True)
class Lines:
    """The lines of all channels; each new one is judged by the guard, whatever was before."""

    guard: TargetGuard
    trusted: ssl.SSLContext
    _kept: defaultdict[Place, list[_Kept]] = field(default_factory=lambda: defaultdict(list))
    _dropping: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._dropping is not None:
            self._dropping.cancel()
            self._dropping = None
        for kept in self._kept.values():
            for one in kept:
                one.line.close()
        self._kept.clear()

    @asynccontextmanager
    async def line_to(self, place: Place) -> AsyncIterator[Line]:
        """Lend a line; it is kept if it can be used again.

        Raises: TargetRefused, TargetUnknown, NoLine.
        """
        line = self._take(place) or await self._open(place)
        try:
            yield line
        finally:
            self._put_back(place, line)

    def _take(self, place: Place) -> Line | None:
        kept = self._kept.get(place)
        while kept:
            line = kept.pop().line
            if line.is_reusable:
                return line
        return None

    def _put_back(self, place: Place, line: Line) -> None:
        if not line.is_reusable:
            line.close()
            return
        loop = asyncio.get_running_loop()
        self._kept[place].append(_Kept(line, loop.time() + KEEP_SECONDS))
        if self._dropping is None:
            self._dropping = loop.call_later(KEEP_SECONDS, self._drop_old)

    def _drop_old(self) -> None:
        """Close what was kept long enough: one timer for all, none for each request."""
        loop = asyncio.get_running_loop()
        for place, kept in list(self._kept.items()):
            while kept and kept[0].until <= loop.time():  # The one kept longest stands first.
                kept.pop(0).line.close()
            if not kept:
                del self._kept[place]
        first = min((kept[0].until for kept in self._kept.values()), default=None)
        self._dropping = None if first is None else loop.call_at(first, self._drop_old)

    async def _open(self, place: Place) -> Line:
        """The name stays in TLS (SNI and certificate); the connection goes where the guard says."""
        try:
            link = await connect(self.guard, place.host, place.port)
            _, line = await asyncio.get_running_loop().create_connection(
                Line, sock=link, ssl=self.trusted if place.is_secure else None,
                server_hostname=place.host if place.is_secure else None,
            )  # fmt: skip
        except OSError as error:
            raise NoLine from error
        return line
