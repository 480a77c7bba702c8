"""An agent of the fleet: the real protocol over a real WebSocket, and a ledger of what it did.

It keeps its promises (spool, accepted ids, counter survive whatever befalls it) and protects itself
from nothing else: whatever new job it is sent it runs, so that it can be counted.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any

from websockets.exceptions import ConnectionClosed, WebSocketException

from libs.common.aio import cancel
from libs.common.clock import SystemClock, to_rfc3339
from libs.common.runs import job_id as id_of_attempt
from libs.common.runs import run_id
from libs.common.testing.agent_line import NoSuchFrame
from libs.common.testing.fake_agent import FakeAgent
from tests.chaos.figures import AUTONOMY_SECONDS, HEARTBEAT_SECONDS
from tests.chaos.ledger import Execution, Ledger

SILENCE_SECONDS = 2.5 * HEARTBEAT_SECONDS
AUTONOMY = timedelta(seconds=AUTONOMY_SECONDS)
MINUTE = timedelta(minutes=1)
BROKEN_LINE = (OSError, EOFError, WebSocketException, TimeoutError, NoSuchFrame)


@dataclass(slots=True)
class Waiting:
    """A fire that was reported and not answered."""

    run: str
    names: dict[str, Any]
    due_at: datetime


class ChaosAgent(FakeAgent):
    """One host. `random` decides its durations and failures."""

    def __init__(self, url: str, token: str, host_id: str = "", hostname: str = "fake") -> None:
        super().__init__(url, token, host_id, hostname)
        self.random = Random(hostname)
        self.ledger = Ledger()
        self.always_on, self.broken = True, False
        self.schedule_id, self.group_id = "", ""
        self.every_minutes = 1
        self.jobs: dict[str, str] = {}
        self.busy: Execution | None = None
        self.config: dict[str, Any] = {}
        self._waiting: dict[str, Waiting] = {}
        self._looked_at = SystemClock().now()
        self._heard = 0.0
        self._spoke = False
        self._fresh = asyncio.Event()
        self._life: asyncio.Task[None] | None = None
        self._work: asyncio.Task[None] | None = None

    # -- waking and leaving ------------------------------------------------------------------------

    @property
    def is_awake(self) -> bool:
        return self._life is not None

    @property
    def is_connected(self) -> bool:
        return self.ledger.connected_at is not None

    @property
    def is_configured(self) -> bool:
        return any(one["id"] == self.schedule_id for one in self.config.get("schedules", ()))

    def wake(self) -> None:
        if self._life is None:
            due = SystemClock().now() + AUTONOMY
            for each in self._waiting.values():
                each.due_at = max(each.due_at, due)  # The server gets its time again.
            self._life = asyncio.create_task(self._live())

    async def leave(self, how: str) -> None:
        """`sleep` and `shutdown` say goodbye; `lost` drops the line; `crash` loses the job too."""
        if self._life is None:
            return
        if how in ("sleep", "shutdown") and self.is_connected:
            with contextlib.suppress(*BROKEN_LINE, AssertionError):
                await self.goodbye(how)
                self.ledger.goodbyes.append(self.welcome["session"])
        await cancel(self._life)
        self._life = None
        await self.abort()
        self._note_left()
        if how == "crash" and self._work is not None:
            await cancel(self._work)
            self._break_off()

    def _break_off(self) -> None:
        """Half of the crashes are reported after the start; the others leave no trace."""
        if self.busy is not None and self.random.random() < 0.5:
            self._end(self.busy, "interrupted")
        elif self.busy is not None:
            job = self.busy.job_id
            self.busy.ended, self.busy, self.jobs[job] = SystemClock().now(), None, "interrupted"
            self.running = [one for one in self.running if one != job]

    async def _live(self) -> None:
        while True:
            try:
                await self._hold_session()
            except BROKEN_LINE:
                self.ledger.counts["dials that failed"] += 1
            self._note_left()
            self.ledger.closes[self.close[0]] += 1
            await asyncio.sleep(self.random.uniform(0.2, 1.5))

    def _note_left(self) -> None:
        """A hello that was not welcomed in time may count all the same."""
        if self._spoke:
            self.ledger.connected_at, self.ledger.left_at = None, SystemClock().now()
        self._spoke = False

    async def _hold_session(self) -> None:
        """Dial, say hello, and return once the line is broken or silent."""
        await self.dial()
        self._spoke = True
        await self.hello()
        self.welcome = await self.wait_for("welcome")
        self.ledger.connected_at = SystemClock().now()
        self.ledger.sessions.append(self.welcome["session"])
        self._start(self._send_reports())
        self.start_heartbeats(timedelta(seconds=HEARTBEAT_SECONDS))
        self._heard = asyncio.get_running_loop().time()
        while not self.is_closed:
            if asyncio.get_running_loop().time() - self._heard > SILENCE_SECONDS:
                self.ledger.counts["silent lines"] += 1
                return
            await asyncio.sleep(0.25)
        if self._reader is not None and not self._reader.cancelled():
            self._reader.result()  # A fault of this agent itself is no broken line.

    async def _send_reports(self) -> None:
        """Send what is unacknowledged, in order, and what comes."""
        sent = 0
        with contextlib.suppress(ConnectionClosed):
            while True:
                self._fresh.clear()
                for seq in sorted(seq for seq in self.unacked if seq > sent):
                    if seq in self.unacked:
                        await self.send(self.unacked[seq])
                    sent = seq
                await self._fresh.wait()

    def _report(self, kind: str, **fields: Any) -> None:
        self.spool(kind, **fields)
        self._fresh.set()

    # -- what the gateway says ---------------------------------------------------------------------

    async def react(self, frame: dict[str, Any]) -> None:
        self._heard = asyncio.get_running_loop().time()
        kind = frame["type"]
        if kind == "beat":
            self.ledger.answered.append(SystemClock().now())
        elif kind == "ack":
            for seq in sorted(seq for seq in self.unacked if seq <= frame["seq"]):
                self.ledger.acknowledge(self.unacked.pop(seq), self.welcome["session"])
        elif kind == "config":
            self.config, self.config_version = frame, frame["version"]
            await self.send({"type": "config_applied", "version": frame["version"]})
        elif kind == "run":
            await self._on_run(frame)
        elif kind == "hold":
            self._on_hold(frame)
        elif kind == "cancel":
            await self._on_cancel(frame["job_id"])
        elif kind == "error":
            self.ledger.violations.append(f"the gateway says {frame}")

    async def _on_run(self, frame: dict[str, Any]) -> None:
        job, run = frame["job_id"], self._run_of(frame)
        if job in self.jobs:
            self.ledger.counts["runs sent again"] += 1
            await self.send({"type": "job_accepted", "job_id": job, "state": self.jobs[job]})
            return
        reason = self._why_not(frame)
        if reason:
            self.ledger.counts[f"declined: {reason}"] += 1
            await self.decline(job, reason)
            if run in self._waiting:
                self._waiting[run].names["attempt"] = frame["attempt"]
                self._waiting[run].due_at = SystemClock().now() + AUTONOMY
            return
        if run is not None:
            self._waiting.pop(run, None)
        self._begin(Execution(job, run, frame["attempt"], SystemClock().now()))
        await self.send({"type": "job_accepted", "job_id": job, "state": "accepted"})

    def _run_of(self, frame: dict[str, Any]) -> str | None:
        if not frame.get("schedule_id"):
            return None
        fire = datetime.fromisoformat(frame["fire_time"])
        return run_id(self.host_id, frame["schedule_id"], frame["source_group_id"], fire)

    def _why_not(self, frame: dict[str, Any]) -> str:
        if self.config_version < frame["config_version"]:
            return "stale_config"
        return "busy" if self.busy is not None else ""

    def _on_hold(self, frame: dict[str, Any]) -> None:
        for run, each in self._waiting.items():
            if id_of_attempt(run, each.names["attempt"]) == frame["job_id"]:
                each.due_at = datetime.fromisoformat(frame["until"])

    async def _on_cancel(self, job: str) -> None:
        self.ledger.counts["cancelled"] += 1
        if self.busy is not None and self.busy.job_id == job and self._work is not None:
            await cancel(self._work)
            self._end(self.busy, "cancelled")

    # -- schedules and jobs ------------------------------------------------------------------------

    def tick(self, now: datetime) -> None:
        """Report the fires of this minute, and run what nobody answered."""
        before, self._looked_at = self._looked_at, now
        if not self.is_awake:
            return
        minute = now.replace(second=0, microsecond=0)
        if before < minute and minute.minute % self.every_minutes == 0 and self.is_configured:
            self._fire(minute, now)
        due = [each for each in self._waiting.values() if each.due_at <= now]
        if due and self.busy is None:
            self._run_alone(max(due, key=lambda each: str(each.names["fire_time"])))

    def _fire(self, minute: datetime, now: datetime) -> None:
        names = {"schedule_id": self.schedule_id, "source_group_id": self.group_id,
                 "fire_time": to_rfc3339(minute)}  # fmt: skip
        run = run_id(self.host_id, self.schedule_id, self.group_id, minute)
        if id_of_attempt(run, 1) not in self.jobs:
            self._waiting[run] = Waiting(run, {**names, "attempt": 1}, now + AUTONOMY)
        self._report("schedule_fired", **names)

    def _run_alone(self, waiting: Waiting) -> None:
        """The newest; older ones of the pair are superseded."""
        newest = waiting.names["fire_time"]
        self._waiting = {run: each for run, each in self._waiting.items()
                         if each.names["fire_time"] > newest}  # fmt: skip
        job = id_of_attempt(waiting.run, waiting.names["attempt"])
        succeeded = any(one.run == waiting.run and one.succeeded for one in self.ledger.executions)
        if job not in self.jobs and not succeeded:
            self.ledger.counts["runs alone"] += 1
            attempt = waiting.names["attempt"]
            self._begin(Execution(job, waiting.run, attempt, SystemClock().now(), waiting.names))

    def _begin(self, execution: Execution) -> None:
        self.ledger.begin(execution)
        self.busy, self.ledger.idle_since = execution, None
        self.jobs[execution.job_id] = "running"
        self.running.append(execution.job_id)
        self._report("job_started", job_id=execution.job_id, at=self.now(), **execution.names)
        self._work = asyncio.create_task(self._work_on(execution))

    async def _work_on(self, execution: Execution) -> None:
        await asyncio.sleep(self.random.choice((0.2, 0.5, 1.0, self.random.uniform(1, 6))))
        self._end(execution, self._status())

    def _status(self) -> str:
        if self.broken and any(one.succeeded for one in self.ledger.executions):
            return "failed"
        chance = self.random.random()
        if chance < 0.06:
            return "failed"
        return "succeeded_with_warnings" if chance < 0.1 else "succeeded"

    def _end(self, execution: Execution, status: str) -> None:
        execution.ended, execution.status = SystemClock().now(), status
        self.busy, self.ledger.idle_since = None, execution.ended
        self.jobs[execution.job_id] = status
        self._report("job_finished", **self.end_of(execution.job_id, status, **execution.names))

    def fault(self) -> BaseException | None:
        """Return what ended this agent's own life or work, if that was a defect of this test."""
        for task in (self._life, self._work):
            if task is not None and task.done() and not task.cancelled() and task.exception():
                return task.exception()
        return None

    async def die(self) -> None:
        """End all of it, at the end of the test."""
        await self.leave("lost")
        if self._work is not None:
            await cancel(self._work)
