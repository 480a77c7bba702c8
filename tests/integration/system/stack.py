"""The whole control plane in this process, on a real nats-server, with times of seconds.

stack = await Stack.start(nats, tmp_path)
laptop = await stack.add_host("laptop-7", always_on=False)
await laptop.agent.goodbye("sleep")
await stack.until(lambda: stack.display("laptop-7"), "asleep")
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx

from cli.services import NAMES, settings_class
from cli.system import System
from libs.common.testing.fake_agent import FakeAgent
from libs.common.testing.nats import NatsServer

WAIT_SECONDS = 20
TIMES = {
    "heartbeat_interval": "300ms",
    "offline_after": "1s",
    "agent_offline_floor": "2s",
    "catchup_settle": "700ms",
    "stale_after": "7d",
    "pending_retry": "500ms",
    "pending_retry_cap": "2s",
}


@dataclass
class Host:
    """An enrolled host with one source group, a repository and its fake agent."""

    id: str
    name: str
    agent: FakeAgent
    group: str = ""
    schedule: str = ""


class Stack:
    """The services, and what a test does to them and asks of them."""

    def __init__(self, nats: NatsServer, folder: Path, **times: str) -> None:
        self.nats = nats
        self.settings = {
            name: settings_class(name).load(data=folder, **self._given(name, TIMES | times))
            for name in NAMES
        }
        self.folder = folder
        self.api = httpx.AsyncClient()
        self.hosts: dict[str, Host] = {}
        self.system: System

    @staticmethod
    def _given(name: str, times: dict[str, str]) -> dict[str, str]:
        fields = settings_class(name).model_fields
        listen = {"ui_listen": "127.0.0.1:0", "gateway_listen": "127.0.0.1:0"}
        allowed = {"allow_targets": "127.0.0.0/8"}
        return {key: value for key, value in (times | listen | allowed).items() if key in fields}

    @classmethod
    async def start(cls, nats: NatsServer, folder: Path, **times: str) -> Stack:
        stack = cls(nats, folder, **times)
        await stack.up()
        return stack

    async def up(self) -> None:
        self.system = System(self.nats.bus, self.settings)
        self.system.start()
        async with asyncio.timeout(WAIT_SECONDS):
            await self.system.wait_ready()
        await self.api.aclose()
        token = (self.folder / "admin-token").read_text().strip()
        self.api = httpx.AsyncClient(
            base_url=f"{self.web}/api/v1", headers={"Authorization": f"Bearer {token}"}, timeout=15
        )

    async def down(self) -> None:
        """Stop in order; the files stay."""
        await self.system.stop()
        await self.api.aclose()

    @property
    def web(self) -> str:
        ui: Any = self.system.services["ui"]
        return str(ui.url)

    @property
    def gateway(self) -> str:
        gateway: Any = self.system.services["gateway"]
        return str(gateway.url)

    # --- doing

    async def add_host(
        self, name: str, *, always_on: bool, cron: str | None = None, connect: bool = True
    ) -> Host:
        """Enrol a host with a source group and a repository; with `cron` also a schedule."""
        token = (await self.post("/enrollment-tokens", always_on=always_on))["token"]
        agent = await FakeAgent.enroll(self.gateway, token, hostname=name)
        host = self.hosts[name] = Host(agent.host_id, name, agent)
        await self.put(f"/hosts/{host.id}/repository", url="/backups/repo", password="x")
        group = await self.post(f"/hosts/{host.id}/source-groups", name="home", includes=["/home"])
        host.group = group["id"]
        if cron is not None:
            host.schedule = await self.add_schedule(host, cron)
        if connect:
            await self.connect(host)
        return host

    async def add_schedule(self, host: Host, cron: str, **more: Any) -> str:
        made = await self.post(
            f"/hosts/{host.id}/schedules", cron=cron, source_group_ids=[host.group], **more
        )
        return str(made["id"])

    async def connect(self, host: Host, **hello: Any) -> None:
        """Say hello and go on beating, as an agent does."""
        host.agent.url = self.gateway.replace("http", "ws", 1) + "/agent/v1"
        await host.agent.connect(**hello)
        host.agent.start_heartbeats(timedelta(milliseconds=300))

    async def get(self, path: str) -> Any:
        return checked(await self.api.get(path))

    async def post(self, path: str, **body: Any) -> Any:
        return checked(await self.api.post(path, json=body))

    async def put(self, path: str, **body: Any) -> Any:
        return checked(await self.api.put(path, json=body))

    async def patch(self, path: str, **body: Any) -> Any:
        return checked(await self.api.patch(path, json=body))

    async def set_mode(self, host: Host, *, always_on: bool) -> Any:
        return await self.put(f"/hosts/{host.id}/mode", always_on=always_on)

    # --- seeing

    async def host(self, host: Host) -> dict[str, Any]:
        seen: dict[str, Any] = await self.get(f"/hosts/{host.id}")
        return seen

    async def alerts(self, host: Host | None = None, state: str = "open") -> list[dict[str, Any]]:
        where = f"&host_id={host.id}" if host else ""
        found: list[dict[str, Any]] = (await self.get(f"/alerts?state={state}{where}"))["items"]
        return found

    async def kinds(self, host: Host, state: str = "open") -> list[str]:
        """Return the kinds of a host's alerts, sorted."""
        return sorted(alert["kind"] for alert in await self.alerts(host, state))

    async def jobs(self, host: Host) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.get(f"/jobs?host_id={host.id}"))["items"]
        return found

    async def decisions(self, host: Host) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.get(f"/hosts/{host.id}/decisions"))["items"]
        return found

    async def until(self, check: Callable[[], Awaitable[Any]], what: str = "") -> Any:
        """Ask until the answer is true, and return it."""
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                while not (seen := await check()):
                    await asyncio.sleep(0.03)
                return seen
        except TimeoutError:
            raise AssertionError(f"not seen: {what or check}") from None

    async def until_display(self, host: Host, display: str) -> dict[str, Any]:
        async def shown() -> Any:
            seen = await self.host(host)
            return seen if seen["display"] == display else None

        seen: dict[str, Any] = await self.until(shown, f"{host.name} {display}")
        return seen

    async def until_kinds(self, host: Host, *kinds: str, state: str = "open") -> None:
        """A page hides an open alert that its host's mode contradicts: for its end wait for
        `resolved`."""

        async def same() -> bool:
            return await self.kinds(host, state) == sorted(kinds)

        await self.until(same, f"{host.name} has exactly the {state} alerts {kinds}")


def checked(answer: httpx.Response) -> Any:
    assert answer.is_success, (answer.request.method, str(answer.request.url), answer.text)
    return answer.json() if answer.content else None
