"""A service with an empty file boots from the buckets of 100,000 hosts, in a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

from libs.common.bus.base import BATCH, Outgoing
from libs.common.clock import SystemClock, monotonic_seconds
from libs.common.collector import collect_seldom
from libs.common.events.host import HostRecord
from libs.common.ids import new_id
from libs.common.logging import configure
from libs.common.testing.nats import NatsServer
from services.presence.app import build
from services.presence.settings import PresenceSettings
from tests.bench.bus import forgetful_servers

HOSTS = 100_000


async def measure(folder: Path) -> dict[str, float]:
    """Return seconds to connected, and KiB of memory a host."""
    server = NatsServer(folder)
    with forgetful_servers():  # Else filling the bucket would take a hundred thousand fsyncs.
        server.start()
    try:
        await server.create_topology()
        await _fill(server)
        return await _boot(server, folder)
    finally:
        server.stop()


async def _fill(server: NatsServer) -> None:
    bus = server.bus("registry")
    await bus.connect()
    for first in range(0, HOSTS, BATCH):
        await bus.publish([_record(number) for number in range(first, first + BATCH)])
    await bus.close()


def _record(number: int) -> Outgoing:
    record = HostRecord(
        id=new_id(), name=f"host-{number:06}", always_on=number % 2 == 0, tags=("paris",),
        enrolled_at=SystemClock().now(), os="linux", arch="amd64", timezone="UTC",
    )  # fmt: skip
    return Outgoing(new_id(), record.id, record.model_dump_json().encode(), bucket="hosts")


async def _boot(server: NatsServer, folder: Path) -> dict[str, float]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bench.boot", server.url, str(folder / "presence"),
        server.passwords["presence"], stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    said, _ = await process.communicate()
    found: dict[str, float] = json.loads(said)
    return found


async def _child(url: str, data: Path, password: str) -> dict[str, float]:
    from libs.common.bus.nats import NatsBus

    before = _resident_bytes()
    bus = NatsBus(url, user="presence", password=password, name="presence")
    service = build(PresenceSettings.load(data=data), bus)
    up = asyncio.Event()
    service.on_signal("connected", lambda _: up.set())
    started = monotonic_seconds()
    running = asyncio.create_task(service.run())
    await up.wait()
    seconds = monotonic_seconds() - started
    kib = (_resident_bytes() - before) / 1024 / HOSTS
    await service.stop()
    await running
    await bus.close()
    return {"seconds": seconds, "kib": kib}


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    configure(level="critical")
    collect_seldom()  # As every process of a service does.
    print(json.dumps(asyncio.run(_child(sys.argv[1], Path(sys.argv[2]), sys.argv[3]))))
