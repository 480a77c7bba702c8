"""The loop's asynchronous shell: one machine on one bus with one file.

    open the log at the position ─▶ read to the tail ─▶ publish what was left ─▶ work ─┐
         ▲                                                                            │
         └──────────── reader lost, bus away: nothing is decided by deadline ◀────────┘

`work` waits for messages, inputs, or the nearest deadline; then one hop to the database thread
applies all of them in one transaction. Before a deadline or a call is decided, the log is read to
the tail as of that moment.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar

import structlog

from libs.common.aio import cancel, wait_briefly
from libs.common.bus.base import Bus, BusAway, LogMessage, LogMissing, Reader, ReaderLost
from libs.common.clock import Clock, SystemClock, monotonic_seconds
from libs.common.errors import Unavailable
from libs.common.loop.ahead import READ_WAIT, ReadAhead
from libs.common.loop.calls import BEAT_SUBJECT, serve
from libs.common.loop.company import Company
from libs.common.loop.core import Core
from libs.common.loop.effects import EffectRunner, Effects
from libs.common.loop.follow import open_log
from libs.common.loop.inputs import Input, Inputs, Submitted, live_input
from libs.common.loop.machine import Machine
from libs.common.loop.rest import may_rest, rest_seconds
from libs.common.loop.sender import Sender
from libs.common.loop.signals import Signals
from libs.common.loop.step import Effect, StoreFault, Work, faults_of
from libs.common.store.database import Database

log = structlog.get_logger()
T = TypeVar("T")

SUBMIT_SECONDS = 10.0
RETRY_SECONDS = 0.1
LONGEST_SLEEP_SECONDS = 15.0
FAULT_RETRY_SECONDS = 1.0


class Service:
    """Runs a machine: reads the log, answers calls, decides what is due, publishes, acts."""

    def __init__(
        self,
        machine: Machine,
        bus: Bus,
        database: Database,
        *,
        clock: Clock | None = None,
        effects: Mapping[str, EffectRunner] | None = None,
    ) -> None:
        self.machine, self.bus, self.database = machine, bus, database
        self.clock = clock or SystemClock()
        self.signals = Signals()
        self.sender = Sender(bus, self._wake_up)
        self.position = 0
        self.events_applied = self.dead_letters = self.unknown_events = self.log_resets = 0
        self._effects = Effects(effects or {}, self._effect_ended)
        self._inputs = Inputs()
        self._company = Company()
        self._wake = asyncio.Event()
        self._stopping = False
        self._working = False
        self._serving = False
        self._fault = ""
        self._beat_seen = False
        self._next_due: datetime | None = None

    # --- for the service's own shell

    async def run(self) -> None:
        """Connect and work until `stop`. Raises: StoreLocked, StoreBroken, StoreFault."""
        await self.database.open()
        try:
            with faults_of(self.machine.name):
                self._core = await self.database.run(lambda db: Core(self.machine, db))
            while not self._stopping:
                await self._live_once()
        finally:
            await self._effects.stop()
            await self._keep_outcomes()
            await self.database.close()

    async def stop(self) -> None:
        """Make `run` return; what is undone is in the file."""
        self._stopping = True
        self._wake_up()

    @property
    def reasons_not_ready(self) -> list[str]:
        """Empty once bus and database are there and the log has been read to its tail."""
        reasons = []
        if not self.bus.connected:
            reasons.append("bus away")
        elif not self._working:
            reasons.append("catching up with the log")
        if self._fault:
            reasons.append(self._fault)
        return reasons + self.sender.reasons_not_ready

    async def submit(self, work: Work, *, fresh: bool = False) -> Submitted:
        """Decide `work(tx)` in the next transaction and return once its events are acknowledged.

        `fresh`: first read the log to the tail noted now (a call does; a gateway's frame need not).
        Many at once share a transaction and a batch on the bus.

        Raises: the DormiceError that `work` raised; Unavailable after 10 s: if the bus is away, the
        decision may stand and will be published then.
        """
        future: asyncio.Future[Submitted] = asyncio.get_running_loop().create_future()
        self._add_input(Input(work, fresh, future))
        try:
            return await asyncio.wait_for(future, SUBMIT_SECONDS)
        except TimeoutError:
            raise Unavailable("the bus does not answer") from None

    async def read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        """Run a read-only query on the state as of the last commit."""
        return await self.database.run(query)

    def on_signal(self, topic: str, callback: Callable[[Any], None]) -> None:
        """Have `callback(value)` called on the event loop after a commit that signalled `topic`.

        Topics of the loop itself: `connected`, `disconnected`, `log_reset`, `applied` (a seq).
        """
        self.signals.on(topic, callback)

    async def wait_for_seq(self, seq: int, timeout: timedelta) -> bool:
        """Return True once the log has been applied up to `seq`, False after `timeout`."""
        return await self.signals.wait_for_seq(lambda: self.position, seq, timeout)

    # --- inputs

    def _wake_up(self) -> None:
        self._wake.set()

    def _add_input(self, entry: Input) -> None:
        self._inputs.add(entry)
        self._wake_up()

    def _effect_ended(self, effect: Effect, outcome: dict[str, Any]) -> None:
        self._add_input(Input(self._core.outcome(effect, outcome), effect_row=effect.row_id))

    async def _keep_outcomes(self) -> None:
        """Write down what ended while we stopped: the next start would repeat it."""
        while ended := [e for e in self._inputs.take(fresh_too=False) if e.effect_row]:
            try:
                await self._step([], ended, self.clock.now(), catching_up=True)
            except StoreFault:
                return

    def _on_live(self, subject: str, data: bytes) -> None:
        if subject.startswith(BEAT_SUBJECT[:-1]):
            self._beat_seen = True
            self._wake_up()
        entry = live_input(self.machine, subject, data)
        if entry is not None:
            self._add_input(entry)

    # --- one life of the connection

    async def _live_once(self) -> None:
        reader = await self._while_opening(asyncio.create_task(self._open()))
        if reader is None:
            return
        sending: asyncio.Task[None] | None = None
        try:
            await self._catch_up(reader)
            sending = asyncio.create_task(self.sender.run())
            sending.add_done_callback(lambda _: self._wake_up())
            await self._work(reader, sending)
        except (BusAway, ReaderLost) as error:
            log.warning("log_lost", service=self.machine.name, reason=error.message)
            await asyncio.sleep(RETRY_SECONDS if self.bus.connected else 0)
        except StoreFault as error:
            await self._pause_for_fault(error)
        finally:
            self._working = False
            if sending is not None:
                await cancel(sending)
            await reader.close()
            self.signals.send("disconnected")

    async def _while_opening(self, opening: asyncio.Task[Reader]) -> Reader | None:
        """Decide what needs no log while the bus is away; return the reader once it is there."""
        opening.add_done_callback(lambda _: self._wake_up())
        while not opening.done() and not self._stopping:
            await self._wake.wait()
            self._wake.clear()
            if await self.database.run(lambda _: self._core.position()) is not None:
                await self._step_guarded()
        if self._stopping:
            await cancel(opening)
            return None
        try:
            return await opening
        except (BusAway, ReaderLost, LogMissing) as error:
            log.warning("log_not_open", service=self.machine.name, reason=error.message)
            await asyncio.sleep(RETRY_SECONDS)
        except StoreFault as error:
            await self._pause_for_fault(error)
        return None

    async def _pause_for_fault(self, error: StoreFault) -> None:
        if self._fault != error.message:
            log.error("store_fault", service=self.machine.name, error=error.message)
        self._fault = error.message
        self._inputs.refuse_waiting(error)
        await asyncio.sleep(FAULT_RETRY_SECONDS)

    async def _step_guarded(self) -> None:
        try:
            await self._step([], self._inputs.take(fresh_too=False), self.clock.now())
        except StoreFault as error:
            await self._pause_for_fault(error)

    async def _open(self) -> Reader:
        if not self._serving:
            await self.bus.connect()
            await serve(self, self._on_live)
            self._serving = True
        await self.bus.wait_connected()
        await self.bus.prepare()
        opened = await open_log(self._core, self.database, self.bus, self.clock)
        self._company.take()  # The new reader gives it again.
        self.position = opened.position.seq
        if opened.verdict.is_reset:
            self.log_resets += 1
            log.error("log_reset", service=self.machine.name, verdict=opened.verdict.name,
                      why=opened.verdict.value)  # fmt: skip
            self.signals.send("log_reset", opened.verdict)
        return opened.reader

    async def _catch_up(self, reader: Reader) -> None:
        """Read to the tail as of now; only then publish what was left and start effects."""
        self._beat_seen = False
        target = await reader.tail()
        while self.position < target and not self._stopping:
            await self._step(await reader.read(READ_WAIT), [], self.clock.now(), catching_up=True)
        await self._step([], [Input(self.machine.on_connected)], self.clock.now(),
                         catching_up=True)  # fmt: skip
        rest = await self.database.run(lambda _: self._core.restart())
        self._next_due = rest.next_due
        self.sender.refill(rest.outbox)
        self._effects.start(rest.effects)
        self._working = True
        self._fault = ""
        self.signals.send("connected")
        self._wake_up()

    # --- the working loop

    async def _work(self, reader: Reader, sending: asyncio.Task[None]) -> None:
        ahead = ReadAhead(reader, self._wake_up)
        try:
            while not self._stopping:
                await self._sleep()
                if sending.done():
                    sending.result()
                started = monotonic_seconds()
                size = await self._pass(ahead)
                if may_rest(self.machine, self._effects.running):
                    await asyncio.sleep(rest_seconds(size, monotonic_seconds() - started))
            await self._step(self._company.take(), [], self.clock.now())
        finally:
            await ahead.close()

    async def _pass(self, ahead: ReadAhead) -> int:
        """Take `now`, read what there is (to the tail, if something is to be decided), step; return
        the size of the step, 0 if none was needed."""
        messages = [*await ahead.take(wait=False)]
        inputs, size = self._inputs.take(fresh_too=True), 0
        try:
            now = self.clock.now()
            due = self._may_judge() and self._next_due is not None and self._next_due <= now
            if due or any(entry.fresh for entry in inputs):
                target = await ahead.tail()
                while (messages[-1].seq if messages else self.position) < target:
                    messages.extend(await ahead.take(wait=True))
        except BaseException:
            self._inputs.put_back(inputs)
            raise
        if inputs or due or self._company.is_due or any(map(self._core.handles, messages)):
            messages = [*self._company.take(), *messages]
            await self._step(messages, inputs, now, deadlines=due)
            size = len(messages) + len(inputs)
        elif messages or self.sender.acknowledged_row:
            self._company.wait(messages)
            self._has_read(messages)
        if self._inputs:
            self._wake_up()
        return size

    def _has_read(self, messages: Sequence[LogMessage]) -> None:
        if messages:
            self.position = messages[-1].seq
            self.signals.applied(self.position)

    def _may_judge(self) -> bool:
        return self._beat_seen or not self.machine.needs_beat

    async def _sleep(self) -> None:
        """Sleep until something wakes us, at the latest until the nearest deadline.

        In slices, because a clock that is set forward wakes nobody.
        """
        waits = [LONGEST_SLEEP_SECONDS]
        if self._next_due is not None and self._may_judge():
            waits.append((self._next_due - self.clock.now()).total_seconds())
        if (left := self._company.seconds_left) is not None:
            waits.append(left)
        await wait_briefly(self._wake, min(waits))

    async def _step(
        self, messages: Sequence[LogMessage], inputs: list[Input], now: datetime, *,
        deadlines: bool = False, catching_up: bool = False,
    ) -> None:  # fmt: skip
        row, self.sender.acknowledged_row = self.sender.acknowledged_row, 0
        step_on = partial(self._core.step, messages, [entry.work for entry in inputs], now=now,
                          deadlines=deadlines, acknowledged_row=row)  # fmt: skip
        try:
            step = await self.database.run(lambda _: step_on())
        except StoreFault as error:
            self._inputs.put_back(inputs)
            raise error from None
        self.position, self._next_due = step.position.seq, step.next_due
        self.events_applied += len(messages)
        self.dead_letters += step.dead
        self.unknown_events += step.unknown
        if not catching_up and self._working:
            self.sender.add(step.outbox)
            self._effects.start(step.effects)
        if step.sent_rows:
            self.sender.stored(max(step.sent_rows), step.position.seq)
        for entry, answer, row in zip(inputs, step.answers, step.answer_rows, strict=True):
            entry.settle(answer, row, self.sender)
            self._effects.decided(entry.effect_row)
        for signal in step.signals:
            self.signals.send(signal.topic, signal.value)
        self._has_read(messages)
