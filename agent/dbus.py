"""One connection to a D-Bus, as much of one as the agent needs: calls, their replies, signals.

Replies may carry file descriptors (logind's inhibitors are such), so bytes are read with `recvmsg`.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
from collections.abc import AsyncIterator
from typing import Any

from jeepney import FileDescriptor, HeaderFields, Message, MessageType, Parser
from jeepney.auth import BEGIN, Authenticator
from jeepney.bus_messages import message_bus
from jeepney.fds import fds_buf_size

MOST_BYTES = 64 * 1024


class DBusConnection:
    """Sends calls and receives messages. Raises OSError, EOFError, ValueError when it breaks."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._parser = Parser()
        self._serials = itertools.count(1)

    async def call(self, message: Message) -> int:
        """Send a method call; return the serial that its reply will name."""
        serial = next(self._serials)
        await asyncio.get_running_loop().sock_sendall(self._line, message.serialise(serial))
        return serial

    async def receive(self) -> Message:
        """Return the next message."""
        while (message := self._parser.get_next_message()) is None:
            await self._read()
        return message

    async def authenticate(self) -> None:
        loop = asyncio.get_running_loop()
        conversation = Authenticator(enable_fds=True)
        for line in conversation:
            await loop.sock_sendall(self._line, line)
            if not (answer := await loop.sock_recv(self._line, 1024)):
                raise EOFError("the bus hung up")
            conversation.feed(answer)
        await loop.sock_sendall(self._line, BEGIN)

    async def _read(self) -> None:
        """Read no further than the message's end: descriptors belong to the message read with."""
        wanted = min(self._parser.bytes_desired(), MOST_BYTES)
        await _readable(self._line)
        data, ancillary, *_ = self._line.recvmsg(wanted, fds_buf_size())
        if not data:
            raise EOFError("the bus hung up")
        self._parser.add_data(data, FileDescriptor.from_ancdata(ancillary))


@contextlib.asynccontextmanager
async def connected(address: str) -> AsyncIterator[DBusConnection]:
    """Yield a connection that has said hello to the bus at the Unix socket `address`."""
    with socket.socket(socket.AF_UNIX) as line:
        line.setblocking(False)
        await asyncio.get_running_loop().sock_connect(line, address)
        bus = DBusConnection(line)
        await bus.authenticate()
        await bus.call(message_bus.Hello())
        yield bus


def replied_to(message: Message) -> int | None:
    """Return the serial of the call that `message` answers, be it with an error."""
    serial: int | None = message.header.fields.get(HeaderFields.reply_serial)
    return serial


def broadcast_name(message: Message) -> str | None:
    """Return `interface.member` of a signal to all; one to us alone may be anybody's and is none.

    Which sender a broadcast comes from is what the bus checks, by the match rule.
    """
    fields: dict[HeaderFields, Any] = message.header.fields
    if message.header.message_type is not MessageType.signal or HeaderFields.destination in fields:
        return None
    return f"{fields[HeaderFields.interface]}.{fields[HeaderFields.member]}"


async def _readable(line: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ready = loop.create_future()

    def tell() -> None:
        if not ready.done():
            ready.set_result(None)

    loop.add_reader(line, tell)
    try:
        await ready
    finally:
        loop.remove_reader(line)
