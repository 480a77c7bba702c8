"""The registry as a process of its own, and in this process, on a real bus."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

from libs.common.bus.nats import NatsBus
from libs.common.events.host import SYSTEM, Actor
from libs.common.logging import configure
from libs.common.rpc import Reply, call
from libs.common.testing.nats import NatsServer
from services.registry.app import build
from services.registry.settings import RegistrySettings

ADA = Actor(kind="operator", id="op-1", name="ada", role="admin")
LAPTOP = {"os": "linux", "arch": "x86_64", "timezone": "Europe/Berlin"}


class Registry:
    """Runs in this process; another one on the same folder goes on where it stopped."""

    def __init__(self, nats: NatsServer, data: Path) -> None:
        self._nats = nats
        self._settings = RegistrySettings(data=data)
        self.resets: list[str] = []

    async def __aenter__(self) -> Registry:
        self._bus = self._nats.bus("registry")
        self.service = build(self._settings, self._bus)
        self.connected = asyncio.Event()
        self.service.on_signal("connected", lambda _: self.connected.set())
        self.service.on_signal("log_reset", lambda verdict: self.resets.append(verdict.name))
        self._task = asyncio.create_task(self.service.run())
        await asyncio.wait_for(self.connected.wait(), 20)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        await self.service.stop()
        await asyncio.wait_for(self._task, 20)
        await self._bus.close()


class Caller:
    """Asks the registry as the gateway and as the ui do."""

    def __init__(self, nats: NatsServer) -> None:
        self.gateway = nats.bus("gateway")
        self.ui = nats.bus("ui")

    async def __aenter__(self) -> Caller:
        await self.gateway.connect()
        await self.ui.connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        await self.gateway.close()
        await self.ui.close()

    async def ask(self, verb: str, actor: Actor = ADA, **arguments: Any) -> Reply:
        return await call(self.ui, "registry", verb, arguments, actor=actor)

    async def serve_agent(self, verb: str, **arguments: Any) -> Reply:
        return await call(self.gateway, "registry", verb, arguments, actor=SYSTEM)

    async def enroll(self, hostname: str) -> dict[str, str]:
        made = await self.ask("create_enrollment_token")
        token = made.result["token"]
        joined = await self.serve_agent("enroll", token=token, hostname=hostname, **LAPTOP)
        answer: dict[str, str] = joined.result
        return answer


async def start_process(nats: NatsServer, data: Path) -> asyncio.subprocess.Process:
    """Return the running registry once it works; its password goes through stdin."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.integration.registry.process", nats.url, str(data),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdin
    assert process.stdout
    process.stdin.write(nats.passwords["registry"].encode() + b"\n")
    async with asyncio.timeout(20):
        assert await process.stdout.readline() == b"connected\n"
    return process


async def main(url: str, data: str) -> None:
    configure(form="json")
    password = sys.stdin.readline().strip()
    bus = NatsBus(url, user="registry", password=password, name="registry")
    service = build(RegistrySettings(data=Path(data)), bus)
    service.on_signal("connected", lambda _: print("connected", flush=True))
    await service.run()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
