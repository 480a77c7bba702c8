"""Notify on a real bus: in this process with a clock that a test moves, or as a process to kill.

As a program: `python -m tests.integration.notify.running URL FOLDER`, the password on stdin.
"""

from __future__ import annotations

import asyncio
import ipaddress
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Self

from libs.common.bus.base import Outgoing
from libs.common.bus.nats import NatsBus
from libs.common.clock import SystemClock, VirtualClock
from libs.common.collector import collect_seldom
from libs.common.events import registry  # noqa: F401  makes every event known
from libs.common.events.base import Event, decode, encode
from libs.common.events.host import Actor
from libs.common.ids import new_id
from libs.common.logging import configure
from libs.common.rpc import call
from libs.common.testing.nats import NatsServer
from services.notify.app import build
from services.notify.settings import NotifySettings
from services.notify.targets import Resolver

ADMIN = Actor(kind="operator", id="op-1", name="ada", role="admin")
LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"),)


def settings_in(folder: Path) -> NotifySettings:
    return NotifySettings(data=folder, allow_targets=LOOPBACK)


class Outside:
    """What other services do to notify: publish alerts, call verbs, read the log."""

    def __init__(self, nats: NatsServer) -> None:
        self._alerting, self._ui = nats.bus("alerting"), nats.bus("ui")

    async def __aenter__(self) -> Self:
        await self._alerting.connect()
        await self._ui.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._alerting.close()
        await self._ui.close()

    async def publish(self, events: Sequence[Event], time: datetime | None = None) -> int:
        """Store the events as alerting would; return the last one's sequence."""
        moment = time or SystemClock().now()
        messages = []
        for event in events:
            event_id = new_id()
            data = encode(event, event_id=event_id, source="dormice/alerting", time=moment)
            messages.append(Outgoing(event_id, event.subject(), data))
        return await self._alerting.publish(messages)

    async def ask(self, verb: str, **arguments: Any) -> Any:
        return (await call(self._ui, "notify", verb, arguments, actor=ADMIN)).result

    async def add_channel(self, name: str, url: str, **more: Any) -> str:
        config = {"url": url, "secret": more.pop("secret", "geheim")}
        created = await self.ask("create_channel", name=name, kind="webhook", config=config, **more)
        return str(created["id"])

    @asynccontextmanager
    async def log(self) -> AsyncIterator[LogOf]:
        """Read the log from its start."""
        reader = await self._ui.open_reader(1)
        try:
            yield LogOf(reader)
        finally:
            await reader.close()


class LogOf:
    """The log as far as it was read."""

    def __init__(self, reader: Any) -> None:
        self._reader = reader
        self.events: list[Event] = []
        self.raw: list[bytes] = []

    async def wait_for(self, kind: type[Event], count: int = 1) -> list[Any]:
        """Return the events of a kind once there are so many. Raises: TimeoutError."""
        async with asyncio.timeout(30):
            while len(self.of(kind)) < count:
                for message in await self._reader.read(timedelta(seconds=1)):
                    envelope = decode(message.data)
                    assert envelope is not None
                    self.events.append(envelope.event)
                    self.raw.append(message.data)
        return self.of(kind)

    def of(self, kind: type[Event]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


class Running:
    """Notify in this process. `advance` moves its clock and makes it look at what is due."""

    def __init__(self, nats: NatsServer, folder: Path, resolver: Resolver | None = None) -> None:
        self.clock = VirtualClock(SystemClock().now())
        self._bus = nats.bus("notify")
        self.app = build(settings_in(folder), self._bus, self.clock, resolver)

    async def __aenter__(self) -> Self:
        up = asyncio.Event()
        self.app.service.on_signal("connected", lambda _: up.set())
        self._task = asyncio.create_task(self.app.run())
        await asyncio.wait_for(up.wait(), 10)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.app.stop()
        await asyncio.wait_for(self._task, 10)
        await self._bus.close()

    async def advance(self, by: timedelta) -> None:
        self.clock.advance(by)
        await self.app.service.submit(lambda tx: None)


async def start_process(nats: NatsServer, folder: Path) -> asyncio.subprocess.Process:
    """Start notify as a process of its own; return once it is connected."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.integration.notify.running", nats.url, str(folder),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdin
    assert process.stdout
    process.stdin.write(nats.passwords["notify"].encode() + b"\n")
    async with asyncio.timeout(20):
        assert await process.stdout.readline() == b"connected\n"
    return process


async def main(url: str, folder: str) -> None:
    configure(form="json")
    password = sys.stdin.readline().strip()
    app = build(settings_in(Path(folder)), NatsBus(url, "notify", password, name="notify"))
    app.service.on_signal("connected", lambda _: print("connected", flush=True))
    collect_seldom()
    await app.run()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
