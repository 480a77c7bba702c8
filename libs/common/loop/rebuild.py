"""Makes a service's state file anew from what the bus holds, without deciding anything.

What a replay emits or starts was emitted and carried out back then: it is dropped, and no deadline
is run. What is due afterwards is decided by the service itself, at its next start.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import closing
from datetime import datetime
from pathlib import Path

from libs.common.bus.base import Bus, LogInfo, LogMessage
from libs.common.clock import Clock
from libs.common.errors import Unavailable
from libs.common.events.base import BadEvent, decode
from libs.common.loop.ahead import READ_WAIT
from libs.common.loop.core import Core
from libs.common.loop.machine import Machine
from libs.common.loop.step import Position
from libs.common.store.database import open_connection

HOSTS = "hosts"


async def rebuild(machine: Machine, bus: Bus, path: Path, clock: Clock) -> int:
    """Write the file `path`, which must not exist; return how many events were replayed: all that
    the log holds, of hosts that it no longer introduces too, then the buckets for what is older.
    Nothing is published. `machine` is made for this: it hears its own events from now on.

    Raises: Unavailable, BusAway, ReaderLost, LogMissing, StoreBroken, StoreFault.
    """
    info = await bus.log_info()
    with closing(open_connection(path, machine.package)) as db:
        db.execute("PRAGMA synchronous = OFF")  # A crash leaves a file that nobody uses.
        machine.handlers = {**machine.handlers, **machine.redo}
        core = Core(machine, db)
        buckets = {name: await bus.load_bucket(name) for name in machine.buckets}
        applied = 0
        if info.last_seq >= info.first_seq > 0:
            applied = await _replay(core, bus, info, buckets.get(HOSTS, {}), clock.now())
        last_id = await bus.event_id_at(info.last_seq) if info.last_seq else ""
        tail = Position(info.created_at, info.last_seq, last_id or "")
        core.start_at(tail, buckets, clock.now(), again=False)
        db.execute("DELETE FROM outbox")
        db.execute("DELETE FROM effect")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return applied


async def _replay(
    core: Core, bus: Bus, info: LogInfo, hosts: Mapping[str, bytes], now: datetime
) -> int:
    """Apply each event as of its own time, so that decisions bear the time they were taken."""
    reader = await bus.open_reader(info.first_seq)
    applied, seq = 0, 0
    try:
        while seq < info.last_seq:
            messages = await reader.read(READ_WAIT)
            if not messages:
                raise Unavailable("the bus does not give its log")
            if not seq:
                now = _time_of(messages[0]) or now
                before = Position(info.created_at, info.first_seq - 1, "")
                core.start_at(before, {HOSTS: _enrolled_before(now, hosts)}, now, again=False)
            for message in messages:
                now, seq = _time_of(message) or now, message.seq
                if seq <= info.last_seq:
                    core.step([message], now=now)
                    applied += 1
    finally:
        await reader.close()
    return applied


def _enrolled_before(begin: datetime, hosts: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the hosts whose enrolment the log no longer tells of, at a version older than any that
    it does tell of."""
    records = {host_id: json.loads(data) for host_id, data in hosts.items()}
    return {
        host_id: json.dumps(record | {"version": 0}).encode()
        for host_id, record in records.items()
        if not record["removed"] and datetime.fromisoformat(record["enrolled_at"]) < begin
    }


def _time_of(message: LogMessage) -> datetime | None:
    try:
        envelope = decode(message.data)
    except BadEvent:
        return None
    return envelope.time if envelope is not None else None
