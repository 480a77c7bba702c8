"""A gateway's sockets, without sockets: links between agents and the gateway's machine.

A **link** is one connection of one agent. What travels on it keeps its order, takes a moment, and
is lost when the link is cut. Heartbeats are not sent one by one: the gateway is told whom it has
heard just before it decides anything by the clock.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from cli.simulator.node import Node
from libs.common.errors import DormiceError
from libs.common.loop.tx import Tx
from libs.common.protocol import CloseCode, Frame, Hello, SpooledFrame
from services.gateway import reports, sessions, store, store_hosts
from services.gateway.configs import config_frame
from services.gateway.machine import LISTENING, GatewayMachine
from services.gateway.reports import Received, Taken
from services.gateway.sessions import CONFIG_WANTED, ENDED, Accepted, Ended, Heard, Offer, Refused
from services.gateway.settings import GatewaySettings
from services.gateway.store_hosts import Token

if TYPE_CHECKING:
    from cli.simulator.sleeper import Sleeper
    from cli.simulator.world import World


@dataclass(slots=True, eq=False)
class Link:
    """One connection. `greeted`: its agent has the welcome. `heard_at` is the server's time of the
    last frame other than a heartbeat; `hears_until` that of the very last one, once it is cut."""

    agent: Sleeper
    gateway: str
    session: str
    welcomed: bool = False
    greeted: bool = False
    open: bool = True
    heard_at: datetime | None = None
    hears_until: datetime | None = None
    next_delivery: datetime | None = None

    def clock_was_set(self, by: timedelta) -> None:
        self.heard_at = self.heard_at and self.heard_at + by
        self.hears_until = self.hears_until and self.hears_until + by
        self.next_delivery = self.next_delivery and self.next_delivery + by


@dataclass(eq=False)
class Shell:
    """The network side of one gateway."""

    world: World
    node: Node
    settings: GatewaySettings
    links: dict[str, Link] = field(default_factory=dict)
    listening_since: datetime | None = None
    is_startled: bool = False
    _beaten: dict[str, datetime] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._interval = self.settings.agent_interval

    @property
    def machine(self) -> GatewayMachine:
        machine = self.node.machine
        assert isinstance(machine, GatewayMachine)
        return machine

    @property
    def is_listening(self) -> bool:
        return self.node.connected

    @property
    def beat_subject(self) -> str:
        return f"dormice-live.beat.{self.settings.gateway_id}"

    # --- hello

    def dial(self, agent: Sleeper, hello: Hello) -> Link | None:
        """Take a hello; None if nobody listens. The agent hears what became of it."""
        if not self.is_listening:
            return None
        now = self.world.now
        link = Link(agent, self.settings.gateway_id, self.world.ids.next(now), heard_at=now)
        token = Token(agent.host_id, 1)
        assert hello.now is not None
        offer = Offer(link.session, token, None, hello, hello.now - now, "", now)
        self.links[link.session] = link
        self.node.submit(
            lambda tx: sessions.take_hello(tx, offer, self.settings),
            lambda answer: self._greeted(link, answer),
        )
        return link

    def _greeted(self, link: Link, answer: Any) -> None:
        if isinstance(answer, Accepted) and link.open:
            link.welcomed = True
            self._deliver(link, lambda: link.agent.on_welcome(link))
            if answer.behind:
                self.send_config(link)
        elif isinstance(answer, Refused):
            self.close(link, answer.code)
        elif isinstance(answer, DormiceError):
            self.close(link, CloseCode.TRY_LATER)

    # --- frames

    def receive(self, link: Link, *frames: Frame) -> None:
        """An agent sends frames; they arrive in order, or not at all."""
        if self.world.network.loses():
            self.world.cut(self, link)
            return
        self._in_order(link, lambda: self._take(link, frames))
        reports = tuple(frame for frame in frames if isinstance(frame, SpooledFrame))
        if reports and self.world.network.repeats_it():
            self._in_order(link, lambda: self._take(link, reports))

    def _take(self, link: Link, frames: tuple[Frame, ...]) -> None:
        if link.session not in self.links or not link.welcomed or not self.node.up:
            return
        now = self.world.now
        link.heard_at = now
        offset = link.agent.clock() - now
        received = [Received(frame, now, offset) for frame in frames]
        self.node.submit(
            lambda tx: reports.take_frames(tx, link.agent.host_id, link.session, received),
            lambda answer: self._taken(link, answer),
        )

    def _taken(self, link: Link, answer: Any) -> None:
        if not isinstance(answer, Taken):
            self.close(link, CloseCode.TRY_LATER)
            return
        seq = answer.ack
        if seq is not None:
            self._deliver(link, lambda: link.agent.on_ack(seq))
        if answer.ended:
            self.close(link, 1000)

    # --- to the agent

    def command(self, host_id: str, session: str, frame: dict[str, Any]) -> dict[str, Any]:
        """Write `run`, `hold` or `cancel` as the gateway does; return its answer."""
        link = self.links.get(session)
        if not self.node.up or link is None or link.agent.host_id != host_id or not link.open:
            return {"ok": False, "reason": "not_connected"}
        self._deliver(link, lambda: link.agent.on_command(frame))
        return {"ok": True}

    def send_config(self, link: Link) -> None:
        """Ask the registry for what the agent runs, and send it."""
        host_id = link.agent.host_id
        record = store_hosts.find_host(self.node.db, host_id)
        if record is None or not link.welcomed or not self.world.registry.connected:
            return
        repository = None
        if record.repository_id:
            repository = {"url": record.repository_id, "password": "x"}
        config = config_frame(record, {"repository": repository, "agent_token": None})
        self._deliver(link, lambda: link.agent.on_config(config))

    def _deliver(self, link: Link, hand_over: Any) -> None:
        """Bring something to the agent, unless the link is cut before it gets there."""
        self._in_order(link, lambda: hand_over() if link.agent.link is link else None)

    def _in_order(self, link: Link, what: Any) -> None:
        soonest = self.world.now + self.world.latency()
        at = max(soonest, link.next_delivery or soonest)
        link.next_delivery = at
        self.world.at(at, lambda: what() if link.open else None)

    def close(self, link: Link, code: int) -> None:
        """The gateway ends a link."""
        self.links.pop(link.session, None)
        if not link.open:
            return
        link.open = False
        self.world.after(
            self.world.latency().total_seconds(), lambda: link.agent.on_closed(link, code)
        )

    def cut(self, link: Link) -> None:
        """The network ends a link; the gateway learns nothing of it. A beat had just named it."""
        for node in self.world.nodes.values():
            self.beat_to(node)
        link.open = False
        link.hears_until = self.last_frame(link)

    # --- whom it hears

    def last_frame(self, link: Link) -> datetime:
        """Return when the last frame of a link came, heartbeats included."""
        heard = link.heard_at or self.world.now
        if link.hears_until is not None and not link.open:
            return max(heard, link.hears_until)
        if not link.agent.is_awake:
            return heard
        beats = (self.world.now - heard) // self._interval
        return heard + self._interval * beats if beats > 0 else heard

    def heard(self) -> list[Heard]:
        """Return whom it has heard, and when last."""
        found = []
        for link in self.links.values():
            if link.welcomed:
                link.heard_at = at = self.last_frame(link)
                found.append(Heard(link.agent.host_id, link.session, min(at, self.world.now)))
        return found

    def pulse(self) -> None:
        """Tell the machine that its shell hears, and whom.

        The real one does it every few seconds; here it is done before the machine needs to know.
        """
        self.node.submit(partial(self._take_pulse, self.machine, self.heard()))

    def _take_pulse(self, machine: GatewayMachine, heard: list[Heard], tx: Tx) -> None:
        """Only now has it noticed that its clock was set."""
        machine.take_pulse(tx, heard)
        self.is_startled = False

    def note_pulse(self) -> None:
        """Leave in the file that there was a pulse moments ago.

        The first one comes within seconds of the first listening, here not before it is needed.
        """
        if not self.is_startled:
            store.set_pulse(self.node.db, self.world.now)

    def write_pulse(self) -> None:
        """Leave in the file what the last pulse, moments ago, has left there."""
        self.note_pulse()
        for one in self.heard():
            store.touch(self.node.db, one.host_id, one.session, one.last_seen)

    def beat(self) -> dict[str, Any] | None:
        """Return a beat, if this gateway's `listening` is in the log."""
        if self.listening_since is None or not self.node.connected:
            return None
        since, now = self.listening_since.isoformat(), self.world.now
        fresh = now - self._interval
        hosts = [one.host_id for one in self.heard() if one.last_seen > fresh]
        return {"gateway": self.settings.gateway_id, "since": since, "at": now.isoformat(),
                "hosts": hosts}  # fmt: skip

    def beat_to(self, node: Node) -> None:
        """Let one service hear a beat, if it cares and there is one."""
        if node.machine.needs_beat and node.connected and (beat := self.beat()):
            self._beaten[node.name] = self.world.now
            node.hear(self.beat_subject, beat)

    def is_awaited_by(self, node: Node) -> bool:
        """Whether a service would have to hear a beat soon, if this gateway lives."""
        last = self._beaten.get(node.name)
        return last is None or self.world.now - last >= self.settings.offline_after / 2

    def clock_was_set(self, by: timedelta) -> None:
        """What really happened stays as long ago as it is; the next pulse may be startled."""
        self.is_startled = True
        for link in self.links.values():
            link.clock_was_set(by)
        self._beaten = {name: at + by for name, at in self._beaten.items()}

    # --- what its machine says

    def on_signal(self, topic: str, value: Any) -> None:
        if topic == ENDED and isinstance(value, Ended):
            link = self.links.get(value.session)
            if link is not None:
                self.close(link, value.code)
        elif topic == CONFIG_WANTED:
            link = self.links.get(value)
            if link is not None and link.welcomed:
                self.send_config(link)
        elif topic == LISTENING:
            self.listening_since = value
            self.world.beat_soon(self)
        elif topic == "disconnected":
            self.listening_since = None
        elif topic == "log_reset":
            self.drop_all()

    def drop_all(self) -> None:
        """End every link: the process died, or its log is another one."""
        self.listening_since = None
        for link in list(self.links.values()):
            self.close(link, CloseCode.TRY_LATER)
