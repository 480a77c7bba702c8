"""The phases that a crowd lives through, and what is read of the server meanwhile."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

from cli.bench.agent import Agent
from cli.bench.crowd import LONGEST_STORM_SECONDS, Crowd, Storm, percentile
from cli.bench.result import Reading, Result
from cli.bench.server import OwnServer, Used
from cli.client import Client
from libs.common.clock import SystemClock, monotonic_seconds, to_rfc3339
from libs.common.errors import Unavailable
from libs.common.ids import new_id
from libs.common.runs import job_id, run_id

STORM_SECONDS = 30.0
QUIET_PERCENT = 10.0
KIB_PER_CONNECTION = 40.0
ENOUGH_HOSTS = 1000  # With fewer, what the server needs once weighs more than its connections.
LOOK_SECONDS = 5.0
STILL_SECONDS = 3

_POSITION = re.compile(r"^dormice_log_position\{[^}]*\} (\S+)$", re.MULTILINE)
Tell = Callable[[str], None]


@dataclass
class Place:
    """Where the control plane is. `own` None: it is not ours to start and look into."""

    client: Client
    gateway: str
    own: OwnServer | None
    enrolled_per_second: float = 0.0

    async def restart(self) -> None:
        assert self.own is not None
        self.client.close()
        await self.own.stop()
        await self.own.start()
        self.client, self.gateway = Client(self.own.where), self.own.gateway

    def used(self) -> Used:
        return self.own.used() if self.own else Used()

    async def ask(self, path: str, **params: Any) -> Any:
        return await asyncio.to_thread(self.client.get, path, **params)

    async def positions(self) -> list[str]:
        """Return how far each service has read the log."""
        async with httpx.AsyncClient(timeout=30, trust_env=False) as line:
            answer = await line.get(self.client.where.url + "/metrics")
        return _POSITION.findall(answer.text)


@dataclass
class Phases:
    """Lives through them in order; `readings` is what came of each."""

    crowd: Crowd
    place: Place
    tell: Tell
    readings: list[Reading] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)
    wrong_offline: int = 0

    async def live(self, quiet_seconds: float, backups: int) -> Result:
        self._read("hosts enrolled a second", self.place.enrolled_per_second)
        before = self.place.used()
        await self._storm("connecting")
        await self._until_still()
        await self._quiet(quiet_seconds, before)
        self.tell("all drop: laptops say goodbye, servers lose their cable")
        await self.crowd.drop_all()
        await self._storm("returning")
        await self._until_still()
        await self._reports()
        await self._backups(self.crowd.agents[:backups])
        await self._judge()
        await self.crowd.hang_up()
        return Result(len(self.crowd.agents), self.readings, dict(self.reasons))

    def _read(self, what: str, value: float, unit: str = "", limit: float | None = None) -> None:
        self.readings.append(Reading(what, value, unit, limit))

    async def _storm(self, name: str) -> None:
        self.tell(f"all {name} at once")
        storm: Storm = await self.crowd.connect_all()
        waits = storm.welcome_seconds
        self._read(f"{name}: until all were welcomed", storm.seconds, "s", STORM_SECONDS)
        self._read(f"{name}: hello to welcome, p50", percentile(waits, 50), "s")
        self._read(f"{name}: hello to welcome, p99", percentile(waits, 99), "s", STORM_SECONDS)
        self._read(f"{name}: refused", storm.refusals, "", 0)
        self.reasons += storm.refused
        self.tell(f"  welcomed after {storm.seconds:.1f} s, {storm.refusals} refused")

    async def _until_still(self) -> None:
        """Wait until no service has anything left to read, laptops' wakes included.

        One that stands still alone may be busy with a large step.
        """
        await asyncio.sleep(STILL_SECONDS)
        still, last = 0, await self.place.positions()
        started = monotonic_seconds()
        while still < STILL_SECONDS:
            if monotonic_seconds() - started > LONGEST_STORM_SECONDS:
                raise Unavailable("the server is still busy with the last storm")
            await asyncio.sleep(1)
            now = await self.place.positions()
            rests = now == last and len(set(now)) <= 1
            still, last = (still + 1 if rests else 0), now
        self.tell(f"  the log rests after {monotonic_seconds() - started:.0f} s more")

    async def _quiet(self, seconds: float, before: Used) -> None:
        """Heartbeats only: what they cost, what a connection holds, and who is shown wrongly."""
        self.tell(f"heartbeats only, for {seconds:.0f} s")
        count = len(self.crowd.agents)
        start, beats, started = self.place.used(), self.crowd.beats, monotonic_seconds()
        while monotonic_seconds() - started < seconds:
            await asyncio.sleep(min(LOOK_SECONDS, seconds))
            await self._look()
        end, took = self.place.used(), monotonic_seconds() - started
        self._read("heartbeats answered a second", (self.crowd.beats - beats) / took)
        if self.place.own is None:
            return
        python = (end.python_seconds - start.python_seconds) / took * 100
        bus = (end.bus_seconds - start.bus_seconds) / took * 100
        self._read("server, heartbeats only: share of a core", python + bus, "%", QUIET_PERCENT)
        self._read("  of it the bus", bus, "%")
        held = (start.resident_bytes - before.resident_bytes) / 1024 / count
        enough = count >= ENOUGH_HOSTS
        self._read("memory per connection", held, "KiB", KIB_PER_CONNECTION if enough else None)

    async def _look(self) -> None:
        fleet = await self.place.ask("/fleet")
        self.wrong_offline = max(self.wrong_offline, fleet["offline"] + fleet["asleep"])

    async def _reports(self) -> None:
        """Everybody has run a backup alone, and reports it."""
        self.tell("all report a run")
        crowd, fire_time = self.crowd, SystemClock().now().replace(second=0, microsecond=0)
        crowd.ack_seconds.clear()
        started = monotonic_seconds()
        for agent in crowd.agents:
            schedule, group = new_id(), new_id()
            job = job_id(run_id(agent.host_id, schedule, group, fire_time), 1)
            agent.report_run(job, schedule_id=schedule, source_group_id=group,
                             fire_time=to_rfc3339(fire_time), attempt=1)  # fmt: skip
        wanted = 2 * len(crowd.agents)
        await _until(lambda: len(crowd.ack_seconds) == wanted, "not all reports were acknowledged")
        took = monotonic_seconds() - started
        self._read("reports acknowledged a second", wanted / took)
        self._read("report to ack, p99", percentile(crowd.ack_seconds, 99), "s", STORM_SECONDS)
        await self._until_still()

    async def _backups(self, agents: list[Agent]) -> None:
        """The operator wants backups now, one host after the other."""
        if not agents:
            return
        self.tell(f"{len(agents)} hosts back up when told")
        waits = [await asyncio.to_thread(self._order, agent) for agent in agents]
        jobs = [job for job, _ in waits]
        await _until(lambda: all(job in self.crowd.ran_at for job in jobs), "not all were run")
        seconds = [self.crowd.ran_at[job] - asked for job, asked in waits]
        self._read("backup asked for to run at the agent, p99", percentile(seconds, 99), "s")
        await self._until_still()
        states = [(await self.place.ask(f"/jobs/{job}"))["status"] for job in jobs]
        failed = sum(state != "succeeded" for state in states)
        self._read("backups that did not succeed", failed, "", 0)

    def _order(self, agent: Agent) -> tuple[str, float]:
        client, path = self.place.client, f"/hosts/{agent.host_id}"
        client.put(f"{path}/repository", {"url": "/bench", "password": "bench"})
        group = client.post(f"{path}/source-groups", {"name": "home", "includes": ["/home"]})
        asked = monotonic_seconds()
        job = client.post(f"{path}/backup", {"source_group_id": group["id"]})
        return job["job_id"], asked

    async def _judge(self) -> None:
        await self._look()
        dropped = sum(self.crowd.dropped.values())
        self.reasons += self.crowd.dropped
        self._read("hosts shown offline or asleep while connected", self.wrong_offline, "", 0)
        self._read("connections that the server dropped", dropped, "", 0)
        alerts = (await self.place.ask("/alerts", limit=1000))["items"]
        self._read("alerts raised", len(alerts), "", 0)


async def _until(condition: Callable[[], bool], what: str) -> None:
    try:
        async with asyncio.timeout(LONGEST_STORM_SECONDS):
            while not condition():
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise Unavailable(f"{what} within {LONGEST_STORM_SECONDS:.0f} s") from None
