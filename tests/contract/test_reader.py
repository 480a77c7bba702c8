"""What makes a reader of NATS admit that it may have missed something."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from libs.common.bus.base import BATCH, Outgoing, Reader, ReaderLost
from libs.common.ids import new_id
from libs.common.testing.nats import NatsServer
from tests.contract.conftest import Buses

SECOND = timedelta(seconds=1)


def events(count: int) -> list[Outgoing]:
    return [Outgoing(new_id(), "dormice.host.h1.changed", b"{}") for _ in range(count)]


async def test_a_gap_in_the_consumers_sequence_loses_the_reader(
    server: NatsServer, buses: Buses
) -> None:
    """One message goes elsewhere, as one goes nowhere whose connection breaks in its delivery."""
    bus = await buses.connect("registry")
    reader = await bus.open_reader(1)
    elsewhere = asyncio.create_task(
        bus.api(f"CONSUMER.MSG.NEXT.EVENTS.{reader.consumer}", {"batch": 1})
    )
    await asyncio.sleep(0)
    await bus.log_info()  # On the same connection: by now the server has taken the other pull.
    await bus.publish(events(3 * BATCH))  # The reader's own two pulls are served first.
    with pytest.raises(ReaderLost, match="is missing"):
        await read_all(reader)
    elsewhere.cancel()  # What it got came under its own subject: no answer of a call.


async def read_all(reader: Reader) -> None:
    while True:
        await reader.read(SECOND)


async def test_missed_heartbeats_lose_the_reader(
    server: NatsServer, buses: Buses, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("libs.common.bus.nats_reader.SILENCE", SECOND / 10)
    bus = await buses.connect("registry")
    reader = await bus.open_reader(1)
    with pytest.raises(ReaderLost, match="heartbeats"):
        await reader.read(10 * SECOND)


async def test_heartbeats_keep_an_idle_reader(
    server: NatsServer, buses: Buses, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("libs.common.bus.nats_reader.HEARTBEAT", SECOND / 4)
    monkeypatch.setattr("libs.common.bus.nats_reader.SILENCE", SECOND)
    bus = await buses.connect("registry")
    reader = await bus.open_reader(1)
    assert list(await reader.read(2 * SECOND)) == []
