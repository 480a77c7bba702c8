"""`dormice bench fleet` with ten thousand hosts: what it read, by key."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from cli.bench.fleet import Plan
from cli.bench.fleet import measure as live

HOSTS = 10_000
QUIET_SECONDS = 60.0
BACKUPS = 20
KEYS = {
    "connecting: until all were welcomed": "connect",
    "returning: until all were welcomed": "return",
    "connecting: refused": "refused",
    "returning: refused": "refused",
    "server, heartbeats only: share of a core": "share",
    "memory per connection": "kib",
    "hosts shown offline or asleep while connected": "offline",
    "connections that the server dropped": "offline",
    "alerts raised": "alerts",
}


async def measure(folder: Path) -> dict[str, float]:
    result = await live(Plan(HOSTS, QUIET_SECONDS, BACKUPS, data=folder), Console(quiet=True))
    found = dict.fromkeys(KEYS.values(), 0.0)
    for reading in result.readings:
        if reading.what in KEYS:
            found[KEYS[reading.what]] += reading.value
    return found
