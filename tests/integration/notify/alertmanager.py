"""A real Alertmanager (Debian's prometheus-alertmanager) on loopback, and what it knows."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from libs.common.testing.ports import free_ports

PROGRAM = "prometheus-alertmanager"
START_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Alertmanager:
    url: str
    process: asyncio.subprocess.Process

    async def alerts(self) -> list[dict[str, Any]]:
        """Return what is firing."""
        async with httpx.AsyncClient(timeout=30) as client:
            found = await client.get(f"{self.url}/api/v2/alerts", params={"active": "true"})
        listed: list[dict[str, Any]] = found.raise_for_status().json()
        return listed


@asynccontextmanager
async def alertmanager(
    folder: Path, receiver: str, *, resolve_timeout: str = "5m", group_by: str = "alert_id"
) -> AsyncIterator[Alertmanager]:
    """Start one that tells `receiver` (a webhook) of each alert by itself, as soon as it can."""
    configuration = {
        "global": {"resolve_timeout": resolve_timeout},
        "route": {"receiver": "all", "group_by": [group_by], "group_wait": "0s",
                  "group_interval": "1s", "repeat_interval": "4h"},
        "receivers": [{"name": "all", "webhook_configs": [{"url": receiver}]}],
    }  # fmt: skip
    file = _written(folder, json.dumps(configuration))  # JSON is YAML.
    (port,) = free_ports(1)
    process = await asyncio.create_subprocess_exec(
        PROGRAM, f"--config.file={file}", f"--storage.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address=",
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        made = Alertmanager(f"http://127.0.0.1:{port}", process)
        await _until_ready(made)
        yield made
    finally:
        process.kill()
        await process.wait()


async def _until_ready(made: Alertmanager) -> None:
    async with asyncio.timeout(START_SECONDS), httpx.AsyncClient() as client:
        while True:
            try:
                if (await client.get(f"{made.url}/-/ready")).status_code == 200:
                    return
            except httpx.TransportError:
                assert made.process.returncode is None, "Alertmanager ended at once"
            await asyncio.sleep(0.05)


def _written(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "alertmanager.yml"
    file.write_text(text)
    return file
