"""`dormice bench fleet`: a whole fleet's day on one control plane, phase by phase.

enrol ─▶ (own server: start again) ─▶ all connect ─▶ heartbeats only ─▶ all drop and return
                                       ─▶ all report a run ─▶ some back up when told ─▶ judge
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from websockets.uri import parse_uri

from cli.bench.crowd import Crowd
from cli.bench.enrolling import enrol
from cli.bench.phases import Phases, Place, Tell
from cli.bench.result import Result
from cli.bench.server import OwnServer
from cli.client import Client, ClientSettings, find_where
from cli.errors import BadCommand
from libs.common.clock import monotonic_seconds

STRICT = {"DORMICE_AGENT_OFFLINE_FLOOR": "90s", "DORMICE_CATCHUP_SETTLE": "10s"}
"""Alerts as early as they can come at all; laptops' wakes over sooner."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do. `url` None: to a server of our own; its state stays in `data`, if given."""

    hosts: int
    quiet_seconds: float
    backups: int
    url: str | None = None
    token: str | None = None
    gateway: str | None = None
    data: Path | None = None


def run(plan: Plan, *, as_json: bool) -> bool:
    """Print what was measured; True if every limit was kept. Raises: DormiceError."""
    console = Console(stderr=as_json)
    if plan.url is not None and plan.gateway is None:
        raise BadCommand("with --url say --gateway, too: the address that agents dial")
    result = asyncio.run(measure(plan, console))
    if as_json:
        sys.stdout.write(result.as_json() + "\n")
    else:
        result.print(console)
    return result.kept


async def measure(plan: Plan, console: Console) -> Result:
    """Live through all phases. Raises: DormiceError."""
    started = monotonic_seconds()

    def tell(what: str) -> None:
        console.print(f"{monotonic_seconds() - started:6.1f} s  {what}", highlight=False)

    async with _place(plan) as place:
        crowd = await _enrolled(plan, place, tell)
        phases = Phases(crowd, place, tell)
        return await phases.live(plan.quiet_seconds, plan.backups)


async def _enrolled(plan: Plan, place: Place, tell: Tell) -> Crowd:
    tell(f"enrolling {plan.hosts:,} hosts")
    crowd = Crowd()
    started = monotonic_seconds()
    agents = await enrol(place.client, place.gateway, plan.hosts, crowd)
    place.enrolled_per_second = plan.hosts / (monotonic_seconds() - started)
    if place.own is not None:
        tell("starting the server again: memory counts from here")
        await place.restart()
    crowd.take(agents, parse_uri(place.gateway.replace("http", "ws", 1) + "/agent/v1"))
    return crowd


@asynccontextmanager
async def _place(plan: Plan) -> AsyncIterator[Place]:
    if plan.url is not None:
        assert plan.gateway is not None
        where = find_where(ClientSettings.load(url=plan.url, token=plan.token))
        yield Place(Client(where), plan.gateway.rstrip("/"), None)
        return
    data = plan.data or Path(tempfile.mkdtemp(prefix="dormice-bench-"))
    own = OwnServer(data, **STRICT)
    try:
        await own.start()
        yield Place(Client(own.where), own.gateway, own)
    finally:
        await own.stop()
        if plan.data is None:
            shutil.rmtree(data, ignore_errors=True)
