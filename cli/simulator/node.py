"""One service as its loop drives it: a step at a time, and it can die between any two of them.

    read the log to its tail ─▶ step (one transaction) ─▶ publish the outbox ─▶ acknowledged
            ▲                 ✗                        ✗                     ✗
            └────────── killed at a ✗: only what was committed or stored is left

The machine, its tables and `Core` are the production's; what `Service` and `Sender` do around them
with asyncio is done here by the world's schedule.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

from pydantic_core import to_jsonable_python

from cli.simulator.crashes import CrashPoint
from cli.simulator.opening import open_log
from libs.common.bus.base import BATCH, BusAway, LogMessage
from libs.common.errors import DormiceError, Unavailable
from libs.common.loop.core import Core
from libs.common.loop.machine import Machine, OnLive
from libs.common.loop.step import Effect, Step, Work
from libs.common.loop.tx import OutboxRow, Tx
from libs.common.store.database import open_connection

if TYPE_CHECKING:
    from cli.simulator.world import World

Done = Callable[[Any], None]
"""Takes an input's answer once its events are stored, or the DormiceError that it came to."""


class _Died(BaseException):
    """Ends a step in its middle, as kill -9 would."""


def _die(_: Tx) -> None:
    raise _Died


def _heard(handler: OnLive, subject: str, data: dict[str, Any], tx: Tx) -> None:
    handler(tx, subject, data)


class Node:
    """A service's process and its file. The file (`db`) outlives the process."""

    def __init__(self, world: World, name: str, make_machine: Callable[[], Machine]) -> None:
        self.world, self.name, self._make_machine = world, name, make_machine
        self.machine = make_machine()
        self.db = open_connection(":memory:", self.machine.package)
        world.truth.watch(self)
        self.up = False
        self.connected = False
        self.crash_at: CrashPoint | None = None
        self.latency = 0.02  # seconds from a stored event to the pass that reads it, at the most
        self.hears = self.machine.needs_beat or self.machine.name == "gateway"
        self._core: Core
        self._seq = 0
        self._beat_seen = False
        self._inputs: deque[tuple[Work, Done | None, bool]] = deque()
        self._outbox: deque[OutboxRow] = deque()
        self._waiters: deque[tuple[int, Done, Any]] = deque()
        self._running_effects: set[int] = set()
        self._acknowledged_row = 0
        self._next_due: datetime | None = None
        self._wake_at: datetime | None = None
        self._sending = False

    # --- its life

    def start(self) -> None:
        self.up = True
        self.machine = self._make_machine()
        self._core = Core(self.machine, self.db, self.world.ids)
        self.connect()

    def kill(self) -> None:
        """End the process: what was not committed is gone, and who waits hears nothing."""
        self.world.before_silence(self)
        self.up = self.connected = self._sending = False
        self.crash_at = None
        waiting = [done for _, done, _ in self._waiters] + [done for _, done, _ in self._inputs]
        self._waiters.clear()
        self._inputs.clear()
        self._outbox.clear()
        self._running_effects.clear()
        self._acknowledged_row = 0
        self._wake_at = None
        for done in waiting:
            if done is not None:
                done(Unavailable("the service died"))
        self.world.on_killed(self)

    def lose_bus(self) -> None:
        """The connection broke: nothing more is read, decided by the clock, or sent."""
        if self.connected:
            self.world.before_silence(self)
            self.connected = self._sending = False
            self.world.on_signal(self, "disconnected", None)

    @property
    def is_settled(self) -> bool:
        """Whether there is nothing left to decide or send, once all has been read."""
        if self.connected and not self._outbox and not self._inputs:
            self._pass()
        return (
            self.connected and not self._outbox and not self._inputs
            and self._seq == self.world.log.info().last_seq and not self._is_due()
        )  # fmt: skip

    def is_interested_in(self, family: str, name: str) -> bool:
        """Say whether the machine handles events of this kind."""
        kinds = {tuple(model.type.split(".")[1:3]) for model in self.machine.handlers}
        return (family, name) in kinds

    # --- connecting

    def connect(self) -> None:
        """Open the log at the position, read to the tail, and only then decide and publish."""
        if not self.up or self.connected or not self.world.log.available:
            return
        try:
            self._open_log()
            while messages := self.world.log.read(self._seq + 1):
                self._step(messages, [], catching_up=True)
            self._step([], [self.machine.on_connected], catching_up=True)
        except _Died:
            self.kill()
            return
        rest = self._core.restart()
        self._outbox = deque(rest.outbox)
        self._next_due = rest.next_due
        self._beat_seen = False
        self.connected = True
        self._start_effects(rest.effects)
        self.world.on_signal(self, "connected", None)
        self._send_soon()
        self.wake()

    def _open_log(self) -> None:
        opened = open_log(self._core, self.world.log, self.world.now)
        self._seq = opened.position.seq
        if opened.verdict.is_reset:
            self.world.on_signal(self, "log_reset", opened.verdict)

    # --- what it is given

    def submit(self, work: Work, done: Done | None = None, *, fresh: bool = False) -> None:
        """Have `work` decided in the next step; `fresh` needs the log."""
        if not self.up or (fresh and not self.connected):
            if done is not None:
                done(Unavailable("not there"))
            return
        self._inputs.append((work, done, fresh))
        self.wake(0.001)

    def call(self, verb: str, done: Done | None = None, **arguments: Any) -> None:
        """Call a verb as an administrator would."""
        entry = self.machine.verbs[verb]
        parsed = entry.arguments.model_validate(arguments)
        self.submit(
            lambda tx: to_jsonable_python(entry.handler(tx, self.world.actor, parsed)),
            done, fresh=True,
        )  # fmt: skip

    def hear(self, subject: str, data: dict[str, Any]) -> None:
        """Deliver an unstored message."""
        if not self.up:
            return
        for pattern, handler in self.machine.live.items():
            if subject.startswith(pattern.rstrip("*>")):
                self.submit(partial(_heard, handler, subject, data))
        if subject.startswith("dormice-live.beat."):
            self._beat_seen = True
            self.wake()

    def hear_at_last(self, subject: str, data: dict[str, Any]) -> None:
        """Have an unstored message applied now: it came moments ago, before an end."""
        for pattern, handler in self.machine.live.items():
            if subject.startswith(pattern.rstrip("*>")):
                work = partial(_heard, handler, subject, data)
                self._core.step([], [work], now=self.world.now)

    def clock_was_set(self) -> None:
        """It looks at the clock every 15 s, whatever its timers think."""
        self._wake_at = None
        self.wake(15 * self.world.random.random())

    # --- the pass

    def wake(self, within: float | None = None) -> None:
        """Have a pass made within some seconds (None: its latency)."""
        seconds = self.latency * self.world.random.random() if within is None else within
        self._wake_by(self.world.now + timedelta(seconds=seconds))

    def _wake_by(self, moment: datetime) -> None:
        if self._wake_at is not None and self._wake_at <= moment:
            return
        self._wake_at = moment
        self.world.at(moment, lambda: self._on_wake(moment))

    def _on_wake(self, moment: datetime) -> None:
        if self._wake_at == moment:
            self._wake_at = None
            self._pass()

    def _may_judge(self) -> bool:
        return self._beat_seen or not self.machine.needs_beat

    def _is_due(self) -> bool:
        due = self._next_due
        return due is not None and due <= self.world.now and self._may_judge()

    def _pass(self) -> None:
        if not self.up:
            return
        try:
            self._pass_alive()
        except _Died:
            self.kill()
        if self.connected and self._next_due is not None and self._may_judge():
            self._wake_by(max(self._next_due, self.world.now))

    def _pass_alive(self) -> None:
        messages = self._read_to_tail() if self.connected else []
        if self.connected and self._is_due():
            self.world.before_deadlines(self)
        inputs = [entry for entry in self._inputs if self.connected or not entry[2]]
        self._inputs = deque(entry for entry in self._inputs if entry[2] and not self.connected)
        due = self.connected and (self._is_due() or (self.world.is_eager and not self.hears))
        told = self._acknowledged_row and not self.world.is_eager
        if not (messages or inputs or told or self._is_due()):
            return  # An acknowledgement alone waits for company.
        step = self._step(messages, [work for work, _, _ in inputs], deadlines=due)
        self._answer(inputs, step)
        if self.crash_at is CrashPoint.AFTER_COMMIT:
            self.kill()
            return
        self._send_soon()
        if self.connected and not self._is_due():
            self.world.on_decided(self)

    def _read_to_tail(self) -> list[LogMessage]:
        messages: list[LogMessage] = []
        while batch := self.world.log.read(self._seq + 1 + len(messages)):
            messages += batch
        return messages

    def _step(
        self, messages: Sequence[LogMessage], works: list[Work], *, deadlines: bool = False,
        catching_up: bool = False,
    ) -> Step:  # fmt: skip
        if self.crash_at is CrashPoint.BEFORE_COMMIT:
            works = [*works, _die]
        step = self._core.step(
            messages, works, now=self.world.now, deadlines=deadlines,
            acknowledged_row=self._acknowledged_row,
        )  # fmt: skip
        self._acknowledged_row = 0
        self._seq, self._next_due = step.position.seq, step.next_due
        if step.sent_rows:
            self._stored(max(step.sent_rows))
        if not catching_up and self.connected:
            self._outbox.extend(step.outbox)
            self._start_effects(step.effects)
        for signal in step.signals:
            self.world.on_signal(self, signal.topic, signal.value)
        if step.dead:
            self.world.violated(f"{self.name} could not apply an event")
        return step

    def _answer(self, inputs: list[tuple[Work, Done | None, bool]], step: Step) -> None:
        answered = zip(inputs, step.answers, step.answer_rows, strict=False)
        for (_, done, _), answer, row in answered:
            if done is None:
                continue
            if row == 0 or isinstance(answer, DormiceError):
                done(answer)
            else:
                self._waiters.append((row, done, answer))

    # --- the outbox

    def _send_soon(self) -> None:
        if self._outbox and self.connected and not self._sending:
            self._sending = True
            self.world.after(self.latency * self.world.random.random(), self._send)

    def _send(self) -> None:
        if not self._sending or not self.connected:
            return
        self._sending = False
        batch = list(islice(self._outbox, BATCH))
        if not batch:
            return
        try:
            self.world.log.store([row.message for row in batch])
        except BusAway:
            self.world.on_connection_broken(self)
            return
        if self.crash_at is CrashPoint.AFTER_PUBLISH:
            self.kill()
            return
        self._stored(batch[-1].row_id)
        if not self.world.is_eager:
            self.wake()
        self._send_soon()

    def _stored(self, row_id: int) -> None:
        """Every row up to this one is in the log."""
        self._acknowledged_row = max(self._acknowledged_row, row_id)
        while self._outbox and self._outbox[0].row_id <= row_id:
            self._outbox.popleft()
        while self._waiters and self._waiters[0][0] <= row_id:
            _, done, answer = self._waiters.popleft()
            done(answer)

    # --- effects

    def _start_effects(self, effects: list[Effect]) -> None:
        for effect in effects:
            if effect.row_id not in self._running_effects:
                self._running_effects.add(effect.row_id)
                self.world.on_effect(self, effect)

    def end_effect(self, effect: Effect, outcome: dict[str, Any]) -> None:
        """Feed back what became of an effect, if the process that began it still lives."""
        if self.up and effect.row_id in self._running_effects:
            self._running_effects.discard(effect.row_id)
            self.submit(self._core.outcome(effect, outcome))
