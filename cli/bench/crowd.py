"""All agents together: storms, and what came of them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from statistics import quantiles

from websockets.uri import WebSocketURI

from agent.backoff import Backoff
from cli.bench.agent import Agent
from libs.common.clock import monotonic_seconds
from libs.common.errors import Unavailable

PER_ADDRESS = 20_000
"""Connections from one source address to one listener: there are some 28,000 ports."""

LONGEST_STORM_SECONDS = 180.0
BACKOFF = (timedelta(seconds=1), timedelta(seconds=60))


@dataclass
class Storm:
    """What a crowd lived through in one storm. `refused`: reason → how often."""

    seconds: float = 0.0
    welcome_seconds: list[float] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)

    @property
    def refusals(self) -> int:
        return sum(self.refused.values())


class Crowd:
    """The agents, and who watches them."""

    def __init__(self) -> None:
        self.agents: list[Agent] = []
        self.storm = Storm()
        self.beats = 0
        self.ack_seconds: list[float] = []
        self.ran_at: dict[str, float] = {}
        self.dropped: Counter[str] = Counter()
        self._backoffs: dict[Agent, Backoff] = {}
        self._dialling: set[asyncio.Task[None]] = set()

    def take(self, agents: Iterable[Agent], uri: WebSocketURI) -> None:
        """These dial `uri`; beyond what one address can open they dial from several."""
        self.agents, self._uri = list(agents), uri
        if len(self.agents) > PER_ADDRESS and uri.host.startswith("127."):
            for number, agent in enumerate(self.agents):
                agent.source = f"127.0.0.{2 + number // PER_ADDRESS}"

    # -- storms ------------------------------------------------------------------------------------

    async def connect_all(self) -> Storm:
        """Everybody dials at once; return when all are welcomed. Raises: Unavailable."""
        self.storm, self._backoffs = Storm(), {}
        started = monotonic_seconds()
        for agent in self.agents:
            self._dial(agent)
        await self._until(lambda: self.welcomed == len(self.agents), "not all were welcomed")
        self.storm.seconds = monotonic_seconds() - started
        return self.storm

    async def drop_all(self) -> None:
        """Laptops say goodbye and sleep, servers lose their cable. Raises: Unavailable."""
        for agent in self.agents:
            if agent.always_on:
                agent.pull_cable()
            else:
                agent.fall_asleep()
        await self._until(lambda: self.welcomed == 0, "not all were let go")

    async def hang_up(self) -> None:
        for agent in self.agents:
            agent.pull_cable()
        await self._until(lambda: self.welcomed == 0, "not all were let go")

    @property
    def welcomed(self) -> int:
        return sum(agent.welcome_at is not None for agent in self.agents)

    async def _until(self, condition: Callable[[], bool], what: str) -> None:
        try:
            async with asyncio.timeout(LONGEST_STORM_SECONDS):
                while not condition():
                    await asyncio.sleep(0.02)
        except TimeoutError:
            why = dict((self.storm.refused + self.dropped).most_common(3))
            raise Unavailable(f"{what} within {LONGEST_STORM_SECONDS:.0f} s: {why}") from None

    def _dial(self, agent: Agent) -> None:
        task = asyncio.get_running_loop().create_task(self._dial_once(agent))
        self._dialling.add(task)
        task.add_done_callback(self._dialling.discard)

    async def _dial_once(self, agent: Agent) -> None:
        try:
            await agent.dial(self._uri)
        except OSError as error:
            self._refused(agent, error.strerror or str(error))

    def _refused(self, agent: Agent, reason: str) -> None:
        """It dials again as a real one does: later and later, at random."""
        self.storm.refused[reason] += 1
        backoff = self._backoffs.setdefault(agent, Backoff(*BACKOFF, Random()))  # noqa: S311
        wait = backoff.next_wait().total_seconds()
        asyncio.get_running_loop().call_later(wait, self._dial, agent)

    # -- what agents tell --------------------------------------------------------------------------

    def welcome_came(self, seconds: float) -> None:
        self.storm.welcome_seconds.append(seconds)

    def beat_answered(self) -> None:
        self.beats += 1

    def acknowledged(self, seconds: float) -> None:
        self.ack_seconds.append(seconds)

    def ran(self, job_id: str) -> None:
        self.ran_at[job_id] = monotonic_seconds()

    def lost(self, agent: Agent, code: int | None, reason: str) -> None:
        """A loss that nobody wanted: before the welcome a refusal, after it a host let down."""
        if agent.expects_loss:
            return
        why = f"{code or 'no WebSocket'} {reason}".strip()
        if agent.welcome_at is None:
            self._refused(agent, why)
        else:
            self.dropped[why] += 1
            self._dial(agent)


def percentile(seconds: list[float], percent: int) -> float:
    """Return a percentile, never beyond what was seen; 0 of nothing."""
    if len(seconds) < 2:
        return max(seconds, default=0.0)
    return quantiles(seconds, n=100, method="inclusive")[percent - 1]
