"""An agent without restic: the real protocol over a real WebSocket, doing what a test says.

    agent = await FakeAgent.enroll("http://127.0.0.1:8481", enrollment_token, hostname="atlas")
    await agent.connect()                       # dial, hello, wait for welcome
    run = await agent.wait_for("run")           # frames are plain dicts, newest fields and all
    await agent.accept(run["job_id"])
    await agent.finish(run["job_id"])           # waits for its ack
    await agent.goodbye("sleep")                # waits for close 1000

`script` answers every `run` by itself: `agent.script = auto_succeed`. Nothing here reads a clock
but to say `now`, which `clock_ahead` shifts. Whatever a test passes as `hello(...)` overrides or
removes (None) a field, so that bad and minimal hellos can be said as well.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from datetime import datetime, timedelta
from typing import Any, Self

import httpx
from websockets.exceptions import ConnectionClosed

from libs.common.clock import SystemClock, to_rfc3339
from libs.common.ids import new_id
from libs.common.testing.agent_line import WAIT_SECONDS, AgentLine, NoSuchFrame

Script = Callable[["FakeAgent", dict[str, Any]], Awaitable[None]]
"""(agent, the run frame): what an agent does when it is told to run."""


class EnrollmentRefused(AssertionError):
    """`/enroll` did not answer 201; `response` has what it said."""

    def __init__(self, response: httpx.Response) -> None:
        super().__init__(f"{response.status_code} {response.text[:300]}")
        self.response = response


class FakeAgent(AgentLine):
    """One host's agent. It may dial many times; its spool and counter go on as a real one's do."""

    def __init__(self, url: str, token: str, host_id: str = "", hostname: str = "fake") -> None:
        super().__init__(url, token)
        self.host_id, self.hostname = host_id, hostname
        self.connection = 0
        self.spool_id = new_id()
        self.unacked: dict[int, dict[str, Any]] = {}
        self.last_seq = 0
        self.config_version = 0
        self.running: list[str] = []
        self.clock_ahead = timedelta()
        self.welcome: dict[str, Any] = {}
        self.script: Script | None = None
        self.applies_config = True

    # -- enrolling and connecting -----------------------------------------------------------------

    @classmethod
    async def enroll(
        cls, url: str, enrollment_token: str, hostname: str = "fake", **body: Any
    ) -> Self:
        """Enroll a new host at the gateway and return its agent. Raises: EnrollmentRefused."""
        response = await post_enroll(url, token=enrollment_token, hostname=hostname, **body)
        if response.status_code != 201:
            raise EnrollmentRefused(response)
        answer = response.json()
        return cls(url, answer["agent_token"], answer["host_id"], hostname)

    async def connect(self, *, resend: bool = True, **hello: Any) -> dict[str, Any]:
        """Dial, say hello, wait for the welcome, send again what is unacknowledged."""
        await self.dial()
        await self.hello(**hello)
        self.welcome = await self.wait_for("welcome")
        if resend:
            for frame in list(self.unacked.values()):
                await self.send(frame)
        return self.welcome

    async def hello(self, **overrides: Any) -> None:
        """Say hello, without waiting for an answer. An override of None leaves the field out."""
        self.connection += 1
        await self.send(self.hello_frame(**overrides))

    def hello_frame(self, **overrides: Any) -> dict[str, Any]:
        """Return the hello that would be said."""
        fields = {
            "type": "hello", "protocol": 1, "connection": self.connection, "now": self.now(),
            "agent_version": "fake", "hostname": self.hostname, "os": "linux", "arch": "amd64",
            "timezone": "UTC", "boot_id": "boot-1", "config_version": self.config_version,
            "running": self.running, "spool": {"id": self.spool_id, "last_seq": self.last_seq},
            "power": {"on_battery": False, "percent": 100}, "metered": False,
        }  # fmt: skip
        return {key: value for key, value in (fields | overrides).items() if value is not None}

    async def connect_minimal(self) -> dict[str, Any]:
        """Connect as an agent without counter, clock, spool and power does."""
        minimal = {"connection": None, "now": None, "spool": None, "power": None, "metered": None}
        return await self.connect(resend=False, **minimal)

    def now(self) -> str:
        """What this agent's clock shows."""
        return to_rfc3339(SystemClock().now() + self.clock_ahead)

    # -- sending ----------------------------------------------------------------------------------

    async def report(self, kind: str, **fields: Any) -> int:
        """Send a numbered report and return its seq; it is kept until it is acknowledged."""
        frame = self.spool(kind, **fields)
        await self.send(frame)
        return int(frame["seq"])

    def spool(self, kind: str, **fields: Any) -> dict[str, Any]:
        """Put a report into the spool, as while the agent is alone; `connect` sends it."""
        self.last_seq += 1
        frame = {"type": kind, "seq": self.last_seq, **fields}
        self.unacked[self.last_seq] = frame
        return frame

    async def heartbeat(self) -> dict[str, Any]:
        """Send a heartbeat and return the beat that answers it."""
        await self.send({"type": "heartbeat", "now": self.now()})
        return await self.wait_for("beat")

    def start_heartbeats(self, every: timedelta) -> None:
        """Beat in the background until the socket closes."""
        self._start(self._beat_for_ever(every))

    async def fire(self, schedule_id: str, source_group_id: str, fire_time: datetime | str) -> int:
        """Report that a schedule fired; returns once the report is acknowledged."""
        when = fire_time if isinstance(fire_time, str) else to_rfc3339(fire_time)
        seq = await self.report("schedule_fired", schedule_id=schedule_id,
                                source_group_id=source_group_id, fire_time=when)  # fmt: skip
        await self.wait_acked(seq)
        return seq

    async def accept(self, job_id: str, state: str | None = None) -> None:
        """Take a job; from now on it is among the running ones."""
        if job_id not in self.running:
            self.running.append(job_id)
        extra = {} if state is None else {"state": state}
        await self.send({"type": "job_accepted", "job_id": job_id, **extra})

    async def decline(self, job_id: str, reason: str) -> None:
        await self.send({"type": "job_declined", "job_id": job_id, "reason": reason})

    async def start(self, job_id: str, **fields: Any) -> int:
        """Report that a job began; returns once that is acknowledged."""
        if job_id not in self.running:
            self.running.append(job_id)
        seq = await self.report("job_started", **({"job_id": job_id, "at": self.now()} | fields))
        await self.wait_acked(seq)
        return seq

    async def finish(self, job_id: str, status: str = "succeeded", **fields: Any) -> int:
        """Report a job's end; returns once that is acknowledged."""
        seq = await self.report("job_finished", **self.end_of(job_id, status, **fields))
        await self.wait_acked(seq)
        return seq

    def end_of(self, job_id: str, status: str = "succeeded", **fields: Any) -> dict[str, Any]:
        """Return the fields of a job's end, and count it as no longer running."""
        self.running = [running for running in self.running if running != job_id]
        failed = status == "failed"
        return {"job_id": job_id, "at": self.now(), "status": status,
                "exit_code": 1 if failed else 0, "error": "it failed" if failed else None,
                "stats": {"bytes_added": 1}} | fields  # fmt: skip

    async def progress(self, job_id: str, percent: float) -> None:
        await self.send({"type": "job_progress", "job_id": job_id, "percent": percent,
                         "bytes_done": 1, "bytes_total": 2, "files_done": 1,
                         "seconds_left": 1})  # fmt: skip

    async def log(self, job_id: str, offset: int, text: str) -> None:
        await self.send({"type": "job_log", "job_id": job_id, "offset": offset, "text": text})

    async def power(self, *, on_battery: bool, percent: float, metered: bool = False) -> None:
        await self.send({"type": "power", "on_battery": on_battery, "percent": percent,
                         "metered": metered})  # fmt: skip

    async def goodbye(self, reason: str = "sleep", until: str | None = None) -> None:
        """Say goodbye; returns once the gateway has stored it and closed (1000)."""
        extra = {} if until is None else {"until": until}
        await self.send({"type": "goodbye", "reason": reason, **extra})
        code, why = await self.wait_closed()
        assert code == 1000, (code, why)

    async def wait_acked(self, seq: int, timeout: float = WAIT_SECONDS) -> None:
        """Return once everything up to `seq` is acknowledged. Raises: NoSuchFrame."""
        await self.wait_until(
            lambda: not any(kept <= seq for kept in self.unacked), f"ack of {seq}", timeout
        )

    # -- what it does by itself -------------------------------------------------------------------

    async def react(self, frame: dict[str, Any]) -> None:
        if frame["type"] == "ack":
            self.unacked = {seq: kept for seq, kept in self.unacked.items() if seq > frame["seq"]}
        elif frame["type"] == "config" and self.applies_config:
            self.config_version = frame["version"]
            await self.send({"type": "config_applied", "version": frame["version"]})
        elif frame["type"] == "run" and self.script is not None:
            self._start(_swallow_close(self.script(self, frame)))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _beat_for_ever(self, every: timedelta) -> None:
        with contextlib.suppress(ConnectionClosed):
            while True:
                await self.send({"type": "heartbeat", "now": self.now()})
                await asyncio.sleep(every.total_seconds())


async def post_enroll(url: str, **body: Any) -> httpx.Response:
    """POST /enroll with sensible defaults; a field of None is left out."""
    fields = {"hostname": "fake", "os": "linux", "arch": "amd64", "timezone": "UTC"} | body
    sent = {key: value for key, value in fields.items() if value is not None}
    async with httpx.AsyncClient(timeout=WAIT_SECONDS, trust_env=False) as client:
        return await client.post(f"{url}/enroll", json=sent)


async def _swallow_close(work: Awaitable[None]) -> None:
    """A script that loses its connection just ends, as an agent's thought does on a power cut."""
    with contextlib.suppress(ConnectionClosed, NoSuchFrame):
        await work
