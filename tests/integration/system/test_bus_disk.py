"""The bus's own disk fills up: it is told, survived, and over once there is room.

nats-server remembers for the rest of its life that a write failed, so `dormice up` starts it again.
"""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from libs.common.bus.base import BusAway, Outgoing
from libs.common.bus.nats import NatsBus
from libs.common.ids import new_id
from tests.integration.system.test_up import STOP_SECONDS, start, stop

ROOM = 1 << 20


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 40 MiB; mounting takes root."""
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40m", "none", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(disk: Path) -> Path:
    """Take all the room but a little: what SQLite needs for some more commits."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 65536)
        except OSError:
            file.truncate(file.tell() - ROOM)
    return ballast


async def write_until_refused(data: Path) -> None:
    """Have the log take what is left, with events that no service looks at."""
    password = json.loads((data / "nats" / "passwords.json").read_text())["gateway"]
    bus = NatsBus((data / "nats.url").read_text().strip(), user="gateway", password=password)
    await bus.connect()
    stored = 0
    try:
        while True:
            event = Outgoing(new_id(), "dormice.agent.h.dreamt", b"x" * 200_000)
            stored = await bus.publish([event])
    except BusAway:
        assert stored
    await bus.close()


@pytest_asyncio.fixture
async def running(disk: Path) -> AsyncIterator[Path]:
    """`dormice up` on the small disk: its data directory."""
    process = await start(disk / "data")
    yield disk / "data"
    assert await stop(process, signal.SIGTERM) < STOP_SECONDS


async def test_a_bus_whose_disk_was_full_stores_again(disk: Path, running: Path) -> None:
    data = running
    bearer = {"Authorization": f"Bearer {(data / 'admin-token').read_text().strip()}"}
    url = (data / "ui.url").read_text().strip()
    async with httpx.AsyncClient(base_url=url, headers=bearer, timeout=20) as api:

        async def ask() -> int:
            return (await api.post("/api/v1/enrollment-tokens", json={})).status_code

        async def readiness() -> httpx.Response:
            return await api.get("/readyz")

        assert await ask() == 201
        ballast = fill(disk)
        await write_until_refused(data)
        assert await ask() == 503
        assert (await readiness()).status_code == 503
        ballast.unlink()
        async with asyncio.timeout(60):
            while await ask() != 201 or (await readiness()).status_code != 200:
                await asyncio.sleep(0.5)
