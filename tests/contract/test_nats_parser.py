"""Whatever the wire brings, however it is cut, our reading of it tells what nats-py's tells."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import ProtocolError
from nats.protocol.parser import Parser

from libs.common.bus.nats_client import Message, QuickClient, Sink
from libs.common.bus.nats_parser import QuickParser

KNOWN, UNKNOWN = 3, 4
HEADERS = st.sampled_from(
    [
        b"NATS/1.0\r\n\r\n",
        b"NATS/1.0\r\nNats-Msg-Id: 1\r\nB:\t2\r\n\r\n",
        b"NATS/1.0 404 No Messages\r\n\r\n",
        b"NATS/1.0 100 Idle Heartbeat\r\nNats-Last-Consumer: 7\r\n\r\n",
        b"NATS/1.0 503\r\n\r\n",
    ]
)
BODIES = st.binary(max_size=40) | st.sampled_from([b"", b"PING\r\n", b"MSG a 3 1\r\nx\r\n"])
REPLIES = st.sampled_from([b"", b"_INBOX.r.1 ", b"$JS.ACK.a.b "])
NAMES = ("Nats-Msg-Id", "B", "Status", "Absent")
SIDS = st.sampled_from([KNOWN, UNKNOWN])
CONTROL = st.sampled_from(
    [b"PING\r\n", b"PONG\r\n", b"+OK\r\n", b"-ERR 'Stale Connection'\r\n", b'INFO {"a": 1} \r\n']
)


def _plain(sid: int, reply: bytes, body: bytes) -> bytes:
    return b"MSG a.b %d %s%d\r\n%s\r\n" % (sid, reply, len(body), body)


def _with_headers(sid: int, reply: bytes, headers: bytes, body: bytes) -> bytes:
    sizes = (len(headers), len(headers) + len(body))
    return b"HMSG a.b %d %s%d %d\r\n%s%s\r\n" % (sid, reply, *sizes, headers, body)


LINES = st.one_of(
    CONTROL,
    st.builds(_plain, SIDS, REPLIES, BODIES),
    st.builds(_with_headers, SIDS, REPLIES, HEADERS, BODIES),
)


class Told:
    """Notes what it is told of what it reads."""

    _ps: Any

    def __init__(self) -> None:
        super().__init__()
        self.told: list[Any] = []
        self._subs = {KNOWN: Subscription(self, KNOWN, future=self._sink())}

    def _sink(self) -> asyncio.Future[Any]:
        raise NotImplementedError

    def _note(self, message: Msg | Message) -> None:
        headers = message.headers or {}
        self.told.append((message.subject, message.reply, message.data, headers))

    async def _process_ping(self) -> None:
        self.told.append("ping")

    async def _process_pong(self) -> None:
        self.told.append("pong")

    async def _process_err(self, err_msg: str) -> None:
        self.told.append(err_msg.strip("'"))

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:
        self.told.append(info)

    async def read(self, wire: bytes, cuts: list[int]) -> list[Any]:
        ends = [*sorted(cut % (len(wire) + 1) for cut in cuts), len(wire)]
        start = 0
        for end in ends:
            await self._ps.parse(wire[start:end])
            start = end
        return self.told


class Theirs(Told, Client):
    """Reads as nats-py does."""

    def _sink(self) -> asyncio.Future[Any]:
        return _Each(self._note)


class _Each(asyncio.Future[Any]):
    def __init__(self, note: Callable[[Msg], None]) -> None:
        super().__init__()
        self._note = note

    def set_result(self, message: Msg, /) -> None:
        self._note(message)


class Ours(Told, QuickClient):
    """Reads as we do; one header alone is what it is among all."""

    def _sink(self) -> asyncio.Future[Any]:
        return Sink(self._note_and_check)

    def _note_and_check(self, message: Message) -> None:
        unread = {name: message.header(name) for name in NAMES}
        self._note(message)
        read = {name: message.headers.get(name) for name in NAMES}
        if not unread == read == {name: message.header(name) for name in NAMES}:
            self.told.append(("one header is not what it is among all", unread, read))


@given(st.lists(LINES, max_size=8), st.lists(st.integers(0, 10_000), max_size=6))
async def test_what_is_read_is_what_the_library_reads(lines: list[bytes], cuts: list[int]) -> None:
    wire = b"".join(lines)
    assert await Ours().read(wire, cuts) == await Theirs().read(wire, cuts)


@pytest.mark.parametrize(
    "wire",
    [
        b"NONSENSE\r\n",
        b"\r\n",
        b"MSG a\r\n",
        b"MSG a 3 x\r\n",
        b"MSG a 3 -1\r\nb\r\n",
        b"MSG a x 1\r\nb\r\n",
        b"MSG a 3 b c 1\r\nb\r\n",
        b"HMSG a 3 1\r\n",
    ],
)
@pytest.mark.parametrize("reading", [Ours, Theirs])
async def test_what_is_no_protocol_ends_the_connection(
    wire: bytes, reading: type[Ours] | type[Theirs]
) -> None:
    with pytest.raises(ProtocolError):
        await reading().read(wire, [])


@pytest.mark.parametrize("reading", [Ours, Theirs])
async def test_a_new_connection_begins_with_nothing_of_the_old_one(
    reading: type[Ours] | type[Theirs],
) -> None:
    client = reading()
    await client.read(b"MSG a.b 3 5\r\nhal", [])
    client._ps.reset()
    assert await client.read(b"PING\r\n", []) == ["ping"]


async def test_the_library_reads_with_it() -> None:
    assert isinstance(QuickClient()._ps, QuickParser)
    assert isinstance(Client()._ps, Parser)
