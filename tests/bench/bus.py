"""The bus's own figures: our pull loop beside nats-py's, durable publishing beside forgetful."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import nats
from nats.errors import TimeoutError as NatsTimeout
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from libs.common.bus import embedded
from libs.common.clock import monotonic_seconds
from libs.common.testing.nats import NatsServer
from tests.bench.loop import EVENTS, publish_rate, pull_rate


async def pull(folder: Path) -> dict[str, float]:
    """Return events a second of the own pull loop and of nats-py, and their ratio."""
    server = NatsServer(folder)
    server.start()
    try:
        await server.create_topology()
        bus = server.bus("gateway")
        await bus.connect()
        await publish_rate(bus)
        own = await pull_rate(bus)
        await bus.close()
        fetched = await _fetched(server)
    finally:
        server.stop()
    return {"own": own, "fetch": fetched, "ratio": own / fetched}


async def _fetched(server: NatsServer) -> float:
    client = await nats.connect(
        server.url, user="gateway", password=server.passwords["gateway"],
        inbox_prefix=b"_INBOX_gateway",
    )  # fmt: skip
    config = ConsumerConfig(ack_policy=AckPolicy.NONE, deliver_policy=DeliverPolicy.ALL)
    puller = await client.jetstream().pull_subscribe("", stream="EVENTS", config=config)
    seen, started = 0, monotonic_seconds()
    while seen < EVENTS:
        with suppress(NatsTimeout):
            seen += len(await puller.fetch(500, timeout=5))
    rate = seen / (monotonic_seconds() - started)
    await client.close()
    return rate


async def durable(folder: Path) -> dict[str, float]:
    """Return events a second in atomic batches with and without fsync, and their ratio."""
    kept = await _publish_on(folder / "durable")
    with forgetful_servers():
        lost = await _publish_on(folder / "forgetful")
    assert "sync_interval" not in (folder / "forgetful" / "nats" / "server.conf").read_text()
    return {"durable": kept, "forgetful": lost, "ratio": kept / lost}


@contextmanager
def forgetful_servers() -> Iterator[None]:
    """Servers started within acknowledge before they fsync."""
    durable_config = embedded.server_config

    def forgetful(*arguments: Any, **named: Any) -> str:
        return durable_config(*arguments, **named).replace("  sync_interval: always\n", "")

    embedded.server_config = forgetful
    try:
        yield
    finally:
        embedded.server_config = durable_config


async def _publish_on(folder: Path) -> float:
    server = NatsServer(folder)
    server.start()
    try:
        await server.create_topology()
        bus = server.bus("gateway")
        await bus.connect()
        rate = await publish_rate(bus)
        await bus.close()
        return rate
    finally:
        server.stop()
