"""The agent of `dormice up --with-this-machine`: it never outlives the `up` that started it."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import psutil
import pytest

from cli import this_machine

DEAF = "import signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); " \
       "open(sys.argv[1], 'w').write(str(__import__('os').getpid())); time.sleep(60)"  # fmt: skip


async def pid_in(file: Path) -> int:
    async with asyncio.timeout(30):
        while (pid := read_pid(file)) is None:
            await asyncio.sleep(0.02)
    return pid


def read_pid(file: Path) -> int | None:
    return int(file.read_text()) if file.exists() and file.read_text() else None


async def until_dead(pid: int) -> None:
    async with asyncio.timeout(10):
        while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
            await asyncio.sleep(0.02)


async def test_one_that_does_not_listen_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(this_machine, "STOP_SECONDS", 0.1)
    command = [sys.executable, "-c", DEAF, str(tmp_path / "pid")]
    running = asyncio.create_task(this_machine._keep_running(command, {}))
    pid = await pid_in(tmp_path / "pid")
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert not psutil.pid_exists(pid)


async def test_it_dies_with_a_killed_up(tmp_path: Path) -> None:
    command = [sys.executable, "-c", DEAF, str(tmp_path / "pid")]
    code = (
        "import asyncio; from cli import this_machine; "
        f"asyncio.run(this_machine._keep_running({command!r}, {{}}))"
    )
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", code)
    pid = await pid_in(tmp_path / "pid")
    parent.kill()
    await parent.wait()
    await until_dead(pid)


def test_this_machine_is_the_host_that_it_became(tmp_path: Path) -> None:
    (tmp_path / "identity.json").write_text(json.dumps({"host_id": "h7", "agent_token": "x"}))
    assert this_machine._host_id(tmp_path) == "h7"
