"""The sockets of connected agents: what may be sent on each, and whom they belong to.

An idle connection is one endpoint coroutine and one small object: no task, no queue, no timer of
its own. A socket ends here without touching its session: sessions end in the state machine.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from libs.common.frames import encode_frame
from libs.common.protocol import CloseCode, Frame
from services.gateway.reports import Received
from services.gateway.sessions import Ended, Heard

MAX_REASON_BYTES = 123
CLOSE_SECONDS = 10.0
QUEUED_FRAMES = 256
QUEUED_BYTES = 2 * 1024 * 1024

Send = Callable[[dict[str, Any]], Awaitable[None]]


class State(Enum):
    """How far a connection has come."""

    GREETING = "no hello yet"
    JOINING = "hello received, not yet answered"
    LIVE = "welcomed"
    LEAVING = "goodbye received: later frames are ignored"
    CLOSED = "closed by us, or gone"


class Connection:
    """One agent's socket."""

    __slots__ = (
        "_abort", "_closing", "_send", "_waiting", "address", "config_wanted", "draining",
        "flushed_at", "host_id", "last_seen", "offset", "pending", "pending_bytes", "session",
        "state", "timer",
    )  # fmt: skip

    def __init__(self, send: Send, abort: Callable[[], None] | None, address: str) -> None:
        self._send, self._abort, self.address = send, abort, address
        self._waiting: list[asyncio.Future[None]] | None = None
        self._closing: asyncio.Task[None] | None = None
        self.state = State.GREETING
        self.host_id = self.session = ""
        self.last_seen: datetime | None = None
        self.flushed_at: datetime | None = None
        self.offset = timedelta()
        self.timer: asyncio.TimerHandle | None = None
        self.config_wanted = False
        self.pending: deque[Received] | None = None
        self.pending_bytes = 0
        self.draining: asyncio.Task[None] | None = None

    def become(self, state: State) -> None:
        """Change the state; it never leaves CLOSED. Whoever waits for a decision goes on."""
        if self.state is not State.CLOSED:
            self.state = state
        if state is not State.GREETING and self.timer is not None:
            self.timer.cancel()
            self.timer = None
        for future in self._waiting or ():
            if not future.done():
                future.set_result(None)
        self._waiting = None

    async def wait_joined(self) -> None:
        """Return once a hello in progress is decided."""
        while self.state is State.JOINING:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting = [*(self._waiting or ()), future]
            await future

    async def send(self, frame: Frame) -> bool:
        """Write a frame; False if the socket is gone. What it still holds is read regardless."""
        if self.state is State.CLOSED:
            return False
        return await self._write({"type": "websocket.send", "text": encode_frame(frame)})

    def close(self, code: int, reason: str = "") -> None:
        """Close the socket, by force if the peer takes nothing any more."""
        if self.state is State.CLOSED:
            return
        self.become(State.CLOSED)
        self._closing = asyncio.get_running_loop().create_task(self._close(code, reason))

    def cut(self) -> None:
        """End the socket by force."""
        if self._abort is not None:
            self._abort()

    async def finish_closing(self) -> None:
        """Return once a close that was begun has been sent."""
        if self._closing is not None:
            await self._closing

    async def _close(self, code: int, reason: str) -> None:
        text = reason.encode()[:MAX_REASON_BYTES].decode(errors="ignore")
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._write({"type": "websocket.close", "code": code, "reason": text})
        except TimeoutError:
            self.cut()

    async def _write(self, message: dict[str, Any]) -> bool:
        try:
            await self._send(message)
        except (OSError, RuntimeError):  # Gone, or closed meanwhile.
            return False
        return True

    @property
    def is_full(self) -> bool:
        """So much waits to be published that no more should be read."""
        waiting = len(self.pending) if self.pending else 0
        return waiting >= QUEUED_FRAMES or self.pending_bytes >= QUEUED_BYTES


class Hub:
    """All connections of this gateway. `ready` is set while hellos can be made durable."""

    def __init__(self) -> None:
        self.ready = asyncio.Event()
        self.stopping = False
        self.all: set[Connection] = set()
        self._by_session: dict[str, Connection] = {}
        self._by_host: dict[str, Connection] = {}
        self._unwritten: dict[str, Heard] = {}
        self._heard_since_beat: set[str] = set()

    def claim(self, connection: Connection, host_id: str, session: str) -> None:
        """From here on the session's end closes this connection."""
        connection.host_id, connection.session = host_id, session
        self._by_session[session] = connection

    def welcome(self, connection: Connection) -> None:
        """The connection is its host's live one, unless it was closed while it was told so."""
        connection.become(State.LIVE)
        if connection.state is not State.LIVE:
            return
        self._by_host[connection.host_id] = connection
        self._heard_since_beat.add(connection.host_id)

    def release(self, connection: Connection) -> None:
        """The socket is gone; the session is not."""
        connection.become(State.CLOSED)
        self.all.discard(connection)
        self._by_session.pop(connection.session, None)
        if self._by_host.get(connection.host_id) is connection:
            del self._by_host[connection.host_id]

    def find_session(self, session: str) -> Connection | None:
        return self._by_session.get(session)

    def find_host(self, host_id: str) -> Connection | None:
        return self._by_host.get(host_id)

    @property
    def live_count(self) -> int:
        return len(self._by_host)

    def on_ended(self, ended: Ended) -> None:
        """Signal: a session ended or was replaced."""
        connection = self._by_session.get(ended.session)
        if connection is not None:
            connection.close(ended.code, ended.reason)

    def close_all(self, reason: str) -> None:
        for connection in list(self.all):
            connection.close(CloseCode.TRY_LATER, reason)

    # -- who was heard -----------------------------------------------------------------------------

    def note_frame(self, connection: Connection, now: datetime) -> None:
        connection.last_seen = now
        self._unwritten[connection.session] = Heard(connection.host_id, connection.session, now)
        self._heard_since_beat.add(connection.host_id)

    def take_unwritten(self) -> list[Heard]:
        """Return who was heard since the last call, to be written down."""
        taken, self._unwritten = self._unwritten, {}
        for session, heard in taken.items():
            connection = self._by_session.get(session)
            if connection is not None:
                connection.flushed_at = heard.last_seen
                if connection.pending:
                    taken[session] = replace(heard, is_behind=True)
        return list(taken.values())

    def keep_unwritten(self, heard: Iterable[Heard]) -> None:
        """It could not be written; it will be with the next."""
        for one in heard:
            self._unwritten.setdefault(one.session, one)

    def take_hosts_heard(self) -> list[str]:
        """Return the hosts heard since the last beat."""
        taken, self._heard_since_beat = self._heard_since_beat, set()
        return sorted(taken)
