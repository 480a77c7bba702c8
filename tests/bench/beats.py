"""Heartbeats that the whole system answers in a second, beside a bare WebSocket echo server, and
beside healthchecks' pings where there is one (`healthchecks/`).

Agents send the next one as soon as the last is answered, from this process; all servers are
processes of their own.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.uri import parse_uri

from cli.bench.line import Line
from tests.bench.healthchecks import installed
from tests.bench.healthchecks.pings import pings
from tests.bench.rate import answers_a_second
from tests.bench.system import up

AGENTS = 100
SECONDS = 4.0
BEAT = b'{"type": "heartbeat", "now": "2026-01-01T00:00:00Z"}'
HELLO = {
    "type": "hello", "protocol": 1, "connection": 1, "agent_version": "bench", "hostname": "x",
    "os": "linux", "arch": "amd64", "timezone": "UTC", "boot_id": "b", "config_version": 0,
}  # fmt: skip


class Beater:
    """Says hello, and then beats as fast as it is answered."""

    def __init__(self, uri: str, token: str, *, greets: bool) -> None:
        self._uri, self._token, self._greets = parse_uri(uri), token, greets
        self.answered = 0
        self.stopped = False

    async def start(self) -> None:
        self._line = Line(self._uri, self._token, self)
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: self._line, self._uri.host, self._uri.port)

    def stop(self) -> None:
        self.stopped = True
        self._line.cut()

    def on_open(self) -> None:
        self._line.send(json.dumps(HELLO).encode() if self._greets else BEAT)

    def on_frame(self, frame: dict[str, Any]) -> None:
        if frame["type"] in ("beat", "heartbeat"):
            self.answered += 1
        if frame["type"] in ("beat", "heartbeat", "welcome"):
            self._line.send(BEAT)

    def on_lost(self, code: int | None, reason: str) -> None:
        assert self.stopped, (code, reason)


async def measure(folder: Path) -> dict[str, float]:
    """Return answers a second of ours and of the others, and ours ÷ healthchecks'."""
    async with up(folder / "ours") as running:
        uri = running.gateway.replace("http", "ws", 1) + "/agent/v1"
        agents = [await running.enrol(f"h{number}", always_on=True) for number in range(AGENTS)]
        beaters = [Beater(uri, agent.token, greets=True) for agent in agents]
        ours = await answers_a_second(beaters, SECONDS)
    found = {"ours": ours, "bare": await _bare()}
    if (code := installed.source()) is not None:
        found["pings"] = await pings(code, folder, SECONDS)
        found["ratio"] = ours / found["pings"]
    return found


async def _bare() -> float:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bench.beats", stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        port = int(await process.stdout.readline())
        uri = f"ws://127.0.0.1:{port}/"
        beaters = [Beater(uri, "x", greets=False) for _ in range(AGENTS)]
        return await answers_a_second(beaters, SECONDS)
    finally:
        process.terminate()
        await process.wait()


async def _echo(connection: ServerConnection) -> None:
    async for message in connection:
        await connection.send(message)


async def _serve() -> None:
    async with serve(_echo, "127.0.0.1", 0, compression=None) as server:
        print(next(iter(server.sockets)).getsockname()[1], flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve())
