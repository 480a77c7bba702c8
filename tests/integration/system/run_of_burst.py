"""One run of a burst against one service, undisturbed or with kills; what came out of it."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import groupby
from random import Random
from typing import Any

from cli.services import NAMES
from libs.common.aio import cancel
from libs.common.clock import SystemClock, to_rfc3339
from libs.common.events import registry as _events  # noqa: F401  makes every event known
from libs.common.events.alert import AlertEvent, NotificationEvent
from libs.common.events.base import Event, decode
from libs.common.events.catchup import CatchupEvent
from libs.common.events.host import HostFact
from libs.common.events.job import JobEvent
from libs.common.testing.nats import NatsServer
from libs.common.testing.webhook_receiver import WebhookReceiver
from tests.integration.system.burst import BASE, Burst, Said, is_said
from tests.integration.system.victim import LOOK_SECONDS, PATIENCE_SECONDS, Victim

BEAT_SECONDS = 0.1
MOST_JITTER_SECONDS = 0.02


class Around:
    """The bus around a victim: publishes the burst, reads what is emitted, beats as a gateway."""

    def __init__(self, nats: NatsServer, victim: Victim, burst: Burst) -> None:
        self._victim, self._burst = victim, burst
        self.buses = {user: nats.bus(user) for user in NAMES}
        self.receiver = WebhookReceiver()
        self._tasks: list[asyncio.Task[None]] = []
        self.emitted: Counter[tuple[Any, ...]] = Counter()
        self.read_to = 0

    async def open(self) -> None:
        await asyncio.gather(*(bus.connect() for bus in self.buses.values()))
        await self._take_commands()
        await self.receiver.start()
        self._tasks = [asyncio.create_task(self._follow()), asyncio.create_task(self._beat())]

    async def close(self) -> None:
        for task in self._tasks:
            await cancel(task)
        await self.receiver.stop()
        await asyncio.gather(*(bus.close() for bus in self.buses.values()))

    def check(self) -> None:
        """Raise what ended a neighbour, or the service itself."""
        self._victim.check()
        for task in self._tasks:
            if task.done():
                task.result()

    async def publish(self, said: Sequence[Said]) -> int:
        """Store the events in their order, each under its owner's rights."""
        seq = 0
        for user, part in groupby(said, lambda one: one.user):
            seq = await self.buses[user].publish([one.message for one in part])
        return seq

    async def _follow(self) -> None:
        """Read the log for ever; answer what the service asks for."""
        reader = await self.buses["gateway"].open_reader(1)
        while True:
            messages = await reader.read(timedelta(seconds=5))
            answers: list[Said] = []
            for message in messages:
                if not is_said(message.event_id):
                    envelope = decode(message.data)
                    assert envelope is not None
                    self.emitted[key_of(envelope.event)] += 1
                    answers += self._burst.react(envelope.event)
            await self.publish(answers)
            self.read_to = messages[-1].seq if messages else self.read_to

    async def _beat(self) -> None:
        """A gateway lives, and hears nobody in particular."""
        bus = self.buses["gateway"]
        since = to_rfc3339(BASE)
        while True:
            at = to_rfc3339(SystemClock().now())
            body = {"gateway": "gw-1", "since": since, "at": at, "hosts": []}
            bus.send_live("dormice-live.beat.gw-1", json.dumps(body).encode())
            await asyncio.sleep(BEAT_SECONDS)

    async def _take_commands(self) -> None:
        """Be the gateway of agents that run at once what they are sent."""
        bus = self.buses["gateway"]

        async def write(subject: str, data: bytes) -> bytes:
            command = json.loads(data)
            if command["frame"]["type"] == "run":
                host = subject.rpartition(".")[2]
                job = command["frame"]["job_id"]
                await self.publish(self._burst.run(host, command["session"], job))
            return b'{"ok": true}'

        await bus.serve("dormice-cmd.*.*", write)

    async def until_settled(self) -> None:
        """Return once neither the service nor its neighbours have anything left to do."""
        bus = self.buses["gateway"]
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                self.check()
                tail = (await bus.log_info()).last_seq
                settled = self.read_to >= tail and self._victim.is_settled(tail)
                if settled and (await bus.log_info()).last_seq == tail:
                    return
                await asyncio.sleep(LOOK_SECONDS)


@asynccontextmanager
async def surrounded(nats: NatsServer, victim: Victim, burst: Burst) -> AsyncIterator[Around]:
    """Start the victim with everything around it, and end all of it."""
    around = Around(nats, victim, burst)
    try:
        await around.open()
        await victim.start()
        await victim.until_position(0)
        yield around
        around.check()
    finally:
        await victim.end()
        await around.close()


async def run_stages(around: Around, victim: Victim, burst: Burst, random: Random | None) -> None:
    """Publish stage after stage. With `random` the victim is killed amid three of them."""
    count = len(burst.stages)
    chosen = set(random.sample(range(count), min(3, count))) if random else set()
    for place, stage in enumerate(burst.stages):
        start = max(around.read_to, 0)
        publishing = asyncio.create_task(around.publish(stage))
        if random is not None and place in chosen:
            await victim.until_position(start + int(len(stage) * random.uniform(0.05, 0.7)))
            await asyncio.sleep(random.uniform(0.0, MOST_JITTER_SECONDS))  # The moment of the kill.
            await victim.kill()
            await victim.start()
        await publishing
        await around.until_settled()


def key_of(event: Event) -> tuple[Any, ...]:
    """Return what makes an event the same fact in every run: type and domain key."""
    return (event.type, *_domain_key(event))


def _domain_key(event: Event) -> tuple[Any, ...]:
    if isinstance(event, AlertEvent):
        alert = event.alert
        return alert.host_id, alert.kind, alert.dedup_key, alert.state
    if isinstance(event, NotificationEvent):
        return event.event, event.alert_ids
    if isinstance(event, HostFact):
        return event.host_id, event.record.version
    if isinstance(event, CatchupEvent):
        pair = getattr(event, "schedule_id", None), getattr(event, "source_group_id", None)
        return event.host_id, event.arm_id, getattr(event, "reason", None), *pair
    if isinstance(event, JobEvent):
        return event.host_id, event.job_id
    facts = event.model_dump(mode="json")
    names = ("host_id", "session", "action", "job_id", "gateway", "event_subject", "seq")
    return tuple(facts.get(name) for name in names)
