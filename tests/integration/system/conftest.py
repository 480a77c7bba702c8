"""One control plane per test, on a bus of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from libs.common.testing.nats import NatsServer
from tests.integration.system.stack import Stack


@pytest_asyncio.fixture
async def stack(nats: NatsServer, tmp_path: Path) -> AsyncIterator[Stack]:
    stack = await Stack.start(nats, tmp_path / "data")
    try:
        yield stack
    finally:
        for host in stack.hosts.values():
            await host.agent.abort()
        await stack.down()
