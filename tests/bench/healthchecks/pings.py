"""How fast a healthchecks takes pings. It runs as its own Docker image runs it: uWSGI with four
processes, SQLite. What pings, is a cron job's `curl`: a connection each."""

from __future__ import annotations

import asyncio
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

from libs.common.testing.ports import free_ports
from tests.bench.healthchecks.installed import Healthchecks
from tests.bench.rate import START_SECONDS, answers_a_second

CHECKS, AT_ONCE = 100, 50
PROCESSES = 4


async def pings(code: Path, folder: Path, seconds: float) -> float:
    """Return how many pings a second it answers, on an empty database in `folder`."""
    peer = Healthchecks(code, folder)
    checks = await peer.make_checks(CHECKS)
    async with _served(peer) as port:
        pingers = [Pinger(port, checks[place::AT_ONCE]) for place in range(AT_ONCE)]
        rate = await answers_a_second(pingers, seconds)
        refused = [pinger.refused for pinger in pingers if pinger.refused]
        assert not refused, refused[0]
        return rate


@asynccontextmanager
async def _served(peer: Healthchecks) -> AsyncIterator[int]:
    """Serve it on loopback, and yield the port."""
    (port,) = free_ports(1)
    process = await asyncio.create_subprocess_exec(
        peer.code / ".venv/bin/uwsgi", "--master", "--die-on-term", "--thunder-lock",
        "--disable-logging", "--enable-threads", "--processes", str(PROCESSES),
        "--http-socket", f"127.0.0.1:{port}", "--home", peer.code / ".venv",
        "--module", "hc.wsgi:application",
        cwd=peer.code, env=peer.environment, stdout=DEVNULL, stderr=DEVNULL,
    )  # fmt: skip
    try:
        await _until_open(port, process)
        yield port
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _until_open(port: int, process: asyncio.subprocess.Process) -> None:
    async with asyncio.timeout(START_SECONDS):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except ConnectionError:
                assert process.returncode is None, "uWSGI ended at once"
                await asyncio.sleep(0.05)
            else:
                writer.close()
                return


class Pinger(asyncio.Protocol):
    """Pings one check after the other, each once the last was answered, until one is refused."""

    def __init__(self, port: int, checks: Sequence[str]) -> None:
        self._port, self._checks = port, checks
        self.answered = 0
        self.refused = b""
        self._stopped = False
        self._heard = b""

    async def start(self) -> None:
        await asyncio.get_running_loop().create_connection(lambda: self, "127.0.0.1", self._port)

    def stop(self) -> None:
        self._stopped = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._heard = b""
        check = self._checks[self.answered % len(self._checks)]
        request = f"GET /ping/{check} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        cast(asyncio.Transport, transport).write(request.encode())

    def data_received(self, data: bytes) -> None:
        self._heard += data

    def connection_lost(self, _: Exception | None) -> None:
        if self._stopped:
            return
        if not self._heard.startswith(b"HTTP/1.1 200"):
            self.refused = self._heard[:200] or b"closed without an answer"
            return
        self.answered += 1
        self._again = asyncio.ensure_future(self.start())
