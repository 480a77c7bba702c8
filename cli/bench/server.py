"""The control plane under load: one of our own, started for it, or one that is there already."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

from cli.client import Where
from libs.common.errors import Unavailable

FREE_PORTS = {f"DORMICE_{name}_LISTEN": "127.0.0.1:0" for name in ("UI", "GATEWAY", "NATS")}
NOT_KEPT = ("DORMICE_", "PYTHONDONTWRITEBYTECODE")
"""The server compiles once and keeps that, as on a user's machine."""

START_SECONDS = 120.0
STOP_SECONDS = 20.0
_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
_LAST_LINE = re.compile(rb" +bus ")


@dataclass(frozen=True, slots=True)
class Used:
    """Of the server's processes: CPU seconds since their start, resident bytes."""

    python_seconds: float = 0.0
    bus_seconds: float = 0.0
    resident_bytes: int = 0


class OwnServer:
    """A `dormice up` in a process of its own, on `data`, on free ports, with these settings."""

    def __init__(self, data: Path, **settings: str) -> None:
        self._data, self._settings = data, FREE_PORTS | settings
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Return when it is ready. Raises: Unavailable."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(NOT_KEPT)}
        self._data.mkdir(parents=True, exist_ok=True)
        with (self._data / "up.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-P", "-m", "cli", "up", "--data", str(self._data),
                env=kept | self._settings, stdout=asyncio.subprocess.PIPE, stderr=log,
                start_new_session=True,
            )  # fmt: skip
        try:
            async with asyncio.timeout(START_SECONDS):
                await self._ready()
        except TimeoutError:
            raise Unavailable(f"the server did not start; see {self._data}") from None

    async def _ready(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            if _LAST_LINE.match(line):
                return
        raise Unavailable(f"the server ended; see {self._data}/up.log")

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def gateway(self) -> str:
        """The address that agents dial."""
        return (self._data / "gateway.url").read_text("utf-8").strip()

    @property
    def where(self) -> Where:
        """The address of the API, and the first admin's token."""
        token = (self._data / "admin-token").read_text("utf-8").strip()
        return Where((self._data / "ui.url").read_text("utf-8").strip(), token)

    def used(self) -> Used:
        """Return what it used so far; zeros where there is no /proc."""
        process = self._process
        if process is None or not Path("/proc/self/stat").exists():
            return Used()
        bus = [pid for pid in _processes() if _parent(pid) == process.pid]
        own = _cpu_seconds(process.pid)
        return Used(own, sum(map(_cpu_seconds, bus)), _resident_bytes(process.pid))

    async def kill(self) -> None:
        """End it as `kill -9` does."""
        assert self._process is not None
        self._process.kill()
        await self._process.wait()

    async def stop(self) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.communicate(), STOP_SECONDS)
        except TimeoutError:
            await self.kill()


def _processes() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat after the name; none if it has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    except OSError:
        return []


def _parent(pid: int) -> int:
    fields = _stat(pid)
    return int(fields[1]) if fields else 0


def _cpu_seconds(pid: int) -> float:
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) / _TICKS if fields else 0.0


def _resident_bytes(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text("utf-8").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
