"""Joins the agent: state on disk, local cron, one job at a time, one connection.

Signals: SIGTERM and SIGINT end it with a goodbye. SIGUSR1 acts as if the lid closed (goodbye,
hang up, cron and a running job stand still), SIGUSR2 as if it opened; the demo and tests use them.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from random import Random, SystemRandom
from typing import Any

from agent import host
from agent.connection import Connection, Credentials, server_offset
from agent.engines.choice import end_leftover, engine_of
from agent.enroll import socket_url
from agent.errors import StateUnusable
from agent.jobs import JobRunner
from agent.machine import AgentMachine
from agent.settings import AgentSettings
from agent.signals import handled
from agent.state import Identity, StateDirectory
from agent.store import AgentStore
from agent.work import Outcome
from libs.common import logging
from libs.common.clock import Clock, SystemClock, monotonic_seconds, to_micros, to_rfc3339
from libs.common.protocol import (
    PROTOCOL,
    Ack,
    Beat,
    Cancel,
    Config,
    Error,
    Frame,
    GoodbyeReason,
    Hello,
    Hold,
    Power,
    Run,
    Welcome,
)

LAST_REPORTS = timedelta(seconds=1)  # For the gateway to acknowledge before the goodbye.

log = logging.get_logger("agent")


class Agent:
    """A running agent. `run` returns after `stop`, or after SIGTERM or SIGINT."""

    def __init__(
        self, settings: AgentSettings, *, clock: Clock | None = None, random: Random | None = None
    ) -> None:
        self.settings = settings
        self.clock = clock or SystemClock()
        self.files = StateDirectory(settings.state)
        self._random = random or SystemRandom()
        self._stop = asyncio.Event()
        self._look_again = asyncio.Event()
        self._drained = asyncio.Event()
        self._asleep = False
        self._stopping_for = GoodbyeReason.SHUTDOWN
        self._status: dict[str, Any] = {}
        self._power: Power | None = None
        self._unsaved: dict[str, Outcome] = {}

    # --- from start to end ---

    async def run(self) -> None:
        """Serve until told to stop. Raises NotEnrolled, AgentRunning, StateUnusable."""
        self.files.prepare()
        self.files.lock()
        try:
            self.identity = self._identity()
            self.store = AgentStore(self.files.database)
            try:
                await self._serve()
            finally:
                self.store.close()
        finally:
            self.files.unlock()

    def stop(self, reason: GoodbyeReason = GoodbyeReason.SHUTDOWN) -> None:
        self._stopping_for = reason
        self._stop.set()

    async def _serve(self) -> None:
        self._assemble()
        now = self.clock.now()
        end_leftover(self._note, self.settings)
        self.machine.start(now)
        self._note_status(state="starting")
        log.info("agent_started", host_id=self.identity.host_id, version=host.agent_version())
        with handled(self._handlers()):
            connecting = asyncio.create_task(self.connection.run(), name="connection")
            looking = asyncio.create_task(self._look_at_the_clock(), name="clock")
            stopping = asyncio.create_task(self._stop.wait(), name="stop")
            tasks = (connecting, looking, stopping)
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                await self._wind_down()
            finally:
                for task in tasks:
                    task.cancel()
                results = await asyncio.gather(*tasks, return_exceptions=True)
        self._note_status(state="stopped")
        log.info("agent_stopped")
        for result in results:
            if isinstance(result, Exception):
                raise result

    def _assemble(self) -> None:
        self.machine = AgentMachine(self.settings, self.files, self.store, self.identity.host_id)
        self.connection = Connection(self.settings, self, self.clock, self._random)
        self.runner = JobRunner(
            engine_of(self.settings, self.files),
            note=self._note,
            grace=self.settings.stop_grace,
            on_started=self._job_started,
            on_finished=self._job_finished,
            tell=self.connection.tell,
        )

    async def _wind_down(self) -> None:
        """End the job as interrupted, give its report a moment to arrive, say goodbye."""
        self.machine.stopping = True
        self.runner.resume()
        await self.runner.stop()
        if self._status.get("state") == "connected" and not self._asleep:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LAST_REPORTS.total_seconds()):
                    while self.machine.spool.count():
                        self._drained.clear()
                        await self._drained.wait()
        await self.connection.say_goodbye(self._stopping_for)

    # --- the lid ---

    def close_lid(self) -> None:
        """Act as if the machine went to sleep: goodbye, and everything stands still."""
        if self._asleep:
            return
        self._asleep = True
        self.runner.pause()
        self._note_status(state="asleep")
        log.info("lid_closed")
        self._sleeping = asyncio.create_task(
            self.connection.say_goodbye(GoodbyeReason.SLEEP), name="goodbye"
        )

    def open_lid(self) -> None:
        """Act as if the machine woke up."""
        if not self._asleep:
            return
        self._asleep = False
        log.info("lid_opened")
        self.machine.woke(self.clock.now())
        self.runner.resume()
        self.connection.wake()
        self._look_again.set()

    # --- the clock ---

    async def _look_at_the_clock(self) -> None:
        """Sleep to the next fire, in slices: a clock that is set, or a sleep, is soon noticed."""
        while True:
            if not self._asleep:
                self._look()
            await self._one_slice()

    def _look(self) -> None:
        try:
            for job_id in list(self._unsaved):
                self.machine.job_finished(job_id, self._unsaved[job_id], self.clock.now())
                del self._unsaved[job_id]
            work = self.machine.tick(self.clock.now())
        except StateUnusable as error:
            log.error("state_unusable", error=error.message)
            return
        self.connection.reports_changed()
        self._tell_power()
        if work is not None:
            self.runner.start(work)
            self._note_status(job=work.job_id)

    async def _one_slice(self) -> None:
        before, started = self.clock.now(), monotonic_seconds()
        slice_ = self.settings.clock_slice if self._asleep else self.machine.next_look(before)
        self._look_again.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(slice_.total_seconds()):
                await self._look_again.wait()
        slept = timedelta(seconds=monotonic_seconds() - started)
        gap = self.clock.now() - before - slept
        if gap > self.settings.clock_gap and not self._asleep:
            log.info("woke_up", gap_seconds=round(gap.total_seconds()))
            self.machine.woke(self.clock.now())
            self.connection.reconnect()

    # --- what the connection asks (connection.Peer) ---

    def credentials(self) -> Credentials:
        return Credentials(socket_url(self.identity.gateway), self.identity.agent_token)

    def next_counter(self, above: int | None) -> int:
        previous = int(self.store.find_meta("connection") or 0)
        now_millis = to_micros(self.clock.now()) // 1000
        counter = max(previous + 1, now_millis, (above or 0) + 1)
        with self.store.transaction():
            self.store.put_meta("connection", str(counter))
        return counter

    def hello(self, counter: int) -> Hello:
        config, power = self.machine.config, host.power()
        self._power = None if power is None else Power(**power.model_dump())
        return Hello(
            protocol=PROTOCOL,
            connection=counter,
            now=self.clock.now(),
            agent_version=host.agent_version(),
            hostname=host.hostname(),
            os=host.system(),
            arch=host.architecture(),
            timezone=host.timezone(),
            boot_id=host.boot_id(),
            config_version=0 if config is None else config.version,
            running=[job.job_id for job in self.machine.ledger.unfinished()],
            spool=self.machine.spool.state(),
            power=power,
        )

    def unsent(self, sent: int) -> list[tuple[int, str]]:
        reports = self.machine.spool.unsent(sent, in_flight=self.settings.in_flight)
        return [(report.seq, report.body) for report in reports]

    def on_state(self, state: str, **facts: Any) -> None:
        log.info(f"connection_{state}", **facts)
        if not self._asleep:
            self._note_status(state=state, connection=facts)

    def on_frame(self, frame: Frame) -> None:
        now = self.clock.now()
        match frame:
            case Welcome():
                self.machine.server_offset = server_offset(frame, now)
                self.on_state("connected", session=frame.session)
            case Beat():
                self.machine.server_offset = server_offset(frame, now)
            case Ack():
                self.machine.spool.acknowledge(frame.seq)
                self.connection.reports_changed()
                self._drained.set()
            case Config():
                self._on_config(frame)
            case Run():
                self._on_run(frame)
            case Hold():
                self.machine.on_hold(frame, now)
                self._look_again.set()
            case Cancel():
                self.runner.cancel(frame.job_id)
            case Error():
                log.warning("gateway_error", code=frame.code, message=frame.message[:300])
            case _:
                return

    def _on_config(self, config: Config) -> None:
        if config.agent_token is not None:
            self._take_token(config.agent_token)
            config = config.model_copy(update={"agent_token": None})
        self.connection.tell(self.machine.on_config(config, self.clock.now()))
        self.connection.reports_changed()
        self._look_again.set()
        self._note_status(config_version=config.version)

    def _on_run(self, run: Run) -> None:
        answer, work = self.machine.on_run(run, self.clock.now())
        self.connection.tell(answer)
        if work is not None:
            self.runner.start(work)
            self._note_status(job=work.job_id)

    # --- what the runner tells ---

    def _job_started(self, job_id: str) -> None:
        self.machine.job_started(job_id, self.clock.now())
        self.connection.reports_changed()

    def _job_finished(self, job_id: str, outcome: Outcome) -> None:
        try:
            self.machine.job_finished(job_id, outcome, self.clock.now())
        except StateUnusable as error:
            self._unsaved[job_id] = outcome  # The disk may take it at the next look.
            log.error("result_not_saved", job_id=job_id, error=error.message)
        self.connection.reports_changed()
        self._note_status(job=None, last_job={"id": job_id, "status": outcome.status.value})
        self._look_again.set()

    # --- helpers ---

    @property
    def _note(self) -> Path:
        return self.files.root / "program"

    def _identity(self) -> Identity:
        identity = self.files.get_identity()
        if self.settings.gateway is None:
            return identity
        return identity.model_copy(update={"gateway": self.settings.gateway})

    def _take_token(self, token: str) -> None:
        if token != self.identity.agent_token:
            self.identity = self.identity.model_copy(update={"agent_token": token})
            self.files.put_identity(self.identity)
            log.info("agent_credentials_replaced")

    def _tell_power(self) -> None:
        state = host.power()
        power = None if state is None else Power(**state.model_dump())
        if power is not None and power != self._power:
            self._power = power
            self.connection.tell(power)

    def _note_status(self, **facts: Any) -> None:
        self._status |= facts
        self._status["at"] = to_rfc3339(self.clock.now())
        self._status["spool_full"] = self.machine.spool.is_full()
        try:
            self.files.put_status(self._status)
        except StateUnusable as error:
            log.warning("status_not_written", error=error.message)

    def _handlers(self) -> dict[str, Callable[[], None]]:
        return {
            "SIGTERM": self.stop,
            "SIGINT": self.stop,
            "SIGUSR1": self.close_lid,
            "SIGUSR2": self.open_lid,
        }
