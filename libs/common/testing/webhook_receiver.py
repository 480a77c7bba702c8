"""A real HTTP server on loopback that receives webhooks in tests: records all, answers as told.

Use it as `async with WebhookReceiver() as receiver:`, script it with
`receiver.next_answers(Answer(503), Answer(429, retry_after="2"), HANG, CLOSE)` (afterwards it
answers `receiver.default`, 200), and wait with `await receiver.wait_for(3)`.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import ssl
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self

WAIT_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What to answer a request with. `delay_seconds` passes first (or the receiver's end)."""

    status: int = 200
    retry_after: str | None = None
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    delay_seconds: float = 0.0
    close: bool = False
    hang: bool = False


HANG = Answer(hang=True)
"""Never answer; the connection stays open."""
CLOSE = Answer(close=True)
"""Close the connection instead of answering."""


@dataclass(frozen=True, slots=True)
class Received:
    """One request, whole. Header names are lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def delivery_id(self) -> str:
        return self.headers["dormice-id"]

    @property
    def event(self) -> str:
        return str(self.json["event"])

    def is_signed_with(self, secret: str) -> bool:
        """Check the signature as a receiver would, from the documentation alone."""
        signed = self.headers["dormice-timestamp"].encode() + b"." + self.body
        expected = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
        return hmac.compare_digest(self.headers.get("dormice-signature", ""), f"v1={expected}")


class WebhookReceiver:
    """`received` are all requests in the order of their arrival, whatever the answer was."""

    def __init__(
        self, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None
    ) -> None:
        self._host, self._port, self._tls = host, port, tls
        self.received: list[Received] = []
        self.default = Answer()
        self.in_flight = 0
        self.most_in_flight = 0
        self._answers: deque[Answer] = deque()
        self._came = asyncio.Condition()
        self._ended = asyncio.Event()
        self._connections: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen; after a `stop` on the same port again."""
        self._ended = asyncio.Event()
        self._server = await asyncio.start_server(
            self._accept, self._host, self._port, ssl=self._tls
        )
        self._port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Refuse connections and close those that are open, answered or not."""
        self._server.close()
        self._ended.set()
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await self._server.wait_closed()

    @property
    def port(self) -> int:
        return self._port

    @property
    def url(self) -> str:
        scheme = "https" if self._tls else "http"
        return f"{scheme}://{self._host}:{self._port}/hook"

    def next_answers(self, *answers: Answer) -> None:
        """Answer the next requests so, one each; then with `default`."""
        self._answers.extend(answers)

    @property
    def bodies(self) -> list[Any]:
        return [request.json for request in self.received]

    @property
    def events(self) -> list[str]:
        return [request.event for request in self.received]

    async def wait_for(self, count: int, timeout_seconds: float = WAIT_SECONDS) -> list[Received]:
        """Return all requests once there are at least `count`. Raises: TimeoutError."""
        return await self.wait_until(lambda all_: len(all_) >= count, timeout_seconds)

    async def wait_until(
        self, holds: Callable[[list[Received]], bool], timeout_seconds: float = WAIT_SECONDS
    ) -> list[Received]:
        """Return all requests once `holds` is true of them. Raises: TimeoutError with what came."""
        try:
            async with asyncio.timeout(timeout_seconds), self._came:
                await self._came.wait_for(lambda: holds(self.received))
        except TimeoutError:
            raise TimeoutError(f"only these came: {self.events}") from None
        return list(self.received)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            while await self._serve_one(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._connections.discard(task)
            writer.close()
            with suppress(ConnectionError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Receive and answer one request; False ends the connection."""
        request = await _read_request(reader)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            async with self._came:
                self.received.append(request)
                answer = self._answers.popleft() if self._answers else self.default
                self._came.notify_all()
            return await self._answer(answer, writer)
        finally:
            self.in_flight -= 1

    async def _answer(self, answer: Answer, writer: asyncio.StreamWriter) -> bool:
        if answer.close:
            return False
        if answer.hang:
            await self._ended.wait()
            return False
        if answer.delay_seconds:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), answer.delay_seconds)
        headers = {"Content-Length": str(len(answer.body)), **answer.headers}
        if answer.retry_after is not None:
            headers["Retry-After"] = answer.retry_after
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        writer.write(f"HTTP/1.1 {answer.status} -\r\n{head}\r\n".encode() + answer.body)
        await writer.drain()
        return True


async def _read_request(reader: asyncio.StreamReader) -> Received:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.rstrip("\r\n").split("\r\n")
    method, path, _ = first.split(" ", 2)
    pairs = (line.partition(":") for line in lines)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Received(method, path, headers, body)
