"""The simulated world: one log, one virtual clock, all services but the ui, a fleet.

One seed decides it all. `now` is what every service's clock shows; an agent's own may be wrong. One
heap of things to do, one thread.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from random import Random
from typing import Any

from cli.simulator.agent import Agent
from cli.simulator.network import Network
from cli.simulator.node import Node
from cli.simulator.shell import Link, Shell
from cli.simulator.truth import Truth
from libs.common.bus.memory_log import MemoryLog
from libs.common.events.host import Actor
from libs.common.ids import IdSource
from libs.common.loop.keys import key_of
from libs.common.loop.step import Effect
from libs.common.security import Vault
from services.alerting.machine import AlertingMachine
from services.alerting.settings import AlertingSettings
from services.catchup.machine import CatchupMachine
from services.catchup.settings import CatchupSettings
from services.gateway.machine import GatewayMachine
from services.gateway.settings import GatewaySettings
from services.jobs.machine import JobsMachine
from services.jobs.settings import JobsSettings
from services.notify.machine import NotifyMachine
from services.notify.settings import NotifySettings
from services.presence.machine import PresenceMachine
from services.presence.settings import PresenceSettings
from services.registry.machine import RegistryMachine

STARTS = [
    datetime(2026, 3, 20, 6, tzinfo=UTC),  # The clocks of Europe go forward on the 29th,
    datetime(2026, 6, 15, 9, tzinfo=UTC),
    datetime(2026, 10, 18, 22, tzinfo=UTC),  # and back on the 25th,
    datetime(2026, 3, 3, 6, tzinfo=UTC),  # those of America go forward on the 8th,
    datetime(2026, 4, 1, 12, tzinfo=UTC),  # those of Australia back on the 5th.
]
NO_TIME = timedelta()
ADMIN = Actor(kind="operator", id="op-1", name="ada", role="admin")


class Violation(AssertionError):
    """A rule was broken. Says which, where and when."""


@dataclass(frozen=True, slots=True)
class Pace:
    """The durations of a world. `slow` ones are ten times as long: fewer heartbeats to simulate."""

    offline_after: timedelta = timedelta(seconds=90)
    heartbeat: timedelta = timedelta(seconds=30)
    floor: timedelta = timedelta(minutes=15)
    settle: timedelta = timedelta(seconds=60)
    stale_after: timedelta = timedelta(days=7)


QUICK = Pace()
SLOW = Pace(timedelta(minutes=15), timedelta(minutes=5), timedelta(hours=1))


class World:
    """Everything that is simulated. `seed` and `pace` decide what happens.

    `is_eager`: a service decides what falls due by a step in that step, and takes its sent rows out
    with the next; otherwise each is a step of its own, as over NATS. Both are possible histories.
    """

    actor = ADMIN

    def __init__(self, seed: int, pace: Pace = QUICK, *, gateways: int = 1) -> None:
        self.seed, self.pace = seed, pace
        self.random = Random(seed)  # noqa: S311  Repeatable on purpose.
        self.now = self._elapses = self.random.choice(STARTS)
        self.is_eager = pace is SLOW
        self.log = MemoryLog(dedupes=self.random.random() < 0.5)
        self.log.wake_on_append(self._on_append)
        self._readers: dict[tuple[str, str], list[Node]] = {}
        self.ids = IdSource(Random(seed + 1))  # noqa: S311
        self.truth = Truth(self)
        self.network = Network(self.random)
        self._hangs = Random(seed + 2)  # noqa: S311
        self.agents: dict[str, Agent] = {}
        self.steps = 0
        self._heap: list[tuple[datetime, int, Callable[[], None]]] = []
        self._order = count()
        self._vault = Vault.generate()
        self.nodes: dict[str, Node] = {}
        self.shells: list[Shell] = []
        self._make_services(gateways)
        self.registry = self.nodes["registry"]

    def _make_services(self, gateways: int) -> None:
        pace = self.pace
        makers: dict[str, Callable[[], Any]] = {
            "registry": lambda: RegistryMachine(self._vault, pace.offline_after),
            "presence": lambda: PresenceMachine(PresenceSettings(offline_after=pace.offline_after)),
            "alerting": lambda: AlertingMachine(
                AlertingSettings(offline_after=pace.offline_after, agent_offline_floor=pace.floor,
                                 stale_after=pace.stale_after)),
            "catchup": lambda: CatchupMachine(CatchupSettings(catchup_settle=pace.settle)),
            "jobs": lambda: JobsMachine(JobsSettings()),
            "notify": lambda: NotifyMachine(self._vault, NotifySettings()),
        }  # fmt: skip
        for name, make in makers.items():
            self.nodes[name] = Node(self, name, make)
        for number in range(1, gateways + 1):
            self._make_gateway(f"gw-{number}")

    def _make_gateway(self, gateway_id: str) -> None:
        settings = GatewaySettings(
            gateway_id=gateway_id, heartbeat_interval=self.pace.heartbeat,
            offline_after=self.pace.offline_after,
        )  # fmt: skip
        node = Node(self, gateway_id, lambda: GatewayMachine(settings))
        self.nodes[gateway_id] = node
        self.shells.append(Shell(self, node, settings))

    # --- time

    @property
    def elapsed(self) -> datetime:
        """The start plus what has really passed, however the services' clock was set."""
        return self._elapses

    def at(self, moment: datetime, what: Callable[[], None]) -> None:
        """Do something when the services' clock shows `moment`, if nobody sets it until then."""
        self._in(max(moment - self.now, NO_TIME), what)

    def after(self, seconds: float, what: Callable[[], None]) -> None:
        self._in(timedelta(seconds=seconds), what)

    def _in(self, wait: timedelta, what: Callable[[], None]) -> None:
        heapq.heappush(self._heap, (self._elapses + wait, next(self._order), what))

    def run_until(self, end: datetime) -> None:
        """Let everything happen that happens before `elapsed` is `end`. Raises: Violation."""
        while self._heap and self._heap[0][0] <= end:
            moment, _, what = heapq.heappop(self._heap)
            self._pass_time(moment)
            self.steps += 1
            what()
        self._pass_time(end)

    def run_for(self, seconds: float) -> None:
        self.run_until(self._elapses + timedelta(seconds=seconds))

    def _pass_time(self, until: datetime) -> None:
        if until != self._elapses:
            self.now += until - self._elapses
            self._elapses = until

    def set_clock(self, by: timedelta) -> None:
        """Set the clock of all services ahead or back. The agents' clocks are their own."""
        for node in self.nodes.values():
            self.before_silence(node)
        self.truth.clock_is_set(by)
        self.now += by
        for shell in self.shells:
            shell.clock_was_set(by)
            self.after(self.random.uniform(0, 10), shell.pulse)
        for agent in self.agents.values():
            agent.services_clock_was_set(by)
        for node in self.nodes.values():
            node.clock_was_set()

    def latency(self) -> timedelta:
        """How long something is on its way between an agent and a gateway."""
        return self.network.latency()

    def cut(self, shell: Shell, link: Link) -> None:
        """A link breaks unseen; its agent finds out when no frame has come for long."""
        shell.cut(link)
        seconds = self.pace.heartbeat.total_seconds() * 2.5
        self.after(seconds, lambda: link.agent.notice_cut(link))

    # --- services

    def start(self) -> None:
        for node in self.nodes.values():
            node.start()

    def _on_append(self) -> None:
        """Wake who handles such an event; the others read it when they have something to do."""
        kind = key_of(self.log.read(self.log.info().last_seq, 1)[0].subject)
        if kind not in self._readers:
            self._readers[kind] = [n for n in self.nodes.values() if n.is_interested_in(*kind)]
        for node in self._readers[kind]:
            if node.connected:
                node.wake()

    def on_killed(self, node: Node) -> None:
        for shell in self.shells:
            if shell.node is node:
                self.truth.stopped_listening(shell)
                shell.drop_all()

    def on_connection_broken(self, node: Node) -> None:
        """A publish failed in its middle: read from the position, send again from the oldest."""
        node.lose_bus()
        self.after(self.random.uniform(0.1, 2), node.connect)

    def take_bus_away(self) -> None:
        for node in self.nodes.values():
            self.before_silence(node)
        self.log.available = False
        for node in self.nodes.values():
            node.lose_bus()

    def bring_bus_back(self) -> None:
        """Each service is back within 3 s."""
        self.log.available = True
        for node in self.nodes.values():
            self.after(self.random.uniform(0.05, 3), node.connect)

    # --- what services say and want

    def on_signal(self, node: Node, topic: str, value: Any) -> None:
        for shell in self.shells:
            if shell.node is node:
                if topic == "disconnected":
                    self.truth.stopped_listening(shell)
                shell.on_signal(topic, value)
        if topic == "connected" and node.machine.needs_beat:
            for shell in self.shells:
                self.beat_soon(shell)

    def before_deadlines(self, node: Node) -> None:
        """Let a service know what it would have heard by now, before it decides by the clock."""
        for shell in self.shells:
            if shell.node is node:
                shell.note_pulse()
                shell.pulse()
            elif node.machine.needs_beat and shell.is_awaited_by(node):
                shell.beat_to(node)

    def before_silence(self, node: Node) -> None:
        """A service falls silent or deaf: its last pulse and beats were moments ago."""
        for shell in self.shells:
            if shell.node is node:
                shell.write_pulse()
                for other in self.nodes.values():
                    shell.beat_to(other)
            elif node.machine.needs_beat and node.connected and (beat := shell.beat()):
                node.hear_at_last(shell.beat_subject, beat)

    def beat_soon(self, shell: Shell) -> None:
        self.after(self.random.uniform(0.01, 5), lambda: self._beat(shell))

    def _beat(self, shell: Shell) -> None:
        if shell.beat() is None:
            return
        self.truth.began_listening(shell)
        for node in self.nodes.values():
            shell.beat_to(node)

    def on_effect(self, node: Node, effect: Effect) -> None:
        if node.name == "jobs":
            self.truth.sends(effect.payload["host_id"], effect.payload["frame"])
            self.after(self.latency().total_seconds(), lambda: self._command(node, effect))
        else:
            self.after(self.random.uniform(0.01, 2), lambda: self._notify(node, effect))

    def _command(self, node: Node, effect: Effect) -> None:
        payload = effect.payload
        if not node.up:
            return
        shells = [s for s in self.shells if s.settings.gateway_id == payload["gateway"]]
        outcome = {"ok": False, "reason": "not_connected"}
        if shells:
            shell = shells[0]
            outcome = shell.command(payload["host_id"], payload["session"], payload["frame"])
        if self.random.random() < 0.01:
            outcome = {"reason": "unknown"}
        self.after(0.005, lambda: node.end_effect(effect, outcome))

    def _notify(self, node: Node, effect: Effect) -> None:
        if node.up:
            node.end_effect(effect, {"status": 200 if self.random.random() < 0.9 else 503})

    def on_decided(self, node: Node) -> None:
        self.truth.check(node)

    def violated(self, what: str) -> None:
        raise Violation(f"seed {self.seed}, {self.now:%Y-%m-%d %H:%M:%S}: {what}")

    # --- agents

    def shell_of(self, link: Link) -> Shell:
        return next(s for s in self.shells if s.settings.gateway_id == link.gateway)

    def sharing(self, agent: Agent) -> list[Agent]:
        """Return the agents with the same repository, itself among them."""
        return [one for one in self.agents.values() if one.repository == agent.repository]

    def choose_shell(self) -> Shell | None:
        """Return a gateway that listens, as a load balancer would."""
        listening = [shell for shell in self.shells if shell.is_listening]
        return self.random.choice(listening) if listening else None

    def job_seconds(self) -> float:
        """Return how long a backup takes; one in a hundred hangs, until it is cancelled or cut."""
        if self._hangs.random() < 0.01:
            return 3600.0 * self._hangs.uniform(10, 100)
        return self.random.choice([8.0, 45.0, 300.0, 2400.0]) * self.random.uniform(0.5, 1.5)

    def job_status(self) -> str:
        chances = {"succeeded": 0.86, "succeeded_with_warnings": 0.06, "failed": 0.08}
        return self.random.choices(list(chances), list(chances.values()))[0]
