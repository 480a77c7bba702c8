"""The control plane as users run it: a nats-server, and each service a process of its own.

Between every service and the bus, and between the agents and the gateway, stands a proxy that can
cut and slow. What the bus stores and what services keep lies in separate folders; some of these are
small disks.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import socket
from collections.abc import Mapping
from pathlib import Path
from random import Random

import httpx

from cli.services import NAMES
from libs.common.testing.nats import NatsServer
from tests.chaos.disk import SmallDisk
from tests.chaos.figures import SETTINGS, START_SECONDS
from tests.chaos.lines import Lines
from tests.chaos.plan import AGENTS, Plan
from tests.chaos.process import Process

PORTS = range(20000, 32000)
"""Below those that outgoing connections take, so that nobody is on them after a kill."""
LOOK_SECONDS = 0.2
HERE = "127.0.0.1"


class Missing(AssertionError):
    """A tool that chaos needs is not installed; the message names its package."""


def check_tools() -> None:
    """Raises: Missing."""
    if not list(_faketime_libraries()):
        raise Missing("the clock that jumps needs libfaketime (Debian: apt install libfaketime)")
    if shutil.which("mount") is None:
        raise Missing("the small disks need mount (Debian: apt install mount)")
    if os.geteuid() != 0:
        raise Missing("the small disks are mounted by root: run this as root")


def _faketime_libraries() -> list[Path]:
    return sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))


class Deployment:
    """Everything that is not an agent, a person or a receiver."""

    def __init__(self, folder: Path, plan: Plan, *, keep: bool) -> None:
        self.folder, self.plan, self.keep = folder, plan, keep
        self.nats = NatsServer(folder / "bus")
        self.nats_turn = asyncio.Lock()
        self.disks = {name: SmallDisk(folder / name) for name in plan.disks}
        self.lines = Lines({})
        self.processes: dict[str, Process] = {}
        self.clock_file = folder / "clock"
        self._ports = _free_ports(len(NAMES) + 1)
        self.ports = dict(zip(NAMES, self._ports, strict=False))

    async def start(self) -> None:
        """Return once every service says that it is ready."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.set_clock(0.0)
        for disk in self.disks.values():
            disk.mount()
        self.nats.start()
        await self.nats.create_topology()
        self.lines = Lines(
            dict.fromkeys(NAMES, self.nats.address) | {AGENTS: (HERE, self.ports["gateway"])}
        )
        await self.lines.start()
        for name in NAMES:
            await self._start_service(name)
        async with asyncio.timeout(START_SECONDS):
            while await self.not_ready():
                await asyncio.sleep(LOOK_SECONDS)

    async def _start_service(self, name: str) -> None:
        data = self.folder / name
        data.mkdir(exist_ok=True)
        password = self.folder / f"{name}.bus-password"
        password.write_text(self.nats.passwords[name])
        password.chmod(0o600)
        self.processes[name] = Process(name, data, self._environment(name, password))
        await self.processes[name].start()

    def _environment(self, name: str, password: Path) -> Mapping[str, str]:
        own, bus = f"{HERE}:{self.ports[name]}", f"nats://{HERE}:{self.lines.ports[name]}"
        env = SETTINGS | {
            "DORMICE_NATS_URL": bus, "DORMICE_NATS_USER": name,
            "DORMICE_NATS_PASSWORD_FILE": str(password), "DORMICE_HEALTH_LISTEN": own,
            "DORMICE_UI_LISTEN": f"127.0.0.1:{self.ports['ui']}",
            "DORMICE_GATEWAY_LISTEN": f"127.0.0.1:{self.ports['gateway']}",
        }  # fmt: skip
        return env | (self._jumping_clock() if name == self.plan.clock else {})

    def _jumping_clock(self) -> dict[str, str]:
        """What shows a process another time of day; its monotonic clock stays."""
        return {
            "LD_PRELOAD": str(_faketime_libraries()[0]),
            "FAKETIME_TIMESTAMP_FILE": str(self.clock_file), "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1", "NO_FAKE_STAT": "1",
        }  # fmt: skip

    def set_clock(self, ahead_seconds: float) -> None:
        self.clock_file.write_text(f"{ahead_seconds:+.0f}\n")

    async def stop(self) -> None:
        """End everything, whatever state it is in."""
        for process in self.processes.values():
            await process.end()
        await asyncio.to_thread(self.nats.kill)
        await self.lines.stop()
        for disk in self.disks.values():
            disk.unmount(keep=self.keep)

    # -- where things are --------------------------------------------------------------------------

    @property
    def web(self) -> str:
        return f"http://127.0.0.1:{self.ports['ui']}"

    @property
    def gateway(self) -> str:
        """Where agents dial: through the proxy."""
        return f"http://127.0.0.1:{self.lines.ports[AGENTS]}"

    @property
    def admin_token(self) -> str:
        return (self.folder / "ui" / "admin-token").read_text().strip()

    async def not_ready(self) -> list[str]:
        """Return why /readyz of which service is not 200."""
        async with httpx.AsyncClient(trust_env=False, timeout=5) as client:
            answers = await asyncio.gather(*(self._readiness(client, name) for name in NAMES))
        return [answer for answer in answers if answer]

    async def _readiness(self, client: httpx.AsyncClient, name: str) -> str:
        try:
            answer = await client.get(f"http://127.0.0.1:{self.ports[name]}/readyz")
        except httpx.HTTPError as error:
            return f"{name}: /readyz {error!r}"
        return "" if answer.status_code == 200 else f"{name}: /readyz {answer.text}"

    async def backlog(self) -> dict[str, int]:
        """Return how many decided events of which service are not on the bus yet; -1: unknown."""
        async with httpx.AsyncClient(trust_env=False, timeout=5) as client:
            counts = await asyncio.gather(*(self._waiting(client, name) for name in NAMES))
        return {name: count for name, count in zip(NAMES, counts, strict=True) if count}

    async def _waiting(self, client: httpx.AsyncClient, name: str) -> int:
        try:
            text = (await client.get(f"http://{HERE}:{self.ports[name]}/metrics")).text
        except httpx.HTTPError:
            return -1
        found = re.search(r"^dormice_outbox_waiting\S* (\d+)", text, re.MULTILINE)
        return int(found[1]) if found else -1

    # -- the bus -----------------------------------------------------------------------------------

    async def kill_bus(self, down_seconds: float) -> None:
        async with self.nats_turn:
            await asyncio.to_thread(self.nats.kill)
            await asyncio.sleep(down_seconds)
            self.nats.start()

    async def restart_bus(self, down_seconds: float) -> None:
        async with self.nats_turn:
            await asyncio.to_thread(self.nats.stop)
            await asyncio.sleep(down_seconds)
            self.nats.start()

    async def freeze_bus(self, seconds: float) -> None:
        async with self.nats_turn:
            os.kill(self.nats.pid, signal.SIGSTOP)
            try:
                await asyncio.sleep(seconds)
            finally:
                os.kill(self.nats.pid, signal.SIGCONT)


def _free_ports(count: int) -> list[int]:
    """Return ports that nobody uses now."""
    found: list[int] = []
    for port in Random().sample(PORTS, len(PORTS)):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            break
    return found
