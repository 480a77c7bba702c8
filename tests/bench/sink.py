"""A webhook receiver in a process of its own, as lean as can be: what it costs is no part of what
is measured, though it runs on the same cores. It takes requests as they come, answers 200, and
reads what was in them only when it is asked.

As a program: `python -m tests.bench.sink` prints its port, and answers each line on stdin by one:
`count` by how many requests came and when the last did, `alerts` by how often each was told.
"""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import PIPE
from collections import Counter
from typing import Any, Self, cast

from httptools import HttpRequestParser

from libs.common.clock import monotonic_seconds

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
LINE_BYTES = 2**24
LOOK_SECONDS = 0.05


class Sink:
    """The receiver, as who measures sees it."""

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.bench.sink", stdin=PIPE, stdout=PIPE, limit=LINE_BYTES
        )
        self.url = f"http://127.0.0.1:{await self._line()}/hook"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._process.kill()
        await self._process.wait()

    async def wait_for(self, count: int, patience_seconds: float) -> float:
        """Return when the last of so many requests came. Raises: TimeoutError."""
        async with asyncio.timeout(patience_seconds):
            while True:
                came, at = await self._ask("count")
                if came >= count:
                    return float(at)
                await asyncio.sleep(LOOK_SECONDS)

    async def alerts(self) -> Counter[str]:
        """Return how often each alert was told."""
        return Counter(await self._ask("alerts"))

    async def _ask(self, what: str) -> Any:
        assert self._process.stdin
        self._process.stdin.write(f"{what}\n".encode())
        return await self._line()

    async def _line(self) -> Any:
        assert self._process.stdout
        return json.loads(await self._process.stdout.readline())


class _Received:
    """What came, in the order of its coming."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.last_at = 0.0

    def add(self, body: bytes) -> None:
        self.bodies.append(body)
        self.last_at = monotonic_seconds()

    def answer(self, asked: str) -> Any:
        if asked == "count":
            return len(self.bodies), self.last_at
        alerts = (alert for body in self.bodies for alert in json.loads(body)["alerts"])
        return Counter(alert.get("id") or alert["labels"]["alert_id"] for alert in alerts)


class _Connection(asyncio.Protocol):
    def __init__(self, received: _Received) -> None:
        self._received = received
        self._parser = HttpRequestParser(self)
        self._body: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        self._received.add(b"".join(self._body))
        self._body = []
        self._transport.write(ANSWER)


async def main() -> None:
    loop, received = asyncio.get_running_loop(), _Received()
    server = await loop.create_server(lambda: _Connection(received), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := await lines.readline():
        print(json.dumps(received.answer(line.decode().strip())), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
