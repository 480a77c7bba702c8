"""`dormice run SERVICE` as users run it: a process with its own bus user, file and listener.

It is started again whenever it ends, as a container is; an end that nobody asked for is kept as a
defect, unless its disk was full.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from libs.common.aio import cancel
from libs.common.bus import child_shim

AGAIN_SECONDS = 1.0
REFUSED_SECONDS = 120.0
OPEN_SECONDS = 120.0
LOOK_SECONDS = 0.1
NO_LISTENERS = {
    "DORMICE_HEALTH_LISTEN": "",
    "DORMICE_UI_LISTEN": "127.0.0.1:0",
    "DORMICE_GATEWAY_LISTEN": "127.0.0.1:0",
}
"""Of a second instance: it shall meet the first at their file, not at their port."""


class Process:
    """One service. `turn` is held by whoever needs it to stay as it is for a while."""

    def __init__(self, service: str, data: Path, env: Mapping[str, str]) -> None:
        self.service, self.data = service, data
        self.stderr = data.parent / f"{service}.stderr"
        self.turn = asyncio.Lock()
        self.kills = 0
        self.may_refuse = False
        self.ended_by_itself: list[str] = []
        self._env = dict(os.environ) | dict(env)
        self._watcher: asyncio.Task[None] | None = None
        self._process: asyncio.subprocess.Process

    async def start(self) -> None:
        self._process = await self._spawn(self.stderr, self._env)
        self._watcher = asyncio.create_task(self._watch())

    async def _spawn(self, stderr: Path, env: dict[str, str]) -> asyncio.subprocess.Process:
        """It dies with this process, however that dies."""
        read_fd, write_fd = os.pipe()
        shim = (sys.executable, "-I", "-S", child_shim.__file__, str(os.getpid()), str(read_fd))
        command = (sys.executable, "-m", "cli", "run", self.service, "--data", str(self.data),
                   "--log-level", "warning")  # fmt: skip
        with stderr.open("ab") as errors:
            process = await asyncio.create_subprocess_exec(
                *shim, *command, env=env, stdout=errors, stderr=errors, pass_fds=(read_fd,)
            )
        os.close(read_fd)
        os.close(write_fd)
        return process

    async def _watch(self) -> None:
        """Note an end that nobody asked for, and start it again."""
        while True:
            code = await self._process.wait()
            if not self.may_refuse:
                self.ended_by_itself.append(f"{self.service} ended with {code}: {self.last_words}")
            await asyncio.sleep(AGAIN_SECONDS)
            self._process = await self._spawn(self.stderr, self._env)

    @property
    def last_words(self) -> str:
        lines = self.stderr.read_text(errors="replace").strip().splitlines()
        return lines[-1][:500] if lines else ""

    async def kill(self, down_seconds: float) -> None:
        """kill -9, and start it again after a while."""
        async with self.turn:
            await self.end()
            self.kills += 1
            await asyncio.sleep(down_seconds)
            await self.start()

    async def end(self) -> None:
        """kill -9, and leave it so."""
        if self._watcher is not None:
            await cancel(self._watcher)
            self._watcher = None
        if self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def stop(self, seconds: float) -> bool:
        """SIGSTOP, and SIGCONT after a while; False if it was killed in between."""
        stopped = self._process
        if stopped.returncode is not None:
            return False
        stopped.send_signal(signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
        finally:
            if stopped.returncode is None:
                stopped.send_signal(signal.SIGCONT)
        return stopped.returncode is None

    async def _wait_open(self) -> None:
        """Return once it has its file. Raises: TimeoutError."""
        async with asyncio.timeout(OPEN_SECONDS):
            while not self._holds_lock():
                await asyncio.sleep(LOOK_SECONDS)

    def _holds_lock(self) -> bool:
        """The kernel knows; to try the lock would be in the way of who takes it."""
        path = self.data / f"{self.service}.db.lock"
        inode = f":{path.stat().st_ino}" if path.exists() else None
        held = (line.split() for line in Path("/proc/locks").read_text().splitlines())
        return inode is not None and any(
            fields[1] == "FLOCK" and fields[4] == str(self._process.pid)
            and fields[5].endswith(inode)
            for fields in held
        )  # fmt: skip

    async def refuse_second(self) -> list[str]:
        """Start a second one on the same file; return what is wrong with how it refuses."""
        async with self.turn:
            await self._wait_open()
            said = self.stderr.with_suffix(".second")
            said.unlink(missing_ok=True)
            env = {name: text for name, text in self._env.items() if name != "LD_PRELOAD"}
            second = await self._spawn(said, env | NO_LISTENERS)
            try:
                async with asyncio.timeout(REFUSED_SECONDS):
                    code = await second.wait()
            except TimeoutError:
                second.kill()
                await second.wait()
                return [f"a second {self.service} on the same file was not refused"]
            lines = said.read_text().strip().splitlines()
            good = code == 1 and len(lines) == 1 and "is in use by another process" in lines[0]
            return [] if good else [f"a second {self.service} ended with {code}, saying {lines}"]
