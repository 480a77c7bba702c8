"""The line to the gateway: dial, hello, frames both ways, hang up, dial again.

One connection at a time. Each dial has a larger counter than all before, on disk before the dial.
What a close means (PROTOCOL.md):

    4401, 4426   the token, or our version, is not known: try slowly, for ever
    4409         a newer connection of this host: go above its counter and dial once more at once
    else         back off with full jitter
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any, Protocol

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import (
    ConnectionClosed,
    InvalidHandshake,
    InvalidMessage,
    InvalidURI,
    WebSocketException,
)

from agent import host
from agent.backoff import Backoff
from agent.settings import AgentSettings
from libs.common.clock import Clock, monotonic_seconds
from libs.common.errors import DormiceError
from libs.common.frames import decode_gateway_frame, encode_frame
from libs.common.logging import get_logger
from libs.common.protocol import (
    MAX_FRAME_BYTES,
    Beat,
    CloseCode,
    Frame,
    Goodbye,
    GoodbyeReason,
    Heartbeat,
    Hello,
    Welcome,
)

DEFAULT_INTERVAL_SECONDS = 30.0  # Until a welcome says otherwise.
MIN_INTERVAL_SECONDS = 0.05
MAX_QUEUED_FRAMES = 1000
CLOSE_SECONDS = 2.0

log = get_logger("agent")


@dataclass(frozen=True, slots=True)
class Credentials:
    """Where to dial, and as whom."""

    url: str
    token: str


class Peer(Protocol):
    """What the connection asks of the rest of the agent."""

    def credentials(self) -> Credentials: ...

    def next_counter(self, above: int | None) -> int:
        """Return the counter of the next dial, on disk already, above `above` if given."""
        ...

    def hello(self, counter: int) -> Hello: ...

    def unsent(self, sent: int) -> list[tuple[int, str]]:
        """Return the next reports after number `sent`: (seq, frame as text)."""
        ...

    def on_frame(self, frame: Frame) -> None: ...

    def on_state(self, state: str, **facts: Any) -> None: ...


@dataclass(frozen=True, slots=True)
class Ended:
    """How one connection ended."""

    reason: str
    code: int | None = None
    welcomed_seconds: float | None = None


class Connection:
    """Keeps one connection to the gateway as long as `run` runs."""

    def __init__(self, settings: AgentSettings, peer: Peer, clock: Clock, random: Random) -> None:
        self._settings = settings
        self._peer = peer
        self._clock = clock
        self._backoff = Backoff(settings.backoff_min, settings.backoff_max, random)
        self._random = random
        self._awake = asyncio.Event()
        self._awake.set()
        self._hurry = asyncio.Event()
        self._reports = asyncio.Event()
        self._socket: ClientConnection | None = None
        self._outgoing: asyncio.Queue[Frame] | None = None
        self._finished = False

    # --- what others call ---

    def tell(self, frame: Frame) -> None:
        """Send a frame that need not arrive, if there is a session."""
        if self._outgoing is not None:
            with contextlib.suppress(asyncio.QueueFull):
                self._outgoing.put_nowait(frame)

    def reports_changed(self) -> None:
        """There are new reports in the spool, or room in the window."""
        self._reports.set()

    def rest(self) -> None:
        """Dial no more until `wake`."""
        self._awake.clear()
        self._hurry.set()

    def finish(self) -> None:
        """Dial no more."""
        self._finished = True
        self.rest()

    async def say_goodbye(self, reason: GoodbyeReason) -> None:
        """End the session, if there is one, in good order; call `rest` or `finish` before."""
        socket, self._outgoing = self._socket, None
        if socket is None:
            return
        with contextlib.suppress(WebSocketException, OSError, TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await socket.send(encode_frame(Goodbye(reason=reason)))
                await socket.close(1000, reason.value)

    def wake(self) -> None:
        """Dial at once, whatever the backoff says."""
        self._backoff.reset()
        self._awake.set()
        self._hurry.set()

    def reconnect(self) -> None:
        """The line may be dead without our knowing (the machine slept): take a new one at once."""
        if self._socket is not None:
            self._socket.transport.abort()
        self.wake()

    # --- the loop ---

    async def run(self) -> None:
        """Dial and serve until `finish`."""
        above: int | None = None
        while not self._finished:
            await self._until_awake()
            if self._finished:
                return
            self._hurry.clear()  # Whoever is in a hurry from here on spares the next wait.
            ended = await self._once(above)
            self._peer.on_state("disconnected", reason=ended.reason, code=ended.code)
            again = above is None and ended.code == CloseCode.REPLACED
            above = _named_counter(ended.reason) or 0 if again else None
            if self._awake.is_set() and not again:
                await self._wait(self._wait_after(ended))

    async def _until_awake(self) -> None:
        while not self._awake.is_set() and not self._finished:
            self._hurry.clear()
            await self._hurry.wait()

    def _wait_after(self, ended: Ended) -> timedelta:
        if ended.code in (CloseCode.UNKNOWN_TOKEN, CloseCode.NO_COMMON_PROTOCOL):
            return self._settings.token_retry * (0.5 + self._random.random() / 2)
        if ended.welcomed_seconds is not None:
            self._backoff.session_lasted(timedelta(seconds=ended.welcomed_seconds))
        return self._backoff.next_wait()

    async def _wait(self, duration: timedelta) -> None:
        self._peer.on_state("waiting", seconds=round(duration.total_seconds(), 3))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(duration.total_seconds()):
                await self._hurry.wait()

    async def _once(self, above: int | None) -> Ended:
        credentials = self._peer.credentials()
        try:
            counter = self._peer.next_counter(above)
        except DormiceError as error:  # A disk that takes nothing: its room may come back.
            return Ended(f"cannot dial: {error.message}"[:200])
        self._peer.on_state("dialling", counter=counter)
        try:
            async with connect(
                credentials.url,
                additional_headers={"Authorization": f"Bearer {credentials.token}"},
                ssl=self._tls(credentials.url),
                proxy=True if host.may_have_proxy() else None,
                compression=None,
                max_size=MAX_FRAME_BYTES,
                ping_interval=None,
                open_timeout=self._settings.open_timeout.total_seconds(),
                close_timeout=CLOSE_SECONDS,
            ) as socket:
                return await self._serve(socket, counter)
        except (InvalidHandshake, InvalidMessage, InvalidURI) as error:
            return Ended(f"the gateway refused the connection: {error}"[:200])
        except (OSError, TimeoutError, WebSocketException) as error:
            return Ended(f"cannot reach the gateway: {error or type(error).__name__}"[:200])

    def _tls(self, url: str) -> ssl.SSLContext | None:
        if not url.startswith("wss:"):
            return None
        return ssl.create_default_context(cafile=self._settings.ca)

    # --- one session ---

    async def _serve(self, socket: ClientConnection, counter: int) -> Ended:
        if not self._awake.is_set():
            return Ended("the machine is going to sleep")
        self._socket = socket
        session = _Session()
        try:
            await socket.send(encode_frame(self._peer.hello(counter)))
            async with asyncio.TaskGroup() as tasks:
                await self._receive(socket, session, tasks.create_task)
        except* ConnectionClosed:
            pass
        except* TimeoutError:
            session.reason = "no frame from the gateway for too long"
        except* DormiceError as group:  # A bad frame, or a disk that takes nothing any more.
            session.reason = f"cannot go on: {group.exceptions[0]}"[:200]
        finally:
            self._socket = self._outgoing = None
        if session.reason is not None:
            socket.transport.abort()
        return session.ended(socket)

    async def _receive(
        self,
        socket: ClientConnection,
        session: _Session,
        create_task: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
    ) -> None:
        """Take frames until the connection ends; the first welcome starts what sends."""
        senders: list[asyncio.Task[None]] = []
        try:
            while True:
                async with asyncio.timeout(session.silence(self._settings.silence_intervals)):
                    text = await socket.recv()
                frame = decode_gateway_frame(text)
                if isinstance(frame, Welcome) and not senders:
                    session.welcomed(frame)
                    self._outgoing = asyncio.Queue(MAX_QUEUED_FRAMES)
                    senders = [
                        create_task(self._beat(self._outgoing, session.interval)),
                        create_task(self._send_frames(socket, self._outgoing)),
                        create_task(self._send_reports(socket)),
                    ]
                if frame is not None:
                    self._peer.on_frame(frame)
        finally:
            for sender in senders:
                sender.cancel()

    async def _beat(self, outgoing: asyncio.Queue[Frame], interval_seconds: float) -> None:
        while True:
            await asyncio.sleep(interval_seconds)
            await outgoing.put(Heartbeat(now=self._clock.now()))

    async def _send_frames(self, socket: ClientConnection, outgoing: asyncio.Queue[Frame]) -> None:
        while True:
            await socket.send(encode_frame(await outgoing.get()))

    async def _send_reports(self, socket: ClientConnection) -> None:
        """Send the spool from its start, then whatever is added, a window at a time."""
        sent = 0
        while True:
            self._reports.clear()
            for seq, text in self._peer.unsent(sent):
                await socket.send(text)
                sent = seq
            await self._reports.wait()


class _Session:
    """What is known of one connection while it lasts."""

    def __init__(self) -> None:
        self.interval = DEFAULT_INTERVAL_SECONDS
        self.reason: str | None = None
        self._welcomed_at: float | None = None

    def welcomed(self, welcome: Welcome) -> None:
        self.interval = max(welcome.heartbeat_interval, MIN_INTERVAL_SECONDS)
        self._welcomed_at = monotonic_seconds()

    def silence(self, intervals: float) -> float:
        """Return after how many seconds without a frame the line counts as dead."""
        return self.interval * intervals

    def ended(self, socket: ClientConnection) -> Ended:
        lasted = None if self._welcomed_at is None else monotonic_seconds() - self._welcomed_at
        said = socket.close_reason or "the connection ended"
        return Ended(self.reason or said, socket.close_code, lasted)


def server_offset(frame: Welcome | Beat, now: datetime) -> timedelta:
    """Return by how much the server's clock is ahead of ours."""
    return frame.server_time - now


def _named_counter(reason: str) -> int | None:
    """Return the winning counter that a 4409 names."""
    found = re.search(r"\d{1,16}", reason)
    return int(found.group()) if found else None
