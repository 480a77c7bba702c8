"""The agents, how they live, and the operator who changes things meanwhile."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Any

import httpx

from libs.common.aio import cancel
from libs.common.clock import SystemClock
from tests.chaos.agent import ChaosAgent
from tests.chaos.api import FRESH, Api, Refused, Unknown
from tests.chaos.figures import BROKEN, FLIPPED, SERVERS_SHARE

AT_ONCE = 50
LATE_SECONDS = 45.0
"""A call that was not answered may still be carried out so late: its service was stopped."""
TICK_SECONDS = 0.5
CONFIGURED_SECONDS = 150.0


class Fleet:
    """The agents, whose own randomness comes from the seed as the plan does."""

    def __init__(self, seed: int, size: int) -> None:
        self._random = Random(f"fleet:{seed}")
        self._seed = seed
        self._servers = round(size * SERVERS_SHARE)
        self._laptops = size - self._servers
        self.agents: list[ChaosAgent] = []
        self.modes: dict[str, set[bool]] = {}
        self._unsure_since: dict[str, datetime] = {}
        self.manual_jobs: list[str] = []
        self.counts: Counter[str] = Counter()
        self.violations: list[str] = []
        self._tasks: list[asyncio.Task[None]] = []

    # -- joining -----------------------------------------------------------------------------------

    async def enroll(self, gateway: str, api: Api) -> None:
        """Enroll everybody, each with a group, a repository and a schedule, and wake them."""
        turns = asyncio.Semaphore(AT_ONCE)
        async with httpx.AsyncClient(
            base_url=gateway, limits=FRESH, trust_env=False, timeout=20
        ) as client:
            for count, always_on in ((self._servers, True), (self._laptops, False)):
                body = {"always_on": always_on, "uses": count}
                token = (await api.ask("POST", "/enrollment-tokens", body))["token"]
                name = "server" if always_on else "laptop"
                await asyncio.gather(*(
                    self._enroll_one(client, api, turns, token, f"{name}-{number:03}", always_on)
                    for number in range(count)
                ))  # fmt: skip
        self.agents.sort(key=lambda agent: agent.hostname)
        laptops = [agent for agent in self.agents if not agent.always_on]
        for agent in laptops[:BROKEN]:
            agent.broken = True
        for agent in self.agents:
            agent.wake()

    async def _enroll_one(
        self, client: httpx.AsyncClient, api: Api, turns: asyncio.Semaphore, token: str,
        name: str, always_on: bool,
    ) -> None:  # fmt: skip
        async with turns:
            answer = await client.post("/enroll", json={
                "token": token, "hostname": name, "os": "linux", "arch": "amd64", "timezone": "UTC",
            })  # fmt: skip
            assert answer.status_code == 201, answer.text
            told = answer.json()
            agent = ChaosAgent(str(client.base_url), told["agent_token"], told["host_id"], name)
            agent.random = random = Random(f"{self._seed}:{name}")
            agent.always_on = always_on
            agent.clock_ahead = timedelta(seconds=random.choice((0, 0, 0, 0, -20, 30)))
            self.modes[agent.host_id] = {always_on}
            path = f"/hosts/{agent.host_id}"
            repository = {"url": f"/backups/{name}", "password": "chaos"}
            await api.ask("PUT", f"{path}/repository", repository)
            group = {"name": "home", "includes": ["/home"]}
            agent.group_id = (await api.ask("POST", f"{path}/source-groups", group))["id"]
            agent.every_minutes = random.choice((1, 1, 2))
            cron = "* * * * *" if agent.every_minutes == 1 else "*/2 * * * *"
            schedule = {"cron": cron, "source_group_ids": [agent.group_id]}
            agent.schedule_id = (await api.ask("POST", f"{path}/schedules", schedule))["id"]
            self.agents.append(agent)

    async def wait_configured(self) -> None:
        """Return once every agent is connected and knows its schedule."""
        late = self.agents
        try:
            async with asyncio.timeout(CONFIGURED_SECONDS):
                while late := [agent for agent in self.agents if not agent.is_configured]:
                    for agent in late:
                        if fault := agent.fault():
                            raise fault
                    await asyncio.sleep(TICK_SECONDS)
        except TimeoutError:
            states = [(one.hostname, one.is_connected, one.config_version, one.ledger.counts,
                       one.ledger.closes) for one in late[:5]]  # fmt: skip
            raise AssertionError(f"{len(late)} without their configuration: {states}") from None

    # -- living ------------------------------------------------------------------------------------

    def check(self) -> None:
        """Raise what ended the fleet's own work: a defect of this test."""
        for task in self._tasks:
            if task.done() and not task.cancelled():
                task.result()

    def start(self) -> None:
        """Begin to tick: schedules fire from now on, until `die`."""
        self._tasks.append(asyncio.create_task(self._tick()))

    async def _tick(self) -> None:
        while True:
            now = SystemClock().now()
            for agent in self.agents:
                agent.tick(now)
                if fault := agent.fault():
                    raise fault
            await asyncio.sleep(TICK_SECONDS)

    async def live(self, seconds: float) -> None:
        """Sleep, wake and crash for a while; then each stays as it shall be found at the end."""
        lives = [asyncio.create_task(self._live_one(agent)) for agent in self.agents]
        try:
            await asyncio.sleep(seconds)
            for life in lives:
                if life.done():
                    life.result()
        finally:
            await asyncio.gather(*(cancel(life) for life in lives))
        await asyncio.gather(*(self._settle(agent) for agent in self.agents))

    async def _live_one(self, agent: ChaosAgent) -> None:
        random = agent.random
        steady = agent.always_on and random.random() < 0.7
        while not steady and not agent.broken:
            await asyncio.sleep(random.uniform(8, 50) * (2 if agent.always_on else 1))
            how = random.choice(("lost", "crash", "shutdown") if agent.always_on
                                else ("sleep", "sleep", "sleep", "lost", "crash"))  # fmt: skip
            self.counts[f"agents: {how}"] += 1
            await agent.leave(how)
            await asyncio.sleep(random.choice((random.uniform(1, 8), random.uniform(5, 60))))
            agent.wake()

    async def _settle(self, agent: ChaosAgent) -> None:
        away = agent.random.random() < (0.1 if agent.always_on else 0.3)
        if away and not agent.broken:
            await agent.leave("lost" if agent.random.random() < 0.5 else "sleep")
        else:
            agent.wake()

    async def die(self) -> None:
        for task in self._tasks:
            await cancel(task)
        await asyncio.gather(*(agent.die() for agent in self.agents))

    # -- an operator -------------------------------------------------------------------------------

    async def operate(self, api: Api) -> None:
        """Change modes, acknowledge alerts and start backups until cancelled."""
        flipped = self._random.sample(self.agents, FLIPPED)
        while True:
            await asyncio.sleep(self._random.uniform(0.2, 1.0))
            agent = self._random.choice(self.agents)
            act = self._random.choice((self._flip, self._flip, self._back_up, self._acknowledge))
            try:
                await act(api, self._random.choice(flipped) if act == self._flip else agent)
                self.counts["operator: done"] += 1
            except Unknown as unknown:
                self.counts[f"operator: nobody knows ({str(unknown)[:70]})"] += 1
            except Refused as refusal:
                self._note_refusal(refusal)

    def _note_refusal(self, refusal: Refused) -> None:
        """409 and 404 (an alert that is over) are answers; anything else is a defect."""
        self.counts["operator: refused"] += 1
        if not any(f": {code} " in str(refusal) for code in (404, 409)):
            self.violations.append(f"the API refuses what is right: {refusal}")

    async def _flip(self, api: Api, agent: ChaosAgent) -> None:
        wanted = not agent.always_on
        self.modes[agent.host_id].add(wanted)
        now = SystemClock().now()
        unsure_since = self._unsure_since.setdefault(agent.host_id, now)
        await api.ask("PUT", f"/hosts/{agent.host_id}/mode", {"always_on": wanted})
        agent.always_on = wanted
        if unsure_since == now or (now - unsure_since).total_seconds() > LATE_SECONDS:
            self.modes[agent.host_id] = {wanted}
            del self._unsure_since[agent.host_id]

    async def _back_up(self, api: Api, agent: ChaosAgent) -> None:
        body: dict[str, Any] = {"source_group_id": agent.group_id, "when_it_wakes": True}
        answer = await api.ask("POST", f"/hosts/{agent.host_id}/backup", body)
        self.manual_jobs.append(answer["job_id"])

    async def _acknowledge(self, api: Api, agent: ChaosAgent) -> None:
        found = await api.ask("GET", f"/alerts?state=open&host_id={agent.host_id}")
        for alert in found["items"][:1]:
            await api.ask("POST", f"/alerts/{alert['id']}/acknowledge", {"note": "seen"})

    # -- what can be told at the end ---------------------------------------------------------------

    def broken_rules(self) -> Sequence[str]:
        """Return what the agents themselves saw go wrong."""
        found = list(self.violations)
        for agent in self.agents:
            found += [f"{agent.hostname}: {what}" for what in agent.ledger.violations]
            wrong = {
                code: n for code, n in agent.ledger.closes.items() if code in (4400, 4401, 4426)
            }
            found += [f"{agent.hostname}: closed {wrong}"] if wrong else []
        return found
