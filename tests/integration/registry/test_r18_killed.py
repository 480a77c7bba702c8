"""R18: the registry is killed in the middle of a burst; what was answered stands, exactly once."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from random import Random

from libs.common.bus.base import BusAway, NoResponder, Outgoing
from libs.common.clock import SystemClock
from libs.common.errors import RemoteError
from libs.common.events.agent import AgentHello
from libs.common.events.base import decode, encode
from libs.common.events.host import HostRecord
from libs.common.ids import new_id
from libs.common.rpc import call
from libs.common.testing.nats import NatsServer
from tests.integration.registry.process import ADA, Caller, start_process

HOSTS = 50
PATIENCE = timedelta(seconds=1)
"""A call to a process that was killed is never answered."""
ROUNDS = 5
HELLOS_A_ROUND = 1000


def hellos(ids: list[str], part: int) -> list[Outgoing]:
    """Return hellos whose agents get a newer version with each of them."""
    out = []
    for number in range(part * HELLOS_A_ROUND, (part + 1) * HELLOS_A_ROUND):
        event = AgentHello(
            host_id=ids[number % HOSTS], session=f"s{number}", gateway="gw-1", connection=number,
            agent_version=str(number),
        )  # fmt: skip
        event_id = new_id()
        data = encode(event, event_id=event_id, source="dormice/gateway", time=SystemClock().now())
        out.append(Outgoing(event_id, event.subject(), data))
    return out


async def save_mode(
    caller: Caller, host_id: str, always_on: bool, answered: dict[str, set[bool]]
) -> None:
    """Save a mode, and note which ones may hold: what is not answered may have been decided."""
    answered[host_id] = {*answered.get(host_id, {True}), always_on}
    with suppress(BusAway, NoResponder, RemoteError):
        wanted = {"host_id": host_id, "always_on": always_on}
        await call(caller.ui, "registry", "set_mode", wanted, actor=ADA, timeout=PATIENCE)
        answered[host_id] = {always_on}


async def versions_in_log(caller: Caller, until: int) -> dict[str, list[int]]:
    """Return the record versions that the log tells of each host, in its order."""
    versions: dict[str, list[int]] = {}
    seq = 0
    reader = await caller.gateway.open_reader(1)
    async with asyncio.timeout(60):
        while seq < until:
            for message in await reader.read(timedelta(seconds=5)):
                seq = message.seq
                envelope = decode(message.data)
                record = getattr(envelope.event, "record", None) if envelope else None
                if record is not None:
                    versions.setdefault(record.id, []).append(record.version)
    await reader.close()
    return versions


async def test_r18_killed_in_a_burst_of_5000(nats: NatsServer, tmp_path: Path) -> None:
    random = Random(18)
    answered: dict[str, set[bool]] = {}
    async with Caller(nats) as caller:
        process = await start_process(nats, tmp_path)
        ids = [(await caller.enroll(f"web-{number}"))["host_id"] for number in range(HOSTS)]
        for part in range(ROUNDS):
            saving = [save_mode(caller, host_id, part % 2 == 1, answered) for host_id in ids]
            burst = asyncio.gather(caller.gateway.publish(hellos(ids, part)), *saving)
            await asyncio.sleep(random.uniform(0.0, 0.5))  # The moment of the kill.
            process.kill()
            await process.wait()
            await burst
            process = await start_process(nats, tmp_path)
        last = await caller.ask("patch_host", host_id=ids[0], tags=["end"])
        records = [HostRecord(**record) for record in (await caller.ask("list_hosts")).result]
        bucket = await caller.gateway.load_bucket("hosts")
        versions = await versions_in_log(caller, last.seq)
        process.kill()
        await process.wait()
    assert {record.id for record in records} == set(ids)
    for record in records:
        assert record.agent_version == str(ids.index(record.id) + ROUNDS * HELLOS_A_ROUND - HOSTS)
        assert record.always_on in answered[record.id]
        assert HostRecord.model_validate_json(bucket[record.id]) == record
        assert versions[record.id] == list(range(1, record.version + 1))
