"""`dormice up` as a process: it starts, ends and comes back in every way that people do it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import psutil
import pytest

from libs.common.clock import monotonic_seconds
from libs.common.testing.fake_agent import FakeAgent

LISTEN = {
    "DORMICE_UI_LISTEN": "127.0.0.1:0",
    "DORMICE_GATEWAY_LISTEN": "127.0.0.1:0",
    "DORMICE_NATS_LISTEN": "127.0.0.1:0",
}
STOP_SECONDS = 5.0
STARTED: list[asyncio.subprocess.Process] = []


@pytest.fixture(autouse=True)
async def nothing_stays() -> AsyncIterator[None]:
    """A test that failed leaves no `up` behind."""
    yield
    while STARTED:
        process = STARTED.pop()
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def start(data: Path, **settings: str) -> asyncio.subprocess.Process:
    """Start it and return once it has said that it is ready."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("DORMICE_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "cli", "up", "--data", str(data), env=kept | LISTEN | settings,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    STARTED.append(process)
    assert process.stdout is not None
    async with asyncio.timeout(40):
        while line := await process.stdout.readline():
            if line.startswith(b"  bus "):
                return process
    _, said = await process.communicate()
    raise AssertionError(said.decode())


def bus_of(process: asyncio.subprocess.Process) -> psutil.Process:
    (child,) = psutil.Process(process.pid).children()
    assert "nats" in child.name()
    return child


def is_dead(process: psutil.Process) -> bool:
    """An orphan that ended may stand in the table until its new parent looks."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE or not process.is_running()
    except psutil.NoSuchProcess:
        return True


async def stop(process: asyncio.subprocess.Process, number: signal.Signals) -> float:
    """Return how many seconds it took to end in order."""
    started = monotonic_seconds()
    process.send_signal(number)
    async with asyncio.timeout(20):
        await process.wait()
    return monotonic_seconds() - started


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_it_stops_in_order_and_the_bus_with_it(
    tmp_path: Path, number: signal.Signals
) -> None:
    process = await start(tmp_path)
    bus = bus_of(process)
    assert await stop(process, number) < STOP_SECONDS
    assert process.returncode == 0
    assert is_dead(bus)


async def test_it_stops_without_the_bus(tmp_path: Path) -> None:
    process = await start(tmp_path)
    bus = bus_of(process)
    bus.suspend()
    try:
        assert await stop(process, signal.SIGTERM) < STOP_SECONDS
    finally:
        if bus.is_running():
            bus.kill()
    assert process.returncode == 0


async def test_it_stops_while_it_waits_for_a_bus(tmp_path: Path) -> None:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("DORMICE_")}
    nowhere = LISTEN | {"DORMICE_NATS_URL": "nats://127.0.0.1:1"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "cli", "up", "--data", str(tmp_path), env=kept | nowhere,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stderr is not None
    async with asyncio.timeout(20):
        while b"bus_unreachable" not in await process.stderr.readline():
            assert process.returncode is None
    assert await stop(process, signal.SIGTERM) < STOP_SECONDS
    assert process.returncode == 0


async def test_a_bus_that_dies_is_started_again(tmp_path: Path) -> None:
    process = await start(tmp_path)
    first = bus_of(process)
    first.kill()
    async with asyncio.timeout(20):
        while True:
            children = psutil.Process(process.pid).children()
            if children and children[0].pid != first.pid and "nats" in children[0].name():
                break
            await asyncio.sleep(0.05)
    assert await stop(process, signal.SIGTERM) < STOP_SECONDS


async def test_a_second_one_on_the_same_directory_is_refused_with_one_line(
    tmp_path: Path,
) -> None:
    process = await start(tmp_path)
    with pytest.raises(AssertionError, match="another `dormice up` is running") as refused:
        await start(tmp_path)
    assert len(str(refused.value).strip().splitlines()) == 1
    await stop(process, signal.SIGTERM)


async def test_after_a_kill_the_next_one_takes_over_at_once(tmp_path: Path) -> None:
    """Same directory, same ports: the dying predecessor's lock and ports are waited for."""
    first = await start(tmp_path)
    ports = {
        "DORMICE_UI_LISTEN": (tmp_path / "ui.url").read_text().strip().removeprefix("http://"),
        "DORMICE_NATS_LISTEN": (tmp_path / "nats.url").read_text().strip().removeprefix("nats://"),
    }
    bus = bus_of(first)
    first.kill()
    second = await start(tmp_path, **ports)
    await first.wait()
    assert is_dead(bus)
    assert await stop(second, signal.SIGTERM) < STOP_SECONDS


def api_of(data: Path) -> httpx.AsyncClient:
    token = (data / "admin-token").read_text().strip()
    return httpx.AsyncClient(
        base_url=(data / "ui.url").read_text().strip() + "/api/v1",
        headers={"Authorization": f"Bearer {token}"},
    )


async def command(data: Path, *words: str) -> tuple[int | None, str]:
    """Return exit code and stderr of a command beside the data directory."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "cli", *words, "--data", str(data), env=os.environ | LISTEN,
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _, said = await process.communicate()
    return process.returncode, said.decode()


def intervals(data: Path) -> list[tuple[object, ...]]:
    """What presence's file holds of the past."""
    with contextlib.closing(sqlite3.connect(data / "presence.db")) as db:
        return db.execute("SELECT * FROM interval ORDER BY 1, 2").fetchall()


def ledger(data: Path) -> list[tuple[object, ...]]:
    """What jobs' file holds of what was asked for."""
    with contextlib.closing(sqlite3.connect(data / "jobs.db")) as db:
        return db.execute(
            "SELECT job_id, kind, status, requested_by, created_at FROM job"
        ).fetchall()


async def ask_for_a_backup(api: httpx.AsyncClient, host_id: str) -> None:
    path = f"/hosts/{host_id}"
    await api.put(f"{path}/repository", json={"url": "/r", "password": "x"})
    group = await api.post(f"{path}/source-groups", json={"name": "home", "includes": ["/home"]})
    wanted = {"source_group_id": group.json()["id"], "when_it_wakes": True}
    assert (await api.post(f"{path}/backup", json=wanted)).status_code == 202


async def test_a_rebuilt_file_holds_what_the_damaged_one_did(tmp_path: Path) -> None:
    """Timelines, silences and what waits for its host come back from the log."""
    process = await start(tmp_path)
    async with api_of(tmp_path) as api:
        token = (await api.post("/enrollment-tokens", json={})).json()["token"]
        gateway = (tmp_path / "gateway.url").read_text().strip()
        async with await FakeAgent.enroll(gateway, token, hostname="web-3") as agent:
            await agent.connect()
            await agent.goodbye("shutdown")
        async with asyncio.timeout(20):
            while (await api.get(f"/hosts/{agent.host_id}")).json()["status"] != "offline":
                await asyncio.sleep(0.05)
        silence = {"host_id": agent.host_id, "for": "3h", "reason": "moved to another rack"}
        silenced = (await api.post("/silences", json=silence)).json()
        await ask_for_a_backup(api, agent.host_id)
    await stop(process, signal.SIGTERM)
    before, waiting = intervals(tmp_path), ledger(tmp_path)
    assert [row[1:3] for row in waiting] == [("backup", "requested")]
    assert len(before) == 3  # Enrolled, online, offline.
    (tmp_path / "presence.db").write_bytes(b"this is no database" * 500)
    assert await command(tmp_path, "rebuild", "presence") == (0, "")
    assert (tmp_path / "presence.db.before-rebuild").read_bytes().startswith(b"this is no")
    assert intervals(tmp_path) == before
    (tmp_path / "alerting.db").unlink()
    assert await command(tmp_path, "rebuild", "alerting") == (0, "")
    (tmp_path / "jobs.db").unlink()
    assert await command(tmp_path, "rebuild", "jobs") == (0, "")
    assert ledger(tmp_path) == waiting
    process = await start(tmp_path)
    async with api_of(tmp_path) as api:
        assert (await api.get("/silences")).json()["items"] == [silenced]
    await stop(process, signal.SIGTERM)
    assert intervals(tmp_path) == before
