"""Two weeks of a small fleet, on a virtual clock, with a real ui, registry, alerting, catch-up.

The storyteller plays agents, gateway, presence and jobs by publishing what they would.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from libs.common.clock import SystemClock, VirtualClock
from libs.common.events.agent import AgentHello, AgentOffline, AgentSynced, OfflineReason
from libs.common.events.base import Event
from libs.common.events.job import (
    JobDispatched,
    JobFinished,
    JobOrigin,
    JobRequested,
    JobStarted,
    JobStatus,
)
from libs.common.events.presence import PresenceOffline, PresenceOnline
from libs.common.ids import new_id
from tests.integration.ui.world import GATEWAY, World

OWNERS = ("registry", "alerting", "catchup", "notify")
DAYS = 14
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
Step = tuple[datetime, Callable[[], Awaitable[None]]]


class Teller:
    """Tells one host's life as events; `world` must run on a clock that the teller sets."""

    def __init__(self, world: World, name: str, *, always_on: bool, tags: list[str]) -> None:
        self.world, self.name, self.always_on, self.tags = world, name, always_on, tags
        self.host_id = self.session = self.schedule = self.group = ""

    async def join(self) -> None:
        self.host_id = await self.world.enroll(self.name, always_on=self.always_on, tags=self.tags)
        here = f"/hosts/{self.host_id}"
        group = await self.world.post(f"{here}/source-groups", name="home", includes=["/home"])
        schedule = await self.world.post(
            f"{here}/schedules", name="home", cron="0 2 * * *", source_group_ids=[group["id"]]
        )
        await self.world.put(f"{here}/repository", url="/srv/restic", password="correct horse")
        self.group, self.schedule = group["id"], schedule["id"]

    async def wake(self) -> None:
        self.session = new_id()
        facts = {"os": "linux", "arch": "x86_64", "agent_version": "1.0.0", "timezone": "UTC"}
        await self.tell(
            AgentHello(host_id=self.host_id, session=self.session, gateway=GATEWAY, **facts),
            PresenceOnline(
                host_id=self.host_id, name=self.name, always_on=self.always_on,
                session=self.session, gateway=GATEWAY, since=self.world.now,
            ),
            AgentSynced(host_id=self.host_id, session=self.session),
        )  # fmt: skip

    async def sleep(self, reason: OfflineReason = OfflineReason.SLEEP) -> None:
        now = self.world.now
        await self.tell(
            AgentOffline(host_id=self.host_id, session=self.session, last_seen=now, reason=reason),
            PresenceOffline(
                host_id=self.host_id, name=self.name, always_on=self.always_on,
                session=self.session, since=now, last_seen=now, reason=reason,
            ),
        )  # fmt: skip

    async def backup(self, status: JobStatus | None = JobStatus.SUCCEEDED) -> str:
        """Run a backup from request to end; None: it still runs."""
        now, job_id = self.world.now, new_id()
        common = {
            "host_id": self.host_id, "job_id": job_id, "source_group_id": self.group,
            "schedule_id": self.schedule, "run_id": new_id(), "fire_time": now,
            "origin": JobOrigin.SCHEDULE if self.always_on else JobOrigin.CATCHUP,
        }  # fmt: skip
        told: list[Event] = [
            JobRequested.model_validate({**common, "at": now}),
            JobDispatched.model_validate({**common, "at": now, "session": self.session}),
            JobStarted.model_validate({**common, "at": now}),
        ]
        if status is not None:
            ended = {"status": status, "started_at": now, "finished_at": now + 41 * MINUTE / 60}
            if status is JobStatus.FAILED:
                ended |= {"exit_code": 1, "error": "repository is locked by another host"}
            told.append(JobFinished.model_validate({**common, **ended}))
        await self.tell(*told)
        return job_id

    async def tell(self, *events: Event) -> None:
        seq = await self.world.publish(*events)
        for name in ("alerting", "catchup"):
            service = self.world.services[name]
            assert await service.wait_for_seq(seq, timedelta(seconds=10))


async def start_world(folder: Path) -> World:
    """Start the services as of two weeks ago; the caller leaves the world's context."""
    clock = VirtualClock(SystemClock().now() - DAYS * DAY)
    world = World(folder, OWNERS, clock)
    await world.__aenter__()
    await world.gateway.serve("dormice-rpc.presence.*", _nothing)
    await world.gateway.serve("dormice-rpc.jobs.*", _nothing)
    return world


async def _nothing(subject: str, _: bytes) -> bytes:
    result: Any = [] if subject.endswith("decisions") else {"text": LOG, "complete": True}
    return json.dumps({"result": result, "seq": 0}).encode()


LOG = """open repository
lock repository
using parent snapshot 6e1a4c02
Files:          12 new,    31 changed, 48211 unmodified
Added to the repository: 84.112 MiB (61.402 MiB stored)
snapshot 9b0d77e1 saved
"""


async def tell_two_weeks(world: World) -> dict[str, Teller]:
    """Tell everything up to now. Returns the hosts by name."""
    clock = world.clock
    assert isinstance(clock, VirtualClock)
    end, random = SystemClock().now(), Random(7)
    paris = ["paris"]
    servers = [("db-1", paris), ("mail-1", paris), ("nas", []), ("web-3", [*paris, "web"])]
    laptops = ["anna-mbp", "laptop-4", "laptop-7", "laptop-9", "studio", "zoe-x1"]
    hosts = {
        **{name: Teller(world, name, always_on=True, tags=tags) for name, tags in servers},
        **{name: Teller(world, name, always_on=False, tags=["laptop"]) for name in laptops},
    }
    for host in hosts.values():
        await host.join()
    await world.enroll("tablet", always_on=False)
    steps: list[Step] = []
    for name, _ in servers:
        steps += server_life(hosts[name], clock.now(), end)
    for name in laptops:
        steps += laptop_life(hosts[name], clock.now(), end, random)
    steps += last_hours(hosts, end)
    for at, step in sorted(steps, key=lambda one: one[0]):
        clock.set(at)
        await step()
    clock.set(end)
    await hosts["nas"].tell()
    return hosts


def server_life(host: Teller, start: datetime, end: datetime) -> list[Step]:
    steps: list[Step] = [(start + MINUTE, host.wake)]
    night = start.replace(hour=2, minute=4)
    steps += [(night + day * DAY, host.backup) for day in range(1, DAYS + 1)]
    return [step for step in steps if step[0] < end - HOUR]


def laptop_life(host: Teller, start: datetime, end: datetime, random: Random) -> list[Step]:
    steps: list[Step] = []
    midnight = start.replace(hour=0, minute=0)
    for day in range(DAYS + 1):
        if random.random() < 0.22 or (host.name == "laptop-4" and day > 5):
            continue
        wake = midnight + day * DAY + timedelta(hours=6 + 4 * random.random())
        sleep = wake + timedelta(hours=2 + 9 * random.random())
        if wake > start and sleep < end - 4 * HOUR:
            steps += [(wake, host.wake), (wake + 2 * MINUTE, host.backup), (sleep, host.sleep)]
    return steps


def last_hours(hosts: dict[str, Teller], end: datetime) -> list[Step]:
    """How the fleet is found: someone backs up, one fails, one settles, one is silent."""

    async def fail() -> None:
        await hosts["mail-1"].backup(JobStatus.FAILED)

    async def run() -> None:
        job_id = await hosts["anna-mbp"].backup(None)
        body = {"host_id": hosts["anna-mbp"].host_id, "job_id": job_id, "kind": "progress",
                "percent": 41.3, "seconds_left": 180}  # fmt: skip
        subject = f"dormice-live.job.{hosts['anna-mbp'].host_id}.{job_id}"
        hosts["nas"].world.gateway.send_live(subject, json.dumps(body).encode())

    async def die() -> None:
        await hosts["web-3"].sleep(OfflineReason.HEARTBEAT_TIMEOUT)

    return [
        (end - 3.5 * HOUR, hosts["laptop-7"].wake), (end - 3 * HOUR, hosts["laptop-7"].sleep),
        (end - 2 * HOUR, hosts["zoe-x1"].wake), (end - 118 * MINUTE, hosts["zoe-x1"].backup),
        (end - 50 * MINUTE, fail), (end - 18 * MINUTE, die),
        (end - 12 * MINUTE, hosts["anna-mbp"].wake), (end - 8 * MINUTE, run),
        (end - 0.2 * MINUTE, hosts["laptop-9"].wake),
    ]  # fmt: skip
