"""Figures of the whole embedded system: how soon it is ready, what it weighs, how fast it acts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psutil

from cli.bench.crowd import percentile
from cli.bench.server import OwnServer
from libs.common.clock import SystemClock, monotonic_seconds
from libs.common.testing.fake_agent import FakeAgent

SETTLE = timedelta(seconds=1)
IDLE_HOSTS = 10
LAPTOPS = 120
LOCAL = {"DORMICE_ALLOW_TARGETS": "127.0.0.0/8"}
"""Lets it tell a receiver on this machine."""


class Running:
    """A `dormice up` in its own process, and a client of its API."""

    def __init__(self, server: OwnServer) -> None:
        self.server, self.gateway = server, server.gateway
        self.api = httpx.AsyncClient(
            base_url=server.where.url + "/api/v1",
            headers={"Authorization": f"Bearer {server.where.token}"},
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
    """Start it, yield once it is ready, end it if it still runs."""
    server = OwnServer(data, **settings)
    try:
        await server.start()
        running = Running(server)
        yield running
        await running.api.aclose()
    finally:
        await server.stop()


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
        whole = psutil.Process(running.server.pid)
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
        return {"p99": percentile(found, 99)}


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
