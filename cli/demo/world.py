"""The demonstration's world: a real control plane and five real agents, each its own process.

Time is told as 1 s ≈ 4 h: what takes a server 15 minutes or a laptop a week takes seconds here.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from cli.client import ANYWHERE
from libs.common.errors import RemoteError, Unavailable
from libs.common.ids import new_secret

CONTROL_PLANE = {
    "DORMICE_HEARTBEAT_INTERVAL": "1s",
    "DORMICE_OFFLINE_AFTER": "3s",
    "DORMICE_AGENT_OFFLINE_FLOOR": "6s",
    "DORMICE_CATCHUP_SETTLE": "3s",
    "DORMICE_STALE_AFTER": "40s",
    "DORMICE_NATS_LISTEN": "127.0.0.1:0",
}
AGENT = {"DORMICE_AGENT_BACKOFF_MIN": "200ms", "DORMICE_AGENT_BACKOFF_MAX": "1s",
         "DORMICE_AGENT_AWAKE_TOLERANCE": "2s", "DORMICE_AGENT_CLOCK_SLICE": "500ms",
         "DORMICE_AGENT_LOG_LEVEL": "warning"}  # fmt: skip
START_SECONDS = 30
KIB_A_SECOND = 512
MUCH_BYTES = 2 * 1024 * 1024


@dataclass
class Member:
    """A host of the fleet: its agent's process and what it was given."""

    name: str
    always_on: bool
    host_id: str = ""
    group_id: str = ""
    process: asyncio.subprocess.Process | None = None
    closed: bool = False


@dataclass
class World:
    """Everything that runs. `folder` holds all of it."""

    folder: Path
    web: str  # Where pages and API listen, and below where agents connect.
    agents: str
    password: str = field(default_factory=lambda: new_secret()[:12])
    members: dict[str, Member] = field(default_factory=dict)
    control: asyncio.subprocess.Process | None = None
    api: httpx.AsyncClient = field(default_factory=httpx.AsyncClient)

    @property
    def data(self) -> Path:
        return self.folder / "control-plane"

    async def start_control_plane(self) -> None:
        """Start `dormice up` and return when it is ready."""
        self.data.mkdir(parents=True, exist_ok=True)
        with (self.folder / "up.log").open("ab") as output:
            self.control = await asyncio.create_subprocess_exec(
                sys.executable, "-P", "-m", "cli", "up", "--data", str(self.data),
                env=self._environment(CONTROL_PLANE | {
                    "DORMICE_UI_LISTEN": self.web, "DORMICE_GATEWAY_LISTEN": self.agents,
                    "DORMICE_ADMIN_PASSWORD": self.password}),
                stdout=output, stderr=output, start_new_session=True,
            )  # fmt: skip
        await self._until_ready()

    async def _until_ready(self) -> None:
        async with asyncio.timeout(START_SECONDS), httpx.AsyncClient() as client:
            while True:
                try:
                    answer = await client.get(f"{url_of(self.web)}/readyz")
                    if answer.status_code == 200:
                        break
                except httpx.HTTPError:
                    if self.control is not None and self.control.returncode is not None:
                        said = (self.folder / "up.log").read_text()[-500:]
                        raise Unavailable(f"the control plane did not start: {said}") from None
                await asyncio.sleep(0.05)
        token = (self.data / "admin-token").read_text().strip()
        await self.api.aclose()
        self.api = httpx.AsyncClient(
            base_url=f"{url_of(self.web)}/api/v1",
            headers={"Authorization": f"Bearer {token}"},
            timeout=10,
        )

    async def kill_control_plane(self) -> None:
        """kill -9: no goodbye, nothing flushed; the bus dies with it."""
        assert self.control is not None
        self.control.kill()
        await self.control.wait()

    async def add(self, name: str, *, always_on: bool) -> None:
        """Enrol a host with a small real folder, a repository and a schedule, and start it."""
        member = self.members[name] = Member(name, always_on)
        token = (await self.post("/enrollment-tokens", {"always_on": always_on}))["token"]
        await self._agent_command(name, "enroll", url_of(self.agents), "--name", name,
                                  environment={"DORMICE_ENROLL_TOKEN": token})  # fmt: skip
        hosts = (await self.get("/hosts"))["items"]
        member.host_id = next(host["id"] for host in hosts if host["name"] == name)
        await self._configure(member)
        await self.start_agent(name)

    async def _configure(self, member: Member) -> None:
        files = self.folder / member.name / "files"
        files.mkdir(parents=True)
        for number in range(20):
            (files / f"note-{number}.txt").write_text(f"{member.name} {number}\n" * 200)
        path = f"/hosts/{member.host_id}"
        repository = {"url": str(self.folder / member.name / "repository"),
                      "password": new_secret()}  # fmt: skip
        check(await self.api.put(f"{path}/repository", json=repository))
        group = await self.post(f"{path}/source-groups", {"name": "home", "includes": [str(files)]})
        member.group_id = group["id"]
        schedule = {"name": "each minute", "cron": "* * * * *", "source_group_ids": [group["id"]]}
        await self.post(f"{path}/schedules", schedule)

    def give_work(self, name: str) -> None:
        """Put a file into its folder that takes its restic some seconds."""
        (self.folder / name / "files" / "much").write_bytes(os.urandom(MUCH_BYTES))

    def _slow_restic(self) -> str:
        """Return restic as a program that writes no more than so much a second."""
        script = self.folder / "restic"
        script.write_text(f'#!/bin/sh\nexec restic --limit-upload {KIB_A_SECOND} "$@"\n')
        script.chmod(0o755)
        return str(script)

    async def start_agent(self, name: str) -> None:
        member = self.members[name]
        settings = AGENT | {"DORMICE_AGENT_RESTIC": self._slow_restic()}
        with (self.folder / f"{name}.log").open("ab") as output:
            member.process = await asyncio.create_subprocess_exec(
                *self._agent_argv(name, "run"), env=self._environment(settings),
                stdout=output, stderr=output, start_new_session=True,
            )  # fmt: skip

    async def kill_agent(self, name: str) -> None:
        """Pull the plug."""
        process = self.members[name].process
        assert process is not None
        process.kill()
        await process.wait()

    def close_lid(self, name: str) -> None:
        self._signal(name, signal.SIGUSR1, closed=True)

    def open_lid(self, name: str) -> None:
        self._signal(name, signal.SIGUSR2, closed=False)

    def _signal(self, name: str, number: signal.Signals, *, closed: bool) -> None:
        process = self.members[name].process
        assert process is not None
        process.send_signal(number)
        self.members[name].closed = closed

    def _agent_argv(self, name: str, *words: str) -> list[str]:
        state = str(self.folder / name / "agent")
        return [sys.executable, "-P", "-m", "cli", "agent", *words, "--state", state]

    async def _agent_command(self, name: str, *words: str, environment: dict[str, str]) -> None:
        process = await asyncio.create_subprocess_exec(
            *self._agent_argv(name, *words), env=self._environment(environment),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        said, _ = await process.communicate()
        if process.returncode:
            raise Unavailable(f"{name}: {said.decode().strip()}")

    def _environment(self, more: dict[str, str]) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith("DORMICE_")}
        return kept | more

    async def get(self, path: str) -> Any:
        return check(await self.api.get(path))

    async def post(self, path: str, body: dict[str, Any]) -> Any:
        return check(await self.api.post(path, json=body))

    async def stop(self) -> None:
        """End everything that still runs."""
        await self.api.aclose()
        running = [member.process for member in self.members.values()] + [self.control]
        for process in running:
            if process is not None and process.returncode is None:
                process.terminate()
        for process in running:
            if process is not None:
                try:
                    await asyncio.wait_for(process.wait(), 6)
                except TimeoutError:
                    process.kill()


def check(answer: httpx.Response) -> Any:
    """Return the body. Raises RemoteError with what the API said."""
    if answer.is_success:
        return answer.json() if answer.content else None
    body = answer.json()
    raise RemoteError(
        "demo", f"{answer.request.url.path}: {body.get('title')} {body.get('detail')}"
    )


def listen_address(variable: str, preferred: int) -> str:
    """Return what `variable` says, else 127.0.0.1 with a port that is free, best the preferred."""
    said = os.environ.get(variable, "")
    return said if said and not said.endswith(":0") else free_address(preferred)


def url_of(listen: str) -> str:
    """Return the address at which this machine reaches what listens there."""
    host, _, port = listen.rpartition(":")
    return f"http://{'127.0.0.1' if host.strip('[]') in ANYWHERE else host}:{port}"


def free_address(preferred: int) -> str:
    """Return 127.0.0.1 with the preferred port if it is free, else with any."""
    for port in (preferred, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return f"127.0.0.1:{probe.getsockname()[1]}"
    raise Unavailable("no free port on 127.0.0.1")
