"""A D-Bus for tests of agents: a Unix socket that answers as the bus, logind and NetworkManager do.

async with FakeSystemBus(folder / "bus", metered=1) as bus:
    await bus.inhibited.wait()           # the agent holds its inhibitor
    await bus.prepare_for_sleep()        # returns once the agent has let go of it
"""

from __future__ import annotations

import asyncio
import itertools
import os
import socket
from array import array
from pathlib import Path
from types import TracebackType
from typing import Self

from jeepney import (
    DBusAddress,
    HeaderFields,
    Message,
    Parser,
    new_error,
    new_method_return,
    new_signal,
)

LOGIND = DBusAddress("/org/freedesktop/login1", interface="org.freedesktop.login1.Manager")
NETWORK = DBusAddress(
    "/org/freedesktop/NetworkManager", interface="org.freedesktop.DBus.Properties"
)


class FakeSystemBus:
    """Serves one agent. `metered` is NetworkManager's number, None where there is none."""

    def __init__(self, path: Path, *, metered: int | None = None) -> None:
        self.address = f"unix:path={path}"
        self.metered = metered
        self.inhibited = asyncio.Event()
        self.calls: list[str] = []
        self._path = path
        self._serials = itertools.count(1)
        self._listener = socket.socket(socket.AF_UNIX)
        self._line: socket.socket | None = None
        self._inhibitor = -1

    async def __aenter__(self) -> Self:
        self._listener.bind(str(self._path))
        self._listener.listen()
        self._listener.setblocking(False)
        self._serving = asyncio.create_task(self._serve())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._serving.cancel()
        await asyncio.gather(self._serving, return_exceptions=True)
        self.hang_up()
        self._listener.close()

    async def prepare_for_sleep(self) -> None:
        """Say that the machine is about to sleep; return when the inhibitor is let go."""
        self.inhibited.clear()
        await self._send(new_signal(LOGIND, "PrepareForSleep", "b", (True,)))
        released = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_reader(self._inhibitor, released.set)
        try:
            await asyncio.wait_for(released.wait(), 10)
        finally:
            loop.remove_reader(self._inhibitor)
        os.close(self._inhibitor)
        self._inhibitor = -1

    async def wake(self) -> None:
        await self._send(new_signal(LOGIND, "PrepareForSleep", "b", (False,)))

    async def whisper_sleep(self, to: str) -> None:
        """Say it to one connection only, as any program of this machine could."""
        signal = new_signal(LOGIND, "PrepareForSleep", "b", (True,))
        signal.header.fields[HeaderFields.destination] = to
        await self._send(signal)

    async def change_metered(self, metered: int) -> None:
        self.metered = metered
        values: tuple[str, dict[str, tuple[str, int]], list[str]]
        values = ("org.freedesktop.NetworkManager", {"Metered": ("u", metered)}, [])
        await self._send(new_signal(NETWORK, "PropertiesChanged", "sa{sv}as", values))

    def hang_up(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None
        if self._inhibitor >= 0:
            os.close(self._inhibitor)
            self._inhibitor = -1

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._line, _ = await loop.sock_accept(self._listener)
            self._line.setblocking(False)
            await self._authenticate(self._line)
            parser = Parser()
            while data := await loop.sock_recv(self._line, 4096):
                parser.add_data(data)
                while (message := parser.get_next_message()) is not None:
                    await self._answer(message)

    async def _authenticate(self, line: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        for answer in (b"OK 0123456789abcdef\r\n", b"AGREE_UNIX_FD\r\n"):
            await loop.sock_recv(line, 1024)
            await loop.sock_sendall(line, answer)
        assert await loop.sock_recv(line, len(b"BEGIN\r\n")) == b"BEGIN\r\n"

    async def _answer(self, message: Message) -> None:
        name = message.header.fields[HeaderFields.member]
        self.calls.append(" ".join([name, *map(str, message.body)]))
        if name == "Hello":
            await self._send(new_method_return(message, "s", (":1.7",)))
        elif name == "Inhibit":
            self._inhibitor, theirs = os.pipe()
            await self._send(new_method_return(message, "h", (theirs,)))
            os.close(theirs)
            self.inhibited.set()
        elif name == "Get" and self.metered is not None:
            await self._send(new_method_return(message, "v", (("u", self.metered),)))
        elif name == "Get":
            await self._send(new_error(message, "org.freedesktop.DBus.Error.ServiceUnknown"))
        else:
            await self._send(new_method_return(message))

    async def _send(self, message: Message) -> None:
        assert self._line is not None
        descriptors = array("i")
        data = message.serialise(next(self._serials), fds=descriptors)
        socket.send_fds(self._line, [data], descriptors)
