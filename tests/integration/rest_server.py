"""A REST server for restic's repositories, as a program of its own: `rclone serve restic`."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

PATIENCE_SECONDS = 20


class RestServer:
    """Serves one folder at one address, whether it runs just now or not."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port: int = probe.getsockname()[1]
        self.url = f"rest:http://127.0.0.1:{self._port}/repository-canary-1234/"
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            "rclone", "serve", "restic", "--addr", f"127.0.0.1:{self._port}", str(self.folder),
            env={**os.environ, "RCLONE_CONFIG": os.devnull},
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not await self._answers():
                await asyncio.sleep(0.05)

    async def stop(self) -> None:
        """End it at once, as a server that loses its power; nobody answers from now on."""
        if self._process is not None:
            self._process.kill()
            await self._process.wait()
            self._process = None

    async def _answers(self) -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self._port)
        except ConnectionRefusedError:
            return False
        writer.close()
        await writer.wait_closed()
        return True


@asynccontextmanager
async def rest_server(folder: Path) -> AsyncIterator[RestServer]:
    server = RestServer(folder)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()
