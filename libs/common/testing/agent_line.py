"""The socket of a fake agent: dial, send anything, wait for frames and for the end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
from collections.abc import Callable, Mapping
from typing import Any, Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

WAIT_SECONDS = 10.0


class NoSuchFrame(AssertionError):
    """The awaited frame did not come; the message shows what did."""


class AgentLine:
    """One connection at a time to `/agent/v1`. Frames received are plain dicts."""

    def __init__(self, url: str, token: str) -> None:
        self.url = url.replace("http", "ws", 1) + "/agent/v1"
        self.token = token
        self.frames: list[dict[str, Any]] = []
        self._untaken: list[dict[str, Any]] = []
        self._socket: ClientConnection | None = None
        self._reader: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._came = asyncio.Event()

    async def dial(self, **options: Any) -> None:
        """Open the socket and say nothing. `options` go to the WebSocket client."""
        await self.abort()
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        settings = {"compression": None, "ping_interval": None, "open_timeout": WAIT_SECONDS}
        self._socket = await connect(self.url, additional_headers=headers, **(settings | options))
        self.frames, self._untaken = [], []
        self._reader = asyncio.create_task(self._read(self._socket))
        self._reader.add_done_callback(lambda _: self._came.set())

    async def send(self, frame: Mapping[str, Any] | str | bytes) -> None:
        """Send a frame; text or bytes go as they are."""
        assert self._socket is not None, "dial first"
        ready = frame if isinstance(frame, str | bytes) else json.dumps(frame)
        await self._socket.send(ready)

    async def react(self, frame: dict[str, Any]) -> None:
        """What the agent does by itself about a frame."""

    async def _take(self, frame: dict[str, Any]) -> None:
        self.frames.append(frame)
        self._untaken.append(frame)
        await self.react(frame)

    async def _read(self, line: ClientConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for text in line:
                frame = json.loads(text)
                await self._take(frame)
                self._came.set()

    # -- waiting ----------------------------------------------------------------------------------

    async def wait_for(
        self, kind: str, timeout: float = WAIT_SECONDS, **fields: Any
    ) -> dict[str, Any]:
        """Return the next frame of `kind` with these fields that was not returned before.

        Frames of other kinds are left for later waits. Raises: NoSuchFrame.
        """
        wanted = {"type": kind, **fields}

        def find() -> dict[str, Any] | None:
            return next((frame for frame in self._untaken if _fits(frame, wanted)), None)

        await self.wait_until(lambda: find() is not None, kind, timeout)
        found = find()
        assert found is not None
        self._untaken.remove(found)
        return found

    async def wait_until(
        self, reached: Callable[[], bool], what: str, timeout: float = WAIT_SECONDS
    ) -> None:
        """Return once `reached()`, looked at after each frame. Raises: NoSuchFrame with `what`."""
        try:
            async with asyncio.timeout(timeout):
                while not reached():
                    if self.is_closed:
                        raise NoSuchFrame(f"{what}: closed {self.close}; had {self._kinds()}")
                    self._came.clear()
                    await self._came.wait()
        except TimeoutError:
            raise NoSuchFrame(f"{what} within {timeout} s; had {self._kinds()}") from None

    async def wait_closed(self, timeout: float = WAIT_SECONDS) -> tuple[int | None, str]:
        """Return the code and reason with which the gateway closed."""
        assert self._socket is not None, "dial first"
        async with asyncio.timeout(timeout):
            await self._socket.wait_closed()
            if self._reader is not None:
                await asyncio.wait((self._reader,))
        return self.close

    @property
    def is_closed(self) -> bool:
        return self._reader is None or self._reader.done()

    @property
    def close(self) -> tuple[int | None, str]:
        """How the last connection was closed; (None, "") while it is open."""
        if self._socket is None:
            return None, ""
        return self._socket.close_code, self._socket.close_reason or ""

    def of(self, kind: str) -> list[dict[str, Any]]:
        """Return the frames of one kind on this connection, oldest first."""
        return [frame for frame in self.frames if frame["type"] == kind]

    def _kinds(self) -> list[str]:
        return [frame["type"] for frame in self.frames]

    # -- leaving ----------------------------------------------------------------------------------

    async def disconnect(self) -> None:
        """Close the socket in order, without a goodbye."""
        if self._socket is not None:
            await self._socket.close()
        await self._stop_tasks()

    async def abort(self) -> None:
        """Drop the connection as a machine that loses its network or power does."""
        if self._socket is not None:
            self._socket.transport.abort()
        await self._stop_tasks()

    def stop_reading(self) -> None:
        """Take nothing from the socket any more, as a machine that is stuck does."""
        assert self._socket is not None, "dial first"
        self._socket.transport.pause_reading()

    def reset(self) -> None:
        """Reset the TCP connection: whatever is written to it from now on fails at once."""
        assert self._socket is not None, "dial first"
        held = self._socket.transport.get_extra_info("socket")
        held.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.transport.abort()

    async def _stop_tasks(self) -> None:
        me = asyncio.current_task()
        tasks = [task for task in (self._reader, *self._tasks) if task and task is not me]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._reader = None
        self._tasks.clear()
        self._came.set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.abort()


def _fits(frame: dict[str, Any], wanted: Mapping[str, Any]) -> bool:
    return all(frame.get(key) == value for key, value in wanted.items())
