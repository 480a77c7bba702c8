"""One simulated agent: it says and answers what a real one does, and backs nothing up."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any, Protocol

from websockets.uri import WebSocketURI

from cli.bench.line import Line
from libs.common.clock import SystemClock, monotonic_seconds, to_rfc3339
from libs.common.ids import new_id

_clock = SystemClock()


class Watch(Protocol):
    """Who counts what agents live through."""

    def welcome_came(self, seconds: float) -> None: ...

    def beat_answered(self) -> None: ...

    def acknowledged(self, seconds: float) -> None: ...

    def ran(self, job_id: str) -> None: ...

    def lost(self, agent: Agent, code: int | None, reason: str) -> None: ...


class Agent:
    """A host's agent. `welcome_at` is None while it is not welcomed; times are monotonic seconds.

    `expects_loss`: it hung up itself, or said goodbye.
    """

    __slots__ = (
        "_beats", "_config_version", "_counter", "_done", "_hello_at", "_line", "_sent_at", "_seq",
        "_spool", "_token", "_watch", "always_on", "expects_loss", "host_id", "name",
        "source", "welcome_at",
    )  # fmt: skip

    def __init__(
        self, name: str, host_id: str, token: str, watch: Watch, *, always_on: bool
    ) -> None:
        self.name, self.host_id, self._token, self._watch = name, host_id, token, watch
        self.always_on = always_on
        self.source: str | None = None
        self.welcome_at: float | None = None
        self.expects_loss = False
        self._line: Line | None = None
        self._beats: asyncio.TimerHandle | None = None
        self._hello_at = 0.0
        self._counter = self._seq = self._config_version = 0
        self._spool = new_id()
        self._sent_at: dict[int, float] = {}
        self._done: set[str] = set()

    async def dial(self, uri: WebSocketURI) -> None:
        """Open the connection; hello follows by itself. Raises: OSError."""
        self.expects_loss = False
        local = None if self.source is None else (self.source, 0)
        await asyncio.get_running_loop().create_connection(
            lambda: self._new_line(uri), uri.host, uri.port, local_addr=local
        )

    def _new_line(self, uri: WebSocketURI) -> Line:
        self._line = Line(uri, self._token, self)
        return self._line

    # -- what is said ------------------------------------------------------------------------------

    def pull_cable(self) -> None:
        self.expects_loss = True
        if self._line is not None:
            self._line.cut()

    def fall_asleep(self) -> None:
        self.expects_loss = True
        self._say({"type": "goodbye", "reason": "sleep"})

    def report_run(self, job_id: str, **named: Any) -> None:
        """Report that a run began and ended: what an agent does after it was alone."""
        self._report("job_started", job_id=job_id, **named)
        self._report("job_finished", job_id=job_id, **named, **_DONE)

    def _report(self, kind: str, **fields: Any) -> None:
        self._seq += 1
        self._sent_at[self._seq] = monotonic_seconds()
        self._say({"type": kind, "seq": self._seq, "at": _now(), **fields})

    def _say(self, frame: dict[str, Any]) -> None:
        if self._line is not None:
            self._line.send(json.dumps(frame).encode())

    def _beat(self, interval: float) -> None:
        self._say({"type": "heartbeat", "now": _now()})
        again = asyncio.get_running_loop().call_later
        self._beats = again(interval, self._beat, interval)

    # -- what is heard -----------------------------------------------------------------------------

    def on_open(self) -> None:
        self._counter += 1
        self._hello_at = monotonic_seconds()
        self._say({
            "type": "hello", "protocol": 1, "connection": self._counter, "now": _now(),
            "agent_version": "bench", "hostname": self.name, "os": "linux", "arch": "amd64",
            "timezone": "UTC", "boot_id": self._spool, "config_version": self._config_version,
            "running": [], "spool": {"id": self._spool, "last_seq": self._seq},
            "power": {"on_battery": False, "percent": 100}, "metered": False,
        })  # fmt: skip

    def on_frame(self, frame: dict[str, Any]) -> None:
        handler = _HANDLERS.get(frame["type"])
        if handler is not None:
            handler(self, frame)

    def _on_welcome(self, frame: dict[str, Any]) -> None:
        self.welcome_at = monotonic_seconds()
        interval = float(frame["heartbeat_interval"])
        later = asyncio.get_running_loop().call_later
        self._beats = later(interval, self._beat, interval)
        self._watch.welcome_came(self.welcome_at - self._hello_at)

    def _on_beat(self, _: dict[str, Any]) -> None:
        self._watch.beat_answered()

    def _on_ack(self, frame: dict[str, Any]) -> None:
        now = monotonic_seconds()
        for seq in [seq for seq in self._sent_at if seq <= frame["seq"]]:
            self._watch.acknowledged(now - self._sent_at.pop(seq))

    def _on_config(self, frame: dict[str, Any]) -> None:
        self._config_version = frame["version"]
        self._say({"type": "config_applied", "version": frame["version"]})

    def _on_run(self, frame: dict[str, Any]) -> None:
        """A backup that takes no time; a run that is sent again is answered with its end."""
        job_id = frame["job_id"]
        if job_id in self._done:
            self._say({"type": "job_accepted", "job_id": job_id, "state": "succeeded"})
            return
        self._done.add(job_id)
        self._watch.ran(job_id)
        self._say({"type": "job_accepted", "job_id": job_id})
        self._report("job_started", job_id=job_id)
        self._report("job_finished", job_id=job_id, **_DONE)

    def on_lost(self, code: int | None, reason: str) -> None:
        self._line = None
        if self._beats is not None:
            self._beats.cancel()
            self._beats = None
        self._watch.lost(self, code, reason)
        self.welcome_at = None


_DONE = {"status": "succeeded", "exit_code": 0, "error": None, "stats": {"bytes_added": 1}}
_HANDLERS: dict[str, Callable[[Agent, dict[str, Any]], None]] = {
    "welcome": Agent._on_welcome,
    "beat": Agent._on_beat,
    "ack": Agent._on_ack,
    "config": Agent._on_config,
    "run": Agent._on_run,
}


def _now() -> str:
    return to_rfc3339(_clock.now())
