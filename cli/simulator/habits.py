"""How machines live: servers that run and reboot, laptops with office hours, lids and holidays,
laptops that travel."""

from __future__ import annotations

from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from libs.common.protocol import GoodbyeReason

if TYPE_CHECKING:
    from cli.simulator.agent import Agent
    from cli.simulator.world import World

HOUR = 3600.0
DAY = 24 * HOUR
NINE, SIX = 9, 18
FARAWAY = ["Europe/Berlin", "America/New_York", "Asia/Tokyo", "Australia/Lord_Howe"]


class Server:
    """Runs for days; reboots with a goodbye, loses its power now and then, once for long."""

    def __init__(self, world: World, agent: Agent, random: Random) -> None:
        self._world, self._agent, self._random = world, agent, random
        world.after(random.uniform(1, 60), self._boot)

    def _boot(self) -> None:
        self._agent.wake_up()
        self._world.after(self._random.expovariate(1 / (4 * DAY)), self._go)

    def _go(self) -> None:
        if self._random.random() < 0.6:
            self._agent.fall_asleep(GoodbyeReason.RESTART)
            away = self._random.uniform(30, 600)
        else:
            self._agent.crash()
            away = self._random.choice([60.0, HOUR, 5 * HOUR, 30 * HOUR]) * self._random.random()
        self._world.after(away, self._boot)


class Laptop:
    """Is opened on working days, its lid closed now and then; on some days it stays at home."""

    def __init__(self, world: World, agent: Agent, random: Random) -> None:
        self._world, self._agent, self._random = world, agent, random
        self._holiday_until = world.now
        world.after(random.uniform(1, 600), self._open)

    def _open(self) -> None:
        """Somebody opens the lid, if it is a time to work."""
        local = self._world.now.astimezone(ZoneInfo(self._agent.zone))
        at_work = NINE <= local.hour < SIX and local.weekday() < 5
        if self._world.now < self._holiday_until or not (at_work or self._random.random() < 0.1):
            self._world.after(self._random.uniform(0.5, 1.5) * HOUR, self._open)
            return
        if self._random.random() < 0.03:
            self._holiday_until = self._world.now + timedelta(days=self._random.uniform(3, 12))
        self._agent.wake_up()
        span = self._random.choice([40.0, 10 * 60, HOUR, 4 * HOUR])
        self._world.after(span * self._random.uniform(0.5, 1.5), self._close)

    def _close(self) -> None:
        if self._random.random() < 0.05:
            self._agent.crash()
        else:
            graceful = self._random.random() < 0.7
            self._agent.fall_asleep(GoodbyeReason.SLEEP if graceful else None)
        span = self._random.choice([40.0, 5 * 60, HOUR])
        self._world.after(span * self._random.uniform(0.5, 1.5), self._open)


class Traveller(Laptop):
    """Is opened in another zone than it was closed in, once in ten times or so."""

    def _open(self) -> None:
        if self._random.random() < 0.1:
            travel(self._world, self._agent, self._random)
        super()._open()


def travel(world: World, agent: Agent, random: Random) -> None:
    """Move a host to another zone; whether it is overdue is open until it has been back a while."""
    agent.zone = random.choice(FARAWAY)
    agent.edited_at = world.now + timedelta(days=2)
    world.truth.disturb("moved to another zone")


HABITS: dict[str, type[Server] | type[Laptop]] = {
    "server": Server, "laptop": Laptop, "traveller": Traveller,
}  # fmt: skip
"""How a host lives, by the first word of its name."""
