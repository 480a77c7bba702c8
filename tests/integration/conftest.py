"""A real nats-server with the log, the buckets and every user's rights."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from libs.common.testing.nats import NatsServer


@pytest_asyncio.fixture
async def nats(tmp_path: Path) -> AsyncIterator[NatsServer]:
    server = NatsServer(tmp_path / "bus")
    server.start()
    try:
        await server.create_topology()
        yield server
    finally:
        server.stop()
