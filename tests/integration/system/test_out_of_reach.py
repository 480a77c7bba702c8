"""A laptop whose repository is down when it wakes, then comes up: real restic, a REST server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest_asyncio

from libs.common.testing.nats import NatsServer
from tests.integration.rest_server import rest_server
from tests.integration.system.stack import Host, Stack
from tests.integration.system.test_real_restic import machine

YEARLY = "0 0 1 1 *"


@pytest_asyncio.fixture
async def stack(nats: NatsServer, tmp_path: Path) -> AsyncIterator[Stack]:
    stack = await Stack.start(
        nats, tmp_path / "server", catchup_retry="300ms", catchup_retry_cap="1s"
    )
    try:
        yield stack
    finally:
        await stack.down()


async def waiting(stack: Stack, host: Host) -> Any:
    """Return the host's catch-up once it waits for its repository."""

    async def waits() -> Any:
        arm = (await stack.host(host))["catch_up"]
        return arm if arm and arm["reason"] else None

    return await stack.until(waits, "the catch-up waits")


async def test_a_catch_up_waits_for_its_repository_and_runs_once_it_is_there(
    stack: Stack, tmp_path: Path
) -> None:
    async with rest_server(tmp_path / "served") as server:
        await server.stop()
        async with machine(stack, tmp_path, always_on=False, url=server.url) as laptop:
            await stack.add_schedule(laptop.host, YEARLY)
            arm = await waiting(stack, laptop.host)
            assert arm["state"] == "waiting"
            assert arm["reason"] == "the repository cannot be reached from the host"
            assert arm["starts_at"] is not None

            async def tried_thrice() -> Any:
                jobs = await stack.jobs(laptop.host)
                return jobs if len(jobs) >= 3 else None

            jobs = await stack.until(tried_thrice, "three attempts")
            ended = [job for job in jobs if job["finished_at"]]
            assert {job["reason"] for job in ended} == {"repository_unreachable"}
            assert all("cannot be reached" in job["error"] for job in ended)
            await server.start()

            async def succeeded() -> Any:
                jobs = await stack.jobs(laptop.host)
                return jobs if jobs[0]["status"] == "succeeded" else None

            jobs = await stack.until(succeeded, "the backup")
            assert [job["attempt"] for job in jobs] == list(range(len(jobs), 0, -1))
            assert {job["origin"] for job in jobs} == {"catchup"}
            assert await stack.alerts(laptop.host, state="resolved") == []
            assert await stack.alerts(laptop.host) == []
            seen = await stack.host(laptop.host)
            assert (seen["last_backup_at"] is not None, seen["attention"]) == (True, False)
