"""Builds a world from a seed, lets it live, and asks the oracle at quiet points."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from random import Random
from typing import Any

from cli.simulator.agent import Agent
from cli.simulator.habits import HABITS
from cli.simulator.operators import TAGS
from cli.simulator.oracle import Oracle
from cli.simulator.trouble import Trouble
from cli.simulator.world import QUICK, SLOW, Violation, World
from libs.common.events.host import SYSTEM
from services.registry.arguments import Enroll

NO_LIMIT = 1_000_000
SERVERS_OF_FIVE = 2
SERVERS_OF_A_SITE = 5
ZONES = ["Europe/Berlin", "America/New_York", "Asia/Tokyo", "UTC", "Australia/Lord_Howe"]
LOOK_SECONDS = 2 * 3600.0
AGAIN_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What to simulate. `troubles_per_day` 0: nothing goes wrong. `limit`: only the first ones."""

    hosts: int = 5
    days: float = 14
    troubles_per_day: float = 6
    limit: int = NO_LIMIT
    quick: bool | None = None  # None: the seed decides
    only: tuple[str, ...] = ()  # of the troubles; none named: of all kinds


@dataclass(frozen=True, slots=True)
class Result:
    """What a world went through; `failure` is None if every rule held.

    `wanted`: how often the oracle asked for what.
    """

    seed: int
    host_days: float
    judged: int
    troubles: tuple[str, ...]
    counts: dict[str, int]
    failure: str | None = None
    wanted: dict[str, int] = field(default_factory=dict)


def play(seed: int, plan: Plan) -> Result:
    """Simulate one world."""
    return prepare(seed, plan).run()


def prepare(seed: int, plan: Plan) -> Play:
    """Return a world that has not begun."""
    chooser = Random(seed)  # noqa: S311  Repeatable on purpose.
    quick = chooser.random() < 0.1 if plan.quick is None else plan.quick
    world = World(seed, QUICK if quick else SLOW, gateways=chooser.choice([1, 1, 2]))
    return Play(world, plan, chooser)


def _tags(number: int) -> list[str]:
    """Return tags that each a part of the fleet has; a server stands with four others at a site."""
    tags = [tag for place, tag in enumerate(TAGS, 2) if number % place == 0]
    if number % 5 < SERVERS_OF_FIVE:
        server = number // 5 * SERVERS_OF_FIVE + number % 5
        tags.append(f"site:{server // SERVERS_OF_A_SITE}")
    return tags


class Play:
    """A world, who disturbs it and who judges it."""

    def __init__(self, world: World, plan: Plan, chooser: Random) -> None:
        self.world, self.plan, self.chooser = world, plan, chooser
        self.oracle = Oracle(world)
        self.judged = 0
        self.trouble: Trouble | None = None

    def run(self) -> Result:
        world, failure = self.world, None
        began = world.elapsed
        try:
            world.start()
            world.run_for(30)
            for number in range(self.plan.hosts):
                self._enroll(number)
            self._add_channel()
            self._ask_for_missed()
            world.run_for(30)
            self._live()
            world.run_until(began + timedelta(days=self.plan.days))
        except Violation as violation:
            failure = str(violation)
        days = (world.elapsed - began) / timedelta(days=1)
        happened = tuple(self.trouble.happened) if self.trouble else ()
        return Result(world.seed, days * self.plan.hosts, self.judged, happened,
                      dict(world.truth.counts), failure, dict(world.truth.wanted))  # fmt: skip

    def _live(self) -> None:
        for agent in self.world.agents.values():
            habit = HABITS[agent.name.split("-")[0]]
            habit(self.world, agent, Random(self.chooser.getrandbits(64)))  # noqa: S311
        if self.plan.troubles_per_day:
            own = Random(self.chooser.getrandbits(64))  # noqa: S311
            self.trouble = Trouble(self.world, own, per_day=self.plan.troubles_per_day,
                                   limit=self.plan.limit, only=self.plan.only)  # fmt: skip
        self._look_later(LOOK_SECONDS)

    def _look_later(self, seconds: float) -> None:
        self.world.after(seconds, self._look)

    def _look(self) -> None:
        if self.oracle.is_quiet():
            self.oracle.judge()
            self.judged += 1
            self._look_later(LOOK_SECONDS)
        else:
            self._look_later(AGAIN_SECONDS)

    # --- the fleet

    def _enroll(self, number: int) -> None:
        is_server = number % 5 < SERVERS_OF_FIVE
        kind = "server" if is_server else "traveller" if number % 10 == 7 else "laptop"
        name = f"{kind}-{number}"
        zone = self.chooser.choice(ZONES)
        self.world.registry.call(
            "create_enrollment_token", partial(self._use_token, name, zone), always_on=is_server,
            tags=_tags(number),
        )  # fmt: skip
        self.world.run_for(2)

    def _use_token(self, name: str, zone: str, answer: Any) -> None:
        facts = {"hostname": name, "os": "linux", "arch": "x86_64", "timezone": zone}
        wanted = Enroll(token=answer["token"], **facts)
        verb = self.world.registry.machine.verbs["enroll"].handler
        self.world.registry.submit(
            lambda tx: verb(tx, SYSTEM, wanted), partial(self._enrolled, name, zone), fresh=True
        )

    def _enrolled(self, name: str, zone: str, answer: Any) -> None:
        chooser = self.chooser
        error = timedelta(seconds=chooser.choice([0, 0, 0, 20, -90]))
        agent = Agent(self.world, answer["host_id"], name, zone, error)
        agent.edited_at = self.world.now
        self.world.agents[agent.host_id] = agent
        host: dict[str, Any] = {"host_id": agent.host_id}
        registry = self.world.registry
        shared = chooser.random() < 0.3
        url = "/repository/shared" if shared else f"/repository/{name}"
        agent.repository = url
        registry.call("set_repository", url=url, password="x", **host)  # noqa: S106
        for group in ["home", "mail"][: chooser.choice([1, 1, 2])]:
            registry.call(
                "create_source_group", partial(self._schedule, agent), **host, name=group,
                includes=[f"/{group}"], retry_max=chooser.choice([0, 2]),
                retention={"keep_daily": 7},
            )  # fmt: skip

    def _schedule(self, agent: Agent, answer: Any) -> None:
        minute, hour = self.chooser.randrange(60), self.chooser.randrange(24)
        hourly = self.chooser.random() < 0.05
        cron = f"{minute} * * * *" if hourly else f"{minute} {hour} * * *"
        self.world.registry.call(
            "create_schedule", host_id=agent.host_id, name=f"s{minute}", cron=cron,
            source_group_ids=[answer["id"]],
        )  # fmt: skip

    def _ask_for_missed(self) -> None:
        """In half of the worlds somebody wants to hear of servers whose schedules fire in vain."""
        if self.chooser.random() < 0.5:
            self.world.registry.call("set_thresholds", mode="always_on", missed_seconds=3600)

    def _add_channel(self) -> None:
        config = {"url": "https://receiver.example/hook"}
        self.world.nodes["notify"].call("create_channel", name="all", kind="webhook", config=config)
