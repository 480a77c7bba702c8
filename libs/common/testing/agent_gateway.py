"""A scripted gateway for tests of agents: a real WebSocket server that does what a test says.

async with ScriptedGateway() as gateway:
    line = await gateway.accepted()          # an agent dialled and said hello
    await line.welcome()
    await line.send(Config(version=1))
    frame = await line.expect(ConfigApplied)
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from types import TracebackType
from typing import Self, TypeVar

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from libs.common.clock import SystemClock
from libs.common.frames import decode_agent_frame, encode_frame
from libs.common.ids import new_id
from libs.common.protocol import (
    Ack,
    AgentFrame,
    Beat,
    CloseCode,
    Frame,
    Goodbye,
    Heartbeat,
    Hello,
    JobFinished,
    JobStarted,
    ScheduleFired,
    Welcome,
)

F = TypeVar("F", bound=Frame)
PATIENCE_SECONDS = 30.0
REPORTS = (ScheduleFired, JobStarted, JobFinished)


class Line:
    """One connection of an agent. `frames` is everything that came, `texts` as it came."""

    def __init__(self, socket: ServerConnection, hello: Hello, *, acknowledge: bool) -> None:
        self.socket = socket
        self.hello = hello
        self.acknowledge = acknowledge
        self.answer_heartbeats = True
        self.frames: list[AgentFrame] = []
        self.session = new_id()
        self.closed = asyncio.Event()
        self._came = asyncio.Condition()
        self._looked_at = 0

    async def welcome(self, *, interval: float = 30.0, host_id: str = "host-1") -> None:
        now = SystemClock().now()
        await self.send(
            Welcome(
                session=self.session,
                host_id=host_id,
                protocol=1,
                server_time=now,
                heartbeat_interval=interval,
            )
        )

    async def send(self, frame: Frame) -> None:
        await self.socket.send(encode_frame(frame))

    async def close(self, code: int, reason: str = "") -> None:
        await self.socket.close(code, reason)

    async def expect(self, kind: type[F], where: Callable[[F], bool] = lambda _: True) -> F:
        """Return the next frame of `kind` that was not looked at before; skip all others.

        Raises:
            TimeoutError: none came in time; the error tells what did.
        """

        def found() -> F | None:
            while self._looked_at < len(self.frames):
                frame = self.frames[self._looked_at]
                self._looked_at += 1
                if isinstance(frame, kind) and where(frame):
                    return frame
            return None

        try:
            async with asyncio.timeout(PATIENCE_SECONDS), self._came:
                while (frame := found()) is None:
                    await self._came.wait()
                return frame
        except TimeoutError:
            came = [frame.type for frame in self.frames]
            raise TimeoutError(f"no {kind.__name__}; came: {came}") from None

    def seen(self, kind: type[F]) -> list[F]:
        """Return all frames of `kind` so far."""
        return [frame for frame in self.frames if isinstance(frame, kind)]

    async def listen(self) -> None:
        """Take frames until the agent is gone; answer heartbeats, reports and goodbye."""
        with contextlib.suppress(ConnectionClosed):
            async for text in self.socket:
                frame = decode_agent_frame(text)
                if frame is None:
                    continue
                async with self._came:
                    self.frames.append(frame)
                    self._came.notify_all()
                await self._answer(frame)
        self.closed.set()

    async def _answer(self, frame: AgentFrame) -> None:
        if isinstance(frame, Heartbeat) and self.answer_heartbeats:
            await self.send(Beat(server_time=SystemClock().now()))
        if self.acknowledge and isinstance(frame, REPORTS):
            await self.send(Ack(seq=frame.seq))
        if isinstance(frame, Goodbye):
            await self.close(1000)


class ScriptedGateway:
    """Listens on 127.0.0.1. `token` None accepts every agent; another token is closed 4401."""

    def __init__(self, *, token: str | None = None, acknowledge: bool = True) -> None:
        self.token = token
        self.acknowledge = acknowledge
        self.refuse: tuple[int, str] | None = None  # Close every hello with this code and reason.
        self.lines: list[Line] = []
        self.hellos: list[Hello] = []
        self._fresh: asyncio.Queue[Line] = asyncio.Queue()
        self._server: Server | None = None
        self._port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    async def accepted(self) -> Line:
        """Return the next connection that said hello and was not refused."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self._fresh.get()

    async def welcomed(self, *, interval: float = 30.0) -> Line:
        line = await self.accepted()
        await line.welcome(interval=interval)
        return line

    async def start(self) -> None:
        """Listen, on the same port as before a `stop`."""
        self._server = await serve(
            self._handle, "127.0.0.1", self._port, compression=None, ping_interval=None
        )
        self._port = next(iter(self._server.sockets)).getsockname()[1]

    async def stop(self) -> None:
        """Drop every line without a word, as a killed gateway does, and listen no more."""
        if self._server is None:
            return
        for line in self.lines:
            line.socket.transport.abort()
        self._server.close(close_connections=True)
        await self._server.wait_closed()
        self._server = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    async def _handle(self, socket: ServerConnection) -> None:
        given = socket.request.headers.get("Authorization") if socket.request else None
        if self.token is not None and given != f"Bearer {self.token}":
            await socket.close(CloseCode.UNKNOWN_TOKEN, "unknown token")
            return
        with contextlib.suppress(ConnectionClosed):
            hello = decode_agent_frame(await socket.recv())
            if not isinstance(hello, Hello):
                await socket.close(CloseCode.BAD_FRAME, "frame before hello")
                return
            self.hellos.append(hello)
            if self.refuse is not None:
                await socket.close(*self.refuse)
                return
            line = Line(socket, hello, acknowledge=self.acknowledge)
            self.lines.append(line)
            self._fresh.put_nowait(line)
            await line.listen()
