"""The ui with the services that own what it shows, in this process, on the bus in memory.

Agents are played by publishing what a gateway would; everything else is real: files, machines,
calls, HTTP over a socket.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any, Self

import httpx

from cli.services import settings_class
from libs.common.aio import cancel
from libs.common.bus.base import Outgoing
from libs.common.bus.memory import MemoryBus, MemoryLog
from libs.common.clock import Clock, SystemClock, to_rfc3339
from libs.common.events.agent import (
    AgentHello,
    AgentJobAccepted,
    AgentJobFinished,
    AgentOffline,
    AgentSynced,
    GatewayListening,
    OfflineReason,
)
from libs.common.events.base import Event, encode
from libs.common.ids import new_id

OWNERS = ("registry", "presence", "alerting", "catchup", "jobs", "notify")
WAIT_SECONDS = 10
GATEWAY = "gw-1"


class World:
    """Starts the services, plays agents, and asks the API as the first admin."""

    def __init__(
        self, folder: Path, owners: Sequence[str] = OWNERS, clock: Clock | None = None,
        **settings: Any,
    ) -> None:  # fmt: skip
        self.folder, self.owners, self.clock = folder, owners, clock or SystemClock()
        self.settings = {"ui_listen": "127.0.0.1:0"} | settings
        self.log = MemoryLog()
        self.services: dict[str, Any] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self.gateway = MemoryBus(self.log, "gateway")
        self._beating: asyncio.Task[None] | None = None
        self.api = httpx.AsyncClient()

    async def __aenter__(self) -> Self:
        await self.gateway.connect()
        self._beating = asyncio.create_task(self._beat())
        try:
            await self.start(*self.owners, "ui")
        except BaseException:
            await self.__aexit__()
            raise
        await self.publish(GatewayListening(gateway=GATEWAY, since=self.now))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.api.aclose()
        await self.stop(*list(self._tasks))
        if self._beating is not None:
            await cancel(self._beating)
        await self.gateway.close()

    @property
    def now(self) -> datetime:
        return self.clock.now()

    @property
    def ui(self) -> Any:
        return self.services["ui"]

    async def start(self, *names: str) -> None:
        for name in names:
            fields = settings_class(name).model_fields
            given = {key: value for key, value in self.settings.items() if key in fields}
            settings = settings_class(name).load(data=self.folder, **given)
            bus = MemoryBus(self.log, name)
            app = import_module(f"services.{name}.app")
            self.services[name] = app.build(settings, bus, self.clock)
            self._tasks[name] = asyncio.create_task(self.services[name].run(), name=name)
        await self.until(lambda: not any(self._reasons(name) for name in names))
        if "ui" in names:
            await self.api.aclose()
            self.api = self.client(self.admin_token())

    def _reasons(self, name: str) -> Sequence[str]:
        task = self._tasks[name]
        if task.done():
            task.result()
        return list(self.services[name].reasons_not_ready)

    async def stop(self, *names: str) -> None:
        await asyncio.gather(*(self.services[name].stop() for name in names))
        for name in names:
            await self._tasks[name]
            del self._tasks[name]

    async def _beat(self) -> None:
        since = to_rfc3339(self.now)
        while True:
            at = to_rfc3339(self.now)
            body = f'{{"gateway":"{GATEWAY}","since":"{since}","at":"{at}","hosts":[]}}'
            self.gateway.send_live(f"dormice-live.beat.{GATEWAY}", body.encode())
            await asyncio.sleep(0.05)

    # --- the API

    def admin_token(self) -> str:
        given = self.settings.get("admin_token")
        return given or (self.folder / "admin-token").read_text().strip()

    def client(self, token: str | None = None) -> httpx.AsyncClient:
        """Return a client of the API; None: without a token."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.AsyncClient(base_url=f"{self.ui.url}/api/v1", headers=headers, timeout=15)

    async def get(self, path: str, **params: Any) -> Any:
        return checked(await self.api.get(path, params=params))

    async def post(self, path: str, **body: Any) -> Any:
        return checked(await self.api.post(path, json=body))

    async def put(self, path: str, **body: Any) -> Any:
        return checked(await self.api.put(path, json=body))

    async def patch(self, path: str, **body: Any) -> Any:
        return checked(await self.api.patch(path, json=body))

    async def token_of(self, role: str) -> str:
        return str((await self.post("/api-tokens", name=role, role=role))["token"])

    # --- agents

    async def enroll(self, name: str, *, always_on: bool = True, **token: Any) -> str:
        """Enrol a host with a new token, as the gateway does; return its id."""
        made = await self.post("/enrollment-tokens", always_on=always_on, **token)
        from libs.common.rpc import call

        facts = {"hostname": name, "os": "linux", "arch": "x86_64", "timezone": "UTC"}
        reply = await call(self.gateway, "registry", "enroll", {"token": made["token"], **facts})
        host_id = str(reply.result["host_id"])
        await self.shown(reply.seq)
        return host_id

    async def hello(self, host_id: str, **more: Any) -> str:
        """Say hello; return the session."""
        session = new_id()
        await self.publish(
            AgentHello(host_id=host_id, session=session, gateway=GATEWAY, **more),
            AgentSynced(host_id=host_id, session=session),
        )
        await self.until_field(host_id, "status", "online")
        return session

    async def goodbye(self, host_id: str, session: str, last_seen: datetime | None = None) -> None:
        await self.publish(
            AgentOffline(
                host_id=host_id, session=session, last_seen=last_seen or self.now,
                reason=OfflineReason.SLEEP,
            )
        )  # fmt: skip
        await self.until_field(host_id, "status", "offline")

    async def finish(
        self, host_id: str, session: str, job_id: str, status: str, **more: Any
    ) -> None:
        """Accept a job and report its end."""
        await self.publish(
            AgentJobAccepted(host_id=host_id, session=session, job_id=job_id),
            AgentJobFinished.model_validate(
                {
                    "host_id": host_id, "session": session, "job_id": job_id, "at": self.now,
                    "received_at": self.now, "status": status, **more,
                }
            ),
        )  # fmt: skip

    async def serve_commands(self) -> list[dict[str, Any]]:
        """Take every command for an agent as the gateway does; return the list that fills."""
        import json

        taken: list[dict[str, Any]] = []

        async def take(_: str, data: bytes) -> bytes:
            taken.append(json.loads(data))
            return b'{"ok": true}'

        await self.gateway.serve(f"dormice-cmd.{GATEWAY}.*", take)
        return taken

    async def publish(self, *events: Event) -> int:
        """Store events as their owner would, and wait until the ui shows them."""
        messages = []
        for event in events:
            event_id = new_id()
            data = encode(event, event_id=event_id, source="dormice/gateway", time=self.now)
            messages.append(Outgoing(event_id, event.subject(), data))
        seq = await self.gateway.publish(messages)
        await self.shown(seq)
        return seq

    async def shown(self, seq: int) -> None:
        assert await self.ui.service.wait_for_seq(seq, timedelta(seconds=WAIT_SECONDS))

    # --- waiting

    async def until(self, condition: Callable[[], Any]) -> None:
        async with asyncio.timeout(WAIT_SECONDS):
            while not condition():
                await asyncio.sleep(0.01)

    async def until_answer(self, path: str) -> Any:
        """Ask until there is an answer, and return it."""
        async with asyncio.timeout(WAIT_SECONDS):
            while (answer := await self.api.get(path)).status_code == 404:
                await asyncio.sleep(0.02)
        return checked(answer)

    async def until_field(self, host_id: str, field: str, value: Any) -> dict[str, Any]:
        """Ask for the host until a field has a value, which another service makes true."""
        async with asyncio.timeout(WAIT_SECONDS):
            while True:
                host: dict[str, Any] = await self.get(f"/hosts/{host_id}")
                if host[field] == value:
                    return host
                await asyncio.sleep(0.02)


def checked(answer: httpx.Response) -> Any:
    assert answer.is_success, (answer.request.method, str(answer.request.url), answer.text)
    return answer.json() if answer.content else None
