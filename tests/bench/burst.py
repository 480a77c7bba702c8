"""10,000 alerts at once, told one by one to a local webhook: ours, and a real Alertmanager's.

Ours begin in the log, as alerting writes them there: notify, bus, receiver and who writes share the
cores. Alertmanager's begin at its API; it keeps nothing on disk before it tells.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from libs.common.clock import monotonic_seconds
from libs.common.events.alert import AlertRaised
from libs.common.testing.nats import NatsServer
from tests.bench.peer import AT_ONCE, Peer, make_alerts
from tests.bench.sink import Sink
from tests.integration.notify.alertmanager import alertmanager
from tests.integration.notify.running import Outside, start_process

COUNT = 10_000
PATIENCE_SECONDS = 180.0
MEGABYTE = 1e6


@dataclass(frozen=True, slots=True)
class Told:
    """What came, how fast, and what that cost the process that told it."""

    rate: float
    missing: int
    doubled: int
    cpu_milliseconds: float
    megabytes: float


async def measure(folder: Path) -> dict[str, float]:
    """Alerts told a second, lost, doubled, CPU time of each, memory; and Alertmanager's."""
    ours, stored = await _ours(folder / "ours")
    theirs, accepted = await _theirs(folder / "theirs")
    return {
        "accepted": stored, "rate": ours.rate, "lost": ours.missing, "doubled": ours.doubled,
        "cpu": ours.cpu_milliseconds, "megabytes": ours.megabytes,
        "their_rate": theirs.rate, "their_accepted": accepted, "their_lost": theirs.missing,
        "their_doubled": theirs.doubled, "their_cpu": theirs.cpu_milliseconds,
        "their_megabytes": theirs.megabytes,
    }  # fmt: skip


# -- ours: in the log of a real bus, told by a process of its own ----------------------------------


async def _ours(folder: Path) -> tuple[Told, float]:
    """Return what was told, and how many alerts a second the log took."""
    async with _bus(folder) as nats, Sink() as sink, Outside(nats) as outside:
        process = await start_process(nats, folder / "notify")
        try:
            await outside.add_channel("ops", sink.url)
            found = psutil.Process(process.pid)
            before, events = _cpu(found), [AlertRaised(alert=alert) for alert in make_alerts(COUNT)]
            started = monotonic_seconds()
            publishing = asyncio.create_task(_publish(outside, events))
            took = await _until_all(sink, started)
            stored = COUNT / (await publishing - started)
            return await _told(sink, took, found, before), stored
        finally:
            process.terminate()
            await process.wait()


@asynccontextmanager
async def _bus(folder: Path) -> AsyncIterator[NatsServer]:
    server = NatsServer(_made(folder))
    await asyncio.to_thread(server.start)
    await server.create_topology()
    try:
        yield server
    finally:
        await asyncio.to_thread(server.stop)


def _made(folder: Path) -> Path:
    (folder / "notify").mkdir(parents=True)
    return folder


async def _publish(outside: Outside, events: list[AlertRaised]) -> float:
    """Return when the last of them was stored, on the clock that only goes forward."""
    for start in range(0, len(events), AT_ONCE):
        await outside.publish(events[start : start + AT_ONCE])
    return monotonic_seconds()


# -- theirs: posted to its API, told by its own webhook --------------------------------------------


async def _theirs(folder: Path) -> tuple[Told, float]:
    """Return what it told, and how many alerts a second it took."""
    async with Sink() as sink, alertmanager(folder, sink.url) as peer:
        found, given = psutil.Process(peer.process.pid), Peer(make_alerts(COUNT))
        before, started = _cpu(found), monotonic_seconds()
        await given.post(peer)
        accepted = COUNT / (monotonic_seconds() - started)
        took = await _until_all(sink, started)
        return await _told(sink, took, found, before), accepted


# -- both ------------------------------------------------------------------------------------------


async def _until_all(sink: Sink, started: float) -> float:
    """Return the seconds until everything was told, or until nothing more came for long."""
    try:
        ended = await sink.wait_for(COUNT, PATIENCE_SECONDS)
    except TimeoutError:
        print("not all were told", file=sys.stderr)
        ended = monotonic_seconds()
    await asyncio.sleep(1)  # What comes twice, comes now.
    return ended - started


async def _told(sink: Sink, took: float, process: psutil.Process, before: float) -> Told:
    times = await sink.alerts()
    return Told(
        rate=len(times) / took,
        missing=COUNT - len(times),
        doubled=times.total() - len(times),
        cpu_milliseconds=(_cpu(process) - before) * 1000 / max(len(times), 1),
        megabytes=process.memory_info().rss / MEGABYTE,
    )


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system
