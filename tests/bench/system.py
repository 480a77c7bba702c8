"""Figures of the whole embedded system: how soon it is ready, what it weighs, how fast it acts."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from statistics import quantiles
from typing import Any

import httpx
import psutil

from libs.common.clock import SystemClock, monotonic_seconds
from libs.common.testing.fake_agent import FakeAgent

READY_SECONDS = 120
SETTLE = timedelta(seconds=1)
IDLE_HOSTS = 10
LAPTOPS = 120


def p99(found: list[float]) -> float:
    """Return the 99th percentile, never beyond what was seen."""
    return quantiles(found, n=100, method="inclusive")[98]


class Running:
    """A `dormice up` in its own process."""

    def __init__(self, process: asyncio.subprocess.Process, data: Path) -> None:
        self.process, self.data = process, data
        self.gateway = (data / "gateway.url").read_text().strip()
        token = (data / "admin-token").read_text().strip()
        self.api = httpx.AsyncClient(
            base_url=(data / "ui.url").read_text().strip() + "/api/v1",
            headers={"Authorization": f"Bearer {token}"},
            timeout=15,
        )

    async def post(self, path: str, **body: object) -> dict[str, str]:
        answer = await self.api.post(path, json=body)
        answer.raise_for_status()
        found: dict[str, str] = answer.json()
        return found

    async def enrol(self, name: str, *, always_on: bool) -> FakeAgent:
        token = (await self.post("/enrollment-tokens", always_on=always_on))["token"]
        return await FakeAgent.enroll(self.gateway, token, hostname=name)


@asynccontextmanager
async def up(data: Path, **settings: str) -> AsyncIterator[Running]:
    """Start it, yield once it has printed that it is ready, end it."""
    # Compiled once and kept, as on a user's machine: the second start is the one that counts.
    not_kept = ("DORMICE_", "PYTHONDONTWRITEBYTECODE")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(not_kept)}
    listen = {"DORMICE_UI_LISTEN": "127.0.0.1:0", "DORMICE_GATEWAY_LISTEN": "127.0.0.1:0",
              "DORMICE_NATS_LISTEN": "127.0.0.1:0"}  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "cli", "up", "--data", str(data), env=kept | listen | settings,
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        async with asyncio.timeout(READY_SECONDS):
            while b"bus " not in await process.stdout.readline():
                pass
        running = Running(process, data)
        yield running
        await running.api.aclose()
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def ready(folder: Path) -> dict[str, float]:
    """Seconds from the start of the process to ready, on a data directory that was used before."""
    async with up(folder):
        pass
    started = monotonic_seconds()
    async with up(folder):
        return {"seconds": monotonic_seconds() - started}


async def idle(folder: Path) -> dict[str, float]:
    """Megabytes of resident memory of `up` and its nats-server with ten connected hosts."""
    async with up(folder) as running:
        agents = [await running.enrol(f"h{n}", always_on=True) for n in range(IDLE_HOSTS)]
        for agent in agents:
            await agent.connect()
        whole = psutil.Process(running.process.pid)
        family = [whole, *whole.children(recursive=True)]
        size = sum(process.memory_info().rss for process in family)
        for agent in agents:
            await agent.abort()
        return {"megabytes": size / 1e6}


async def settle(folder: Path) -> dict[str, float]:
    """Of some laptops, from the end of the settle time to the `run` frame at the agent: p99."""
    times = {
        "DORMICE_CATCHUP_SETTLE": f"{SETTLE.total_seconds():.0f}s",
        "DORMICE_CATCHUP_MAX_FLEET": "1000",
        "DORMICE_CATCHUP_MAX_REPOSITORY": "1000",
    }
    async with up(folder, **times) as running:
        agents = [await _laptop(running, number) for number in range(LAPTOPS)]
        late = []
        for agent in agents:
            await agent.connect()
            late.append(asyncio.create_task(_run_after(running, agent)))
            await asyncio.sleep(0.1)
        found = list(await asyncio.gather(*late))
        for agent in agents:
            await agent.abort()
        return {"p99": p99(found)}


async def _laptop(running: Running, number: int) -> FakeAgent:
    agent = await running.enrol(f"laptop-{number}", always_on=False)
    path = f"/hosts/{agent.host_id}"
    (await running.api.put(f"{path}/repository", json={"url": f"/r/{number}", "password": "x"}))
    group = await running.post(f"{path}/source-groups", name="home", includes=["/home"])
    await running.post(f"{path}/schedules", cron="0 2 * * *", source_group_ids=[group["id"]])
    return agent


async def _run_after(running: Running, agent: FakeAgent) -> float:
    host: dict[str, Any] = {}
    while not host.get("catch_up"):
        await asyncio.sleep(0.1)  # Asking is no part of what is measured.
        host = (await running.api.get(f"/hosts/{agent.host_id}")).json()
    await agent.wait_for("run")
    came = SystemClock().now()
    due = datetime.fromisoformat(host["catch_up"]["due_at"])
    return (came - due) / timedelta(milliseconds=1)
