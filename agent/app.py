"""Joins the agent: state on disk, local cron, one job at a time, one connection.

Signals: SIGTERM and SIGINT end it with a goodbye. SIGUSR1 acts as if the lid closed (goodbye,
hang up, cron and a running job stand still), SIGUSR2 as if it opened; the demo and tests use them.
Where logind says that the machine sleeps and wakes, the same happens.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from random import Random, SystemRandom
from typing import Any

from agent import host
from agent.connection import Connection, Credentials, server_offset
from agent.engines.choice import end_leftover, engine_of
from agent.enroll import socket_url
from agent.errors import StateUnusable
from agent.jobs import JobRunner
from agent.lid import Lid
from agent.machine import AgentMachine
from agent.power import PowerReport
from agent.settings import AgentSettings
from agent.signals import handled
from agent.state import Identity, StateDirectory
from agent.store import AgentStore
from agent.system_bus import SystemBus
from agent.timekeeper import Timekeeper
from agent.work import Outcome
from libs.common import logging
from libs.common.clock import Clock, SystemClock, to_micros, to_rfc3339
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
        self._drained = asyncio.Event()
        self._stopping_for = GoodbyeReason.SHUTDOWN
        self._status: dict[str, Any] = {}
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
        await end_leftover(self._note, self.settings)
        self.machine.start(self.clock.now())
        self._note_status(state="starting")
        log.info("agent_started", host_id=self.identity.host_id, version=host.agent_version())
        with handled(self._handlers()):
            tasks = [
                asyncio.create_task(self.connection.run(), name="connection"),
                asyncio.create_task(self.timekeeper.run(), name="clock"),
                asyncio.create_task(self.system.run(), name="system"),
                asyncio.create_task(self._stop.wait(), name="stop"),
            ]
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
        engine = engine_of(self.settings, self.files)
        self.machine = AgentMachine(
            self.settings, self.files, self.store, self.identity.host_id, engine.kinds
        )
        self.connection = Connection(self.settings, self, self.clock, self._random)
        self.runner = JobRunner(
            engine,
            note=self._note,
            grace=self.settings.stop_grace,
            on_started=self._job_started,
            on_finished=self._job_finished,
            tell=self.connection.tell,
        )
        self.timekeeper = Timekeeper(
            self.clock,
            longest_jump=self.settings.clock_gap,
            look=self._look,
            next_look=self._next_look,
            on_jump=self._on_jump,
        )
        self.lid = Lid(
            self.connection, self.runner, on_closed=self._fall_asleep, on_opened=self._wake_up
        )
        self.system = SystemBus(on_sleep=self.lid.closed, on_wake=self.lid.open)
        self.power = PowerReport(lambda: self.system.metered)

    async def _wind_down(self) -> None:
        """End the job as interrupted, give its report a moment to arrive, say goodbye."""
        self.machine.stopping = True
        self.runner.resume()
        await self.runner.stop()
        if self._status.get("state") == "connected" and not self.lid.is_closed:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LAST_REPORTS.total_seconds()):
                    while self.machine.spool.count():
                        self._drained.clear()
                        await self._drained.wait()
        self.connection.finish()
        await self.connection.say_goodbye(self._stopping_for)

    # --- sleep ---

    def _fall_asleep(self) -> None:
        self._note_status(state="asleep")

    def _wake_up(self) -> None:
        try:
            self.machine.woke(self.clock.now())
        except StateUnusable as error:
            log.error("state_unusable", error=error.message)
        self.timekeeper.look_again()

    # --- the clock ---

    def _look(self) -> None:
        if self.lid.is_closed:
            return
        try:
            for job_id in list(self._unsaved):
                self.machine.job_finished(job_id, self._unsaved[job_id], self.clock.now())
                del self._unsaved[job_id]
            work = self.machine.tick(self.clock.now())
        except StateUnusable as error:
            log.error("state_unusable", error=error.message)
            return
        self.connection.reports_changed()
        if self._status.get("state") == "connected" and (news := self.power.find_news()):
            self.connection.tell(news)
        if work is not None:
            self.runner.start(work)
            self._note_status(job=work.job_id)

    def _next_look(self, now: datetime) -> timedelta:
        return self.settings.clock_slice if self.lid.is_closed else self.machine.next_look(now)

    def _on_jump(self, by: timedelta) -> None:
        """A clock that went on was a sleep; one that was set back takes what waits with it."""
        if self.lid.is_closed:
            return
        log.info("clock_jumped", seconds=round(by.total_seconds()))
        if by > timedelta():
            self._wake_up()
            self.connection.reconnect()
        else:
            self.machine.clock_set_back(-by)

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
        config = self.machine.config
        power, metered = self.power.for_hello()
        return Hello(
            protocol=PROTOCOL,
            connection=counter,
            now=self.clock.now(),
            **host.facts(),
            config_version=0 if config is None else config.version,
            running=[job.job_id for job in self.machine.ledger.unfinished()],
            spool=self.machine.spool.state(),
            power=power,
            metered=metered,
        )

    def unsent(self, sent: int) -> list[tuple[int, str]]:
        reports = self.machine.spool.unsent(sent, in_flight=self.settings.in_flight)
        return [(report.seq, report.body) for report in reports]

    def on_state(self, state: str, **facts: Any) -> None:
        log.info(f"connection_{state}", **facts)
        if not self.lid.is_closed:
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
                self.timekeeper.look_again()
            case Cancel():
                self.machine.on_cancel(frame.job_id)
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
        self.timekeeper.look_again()
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
        self.timekeeper.look_again()

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

    def _note_status(self, **facts: Any) -> None:
        self._status |= facts
        self._status["at"] = to_rfc3339(self.clock.now())
        self._status["spool_full"] = self.machine.spool.is_full()
        try:
            self.files.put_status(self._status)
        except StateUnusable as error:
            log.warning("status_not_written", error=error.message)

    def _told_to_end(self) -> None:
        self.runner.interrupt()  # At once: a program that ends from now on did not fail by itself.
        self.stop()

    def _handlers(self) -> dict[str, Callable[[], None]]:
        return {
            "SIGTERM": self._told_to_end,
            "SIGINT": self._told_to_end,
            "SIGUSR1": self.lid.close,
            "SIGUSR2": self.lid.open,
        }
