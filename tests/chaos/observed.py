"""What the control plane says at the end, seen from outside: over its API and in its log."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from libs.common.bus.base import Bus
from libs.common.events import registry as _events  # noqa: F401  makes every event known
from libs.common.events.base import Envelope, decode
from tests.chaos.api import Api

READ = timedelta(seconds=5)


@dataclass(frozen=True)
class Seen:
    """One look over the API: by host id, and the open alerts by (host id, kind)."""

    hosts: dict[str, dict[str, Any]]
    alerts: Counter[tuple[str | None, str]]
    jobs: dict[str, dict[str, Any]]
    jobs_of: dict[str, list[dict[str, Any]]]


async def look(api: Api) -> Seen:
    """Raises: Unknown."""
    hosts = await api.all_of("/hosts")
    alerts = await api.all_of("/alerts", state="open")
    jobs = await api.all_of("/jobs")
    jobs_of: dict[str, list[dict[str, Any]]] = {}
    for job in jobs:
        jobs_of.setdefault(job["host_id"], []).append(job)
    return Seen(
        {host["id"]: host for host in hosts},
        Counter((alert["host_id"], alert["kind"]) for alert in alerts),
        {job["id"]: job for job in jobs},
        jobs_of,
    )


@dataclass
class Log:
    """Every event of the log, in its order, and the ids that lie in it twice."""

    events: list[Envelope] = field(default_factory=list)
    repeated_ids: int = 0
    undecodable: int = 0


async def read_log(bus: Bus) -> Log:
    """Read all of it."""
    log, seen = Log(), set()
    tail = (await bus.log_info()).last_seq
    reader = await bus.open_reader(1)
    at = 0
    while at < tail:
        for message in await reader.read(READ):
            at = message.seq
            envelope = decode(message.data)
            if message.event_id in seen:
                log.repeated_ids += 1
            seen.add(message.event_id)
            if envelope is None:
                log.undecodable += 1
            else:
                log.events.append(envelope)
    await reader.close()
    return log
