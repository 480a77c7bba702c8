"""Drives real machines without a bus, a thread or a sleep: what unit and simulation tests use.

`Rig` holds one machine; `Fleet` several on one log. Time is virtual; `advance` runs every deadline
at its own moment, as the loop would.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, TypeVar

from libs.common.bus.base import LogMessage
from libs.common.clock import VirtualClock
from libs.common.errors import DormiceError
from libs.common.events import registry  # noqa: F401  makes every event known
from libs.common.events.base import Event, decode, encode
from libs.common.events.host import Actor
from libs.common.ids import IdSource
from libs.common.loop.core import Core
from libs.common.loop.machine import Machine
from libs.common.loop.step import Effect, Position, Step
from libs.common.store.database import open_connection

E = TypeVar("E", bound=Event)

START = datetime(2026, 6, 15, 9, 0, tzinfo=UTC)
ADMIN = Actor(kind="operator", id="op-1", name="ada", role="admin")
VIEWER = Actor(kind="operator", id="op-2", name="vic", role="viewer")


class Fleet:
    """Machines on one in-memory log. `log` is every event in order; `buckets` what was put."""

    def __init__(self, *machines: Machine, start: datetime = START, seed: int = 1) -> None:
        self.clock = VirtualClock(start)
        self.log: list[Event] = []
        self.raw: list[LogMessage] = []
        self.buckets: dict[str, dict[str, bytes]] = {}
        self.effects: dict[str, list[Effect]] = {machine.name: [] for machine in machines}
        self.signals: list[tuple[str, str, Any]] = []
        self._ids = IdSource(Random(seed))  # noqa: S311  repeatable on purpose
        self._read: dict[str, int] = {}
        self.cores = {machine.name: self._core(machine) for machine in machines}

    def _core(self, machine: Machine) -> Core:
        db: sqlite3.Connection = open_connection(":memory:", machine.package)
        core = Core(machine, db, self._ids)
        core.start_at(Position("one", 0, ""), self.buckets, self.clock.now(), again=False)
        self._read[machine.name] = 0
        return core

    @property
    def now(self) -> datetime:
        return self.clock.now()

    def restart(self, service: str) -> None:
        """Hand out again what the service has not sent or done, as its loop does after a start."""
        self._carry_out(service, self.cores[service].restart())
        self.settle()

    def lose_log(self, service: str, buckets: dict[str, dict[str, bytes]]) -> None:
        """Have a service notice that its log was made anew, and take what the buckets hold."""
        position = Position("another", 0, "")
        self.cores[service].start_at(position, buckets, self.now, again=True)
        self.restart(service)

    def publish(
        self, *events: Event, source: str = "dormice/test", ahead: timedelta = timedelta()
    ) -> None:
        """Append events as another service would, and let every machine apply them.

        `ahead`: how fast that service's clock is.
        """
        for event in events:
            event_id = self._ids.next(self.now)
            data = encode(event, event_id=event_id, source=source, time=self.now + ahead)
            self._append(event_id, event.subject(), data)
        self.settle()

    def _append(self, event_id: str, subject: str, data: bytes) -> None:
        envelope = decode(data)
        assert envelope is not None
        self.log.append(envelope.event)
        self.raw.append(LogMessage(len(self.raw) + 1, subject, data, event_id))

    def settle(self) -> None:
        """Apply, publish and run what is due until nothing moves."""
        moving = True
        while moving:
            moving = sum(self._step(core) for core in self.cores.values()) > 0

    def _step(self, core: Core) -> bool:
        name = core.machine.name
        messages = self.raw[self._read[name] :]
        self._read[name] = len(self.raw)
        step = core.step(messages, now=self.now, deadlines=True)
        self._carry_out(name, step)
        return bool(messages or step.outbox or step.due_run)

    def _carry_out(self, name: str, step: Step) -> None:
        assert not step.dead, "an event became a dead letter; see the log"
        for row in step.outbox:
            message = row.message
            if message.bucket is None:
                assert message.data is not None
                self._append(message.event_id, message.subject, message.data)
            elif message.data is None:
                self.buckets.setdefault(message.bucket, {}).pop(message.subject, None)
            else:
                self.buckets.setdefault(message.bucket, {})[message.subject] = message.data
        self.effects[name].extend(step.effects)
        self.signals.extend((name, signal.topic, signal.value) for signal in step.signals)

    def advance(self, by: timedelta) -> None:
        """Move time, running each deadline at its own moment."""
        target = self.now + by
        self.settle()
        while (due := self._next_due()) is not None and due <= target:
            self.clock.set(max(due, self.now))
            self.settle()
        self.clock.set(target)
        self.settle()

    def _next_due(self) -> datetime | None:
        dues = []
        for core in self.cores.values():
            step = core.step(now=self.now)
            self._carry_out(core.machine.name, step)
            if step.next_due is not None:
                dues.append(step.next_due)
        return min(dues, default=None)

    def call(self, service: str, verb: str, actor: Actor = ADMIN, **arguments: Any) -> Any:
        """Call a verb as the loop would; raises the DormiceError it answers with."""
        self.settle()
        core = self.cores[service]
        entry = core.machine.verbs[verb]
        parsed = entry.arguments.model_validate(arguments)
        return self.input(service, lambda tx: entry.handler(tx, actor, parsed))

    def live(self, service: str, subject: str, data: dict[str, Any]) -> None:
        """Deliver an unstored message."""
        pattern = next(iter(self.cores[service].machine.live))
        handler = self.cores[service].machine.live[pattern]
        self.input(service, lambda tx: handler(tx, subject, data))

    def input(self, service: str, work: Any) -> Any:
        step = self.cores[service].step(inputs=[work], now=self.now)
        self._carry_out(service, step)
        self.settle()
        (answer,) = step.answers
        if isinstance(answer, DormiceError):
            raise answer
        return answer

    def end_effect(self, service: str, effect: Effect, **outcome: Any) -> None:
        """Feed back what became of an effect."""
        self.effects[service].remove(effect)
        self.input(service, self.cores[service].outcome(effect, outcome))

    def of(self, kind: type[E]) -> list[E]:
        """Return the events of one type in the log, oldest first."""
        return [event for event in self.log if isinstance(event, kind)]

    def last(self, kind: type[E]) -> E:
        return self.of(kind)[-1]

    def redeliver(self, events: Sequence[Event]) -> None:
        """Publish the same facts again (an at-least-once bus may, any time later)."""
        self.publish(*events)

    def decisions(self, service: str, host_id: str | None = None) -> list[str]:
        """Return the names of the decisions of a service, oldest first."""
        rows = self.cores[service].db.execute("SELECT what, host_id FROM decision ORDER BY row_id")
        return [what for what, host in rows if host_id in (None, host)]


class Rig(Fleet):
    """A fleet of one machine."""

    def __init__(self, machine: Machine, **options: Any) -> None:
        super().__init__(machine, **options)
        self.name = machine.name

    @property
    def db(self) -> sqlite3.Connection:
        return self.cores[self.name].db

    def ask(self, verb: str, actor: Actor = ADMIN, **arguments: Any) -> Any:
        return self.call(self.name, verb, actor, **arguments)
