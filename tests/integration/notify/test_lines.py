"""Kept connections: which answer lets one be used again, and what a strange receiver costs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
import pytest_asyncio

from services.notify.kinds import http
from services.notify.lines import Lines
from services.notify.targets import TargetGuard, trust
from tests.integration.notify.wires import LOOPBACK

NOW = datetime(2026, 6, 15, 9, 0, tzinfo=UTC)
OK = b"HTTP/1.1 200 -\r\nContent-Length: 2\r\n\r\nok"
BROKEN = {"error": "the connection broke before an answer came"}
BIG = 10 * 2**20


@dataclass
class Raw:
    """A server that answers each request with the next bytes, whatever they are."""

    answers: list[bytes] = field(default_factory=list)
    connections: int = 0
    requests: int = 0
    port: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                size = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
                await reader.readexactly(int(size))
                self.requests += 1
                answer = self.answers.pop(0) if self.answers else OK
                writer.write(answer)
                await writer.drain()
                if b"close" in answer:
                    break
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        writer.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"


@pytest_asyncio.fixture
async def raw() -> AsyncIterator[Raw]:
    made = Raw()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    yield made
    server.close()


@pytest_asyncio.fixture
async def lines() -> AsyncIterator[Lines]:
    async with Lines(TargetGuard(LOOPBACK), trust()) as made:
        yield made


async def post(lines: Lines, raw: Raw) -> dict[str, object]:
    return await http.post(lines, http.letter_to(raw.url, b"{}", {}), NOW, 5.0)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(OK, id="a short body"),
        pytest.param(b"HTTP/1.1 200 -\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
                     id="in chunks"),
        pytest.param(b"HTTP/1.1 204 -\r\n\r\n", id="no body"),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n" + OK, id="an interim answer first"),
        pytest.param(b"HTTP/1.1 103 -\r\nRetry-After: 9\r\n\r\nHTTP/1.1 204 -\r\n\r\n",
                     id="an early hint"),
        pytest.param(b"HTTP/1.0 200 -\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n",
                     id="old, but kept"),
    ],
)  # fmt: skip
async def test_a_line_is_used_again(raw: Raw, lines: Lines, answer: bytes) -> None:
    raw.answers = [answer] * 3
    for _ in range(3):
        assert await post(lines, raw) in ({"status": 200}, {"status": 204})
    assert (raw.connections, raw.requests) == (1, 3)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"HTTP/1.1 200 -\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
                     id="the receiver wants no more"),
        pytest.param(b"HTTP/1.0 200 -\r\nContent-Length: 0\r\n\r\n", id="old"),
        pytest.param(b"HTTP/1.1 200 -\r\n\r\nuntil it closes", id="a body without a length"),
        pytest.param(OK + b"HTTP/1.1 500 -\r\nRetry-After: 5\r\nContent-Length: 0\r\n\r\n",
                     id="two answers to one request"),
        pytest.param(OK + b"and more", id="more than it said"),
        pytest.param(b"HTTP/1.1 200 -\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
                     id="a body that is none"),
        pytest.param(b"HTTP/1.1 200 -\r\nContent-Length: %d\r\n\r\n" % BIG + b"x" * BIG,
                     id="ten megabytes"),
    ],
)  # fmt: skip
async def test_a_line_that_is_not_clean_is_closed(raw: Raw, lines: Lines, answer: bytes) -> None:
    """What counts is the first status; nothing of this answer passes for that of the next."""
    raw.answers = [answer]
    assert await post(lines, raw) == {"status": 200}
    assert await post(lines, raw) == {"status": 200}
    assert (raw.connections, raw.requests) == (2, 2)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"220 mail.example ESMTP\r\n", id="no HTTP"),
        pytest.param(b"HTTP/1.1 101 -\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
                     id="another protocol"),
        pytest.param(b"HTTP/1.1 200 -\r\n" + b"X-Long: x\r\n" * 10_000, id="a head without end"),
        pytest.param(b"close", id="hangs up"),
    ],
)  # fmt: skip
async def test_without_a_status_the_try_has_failed(raw: Raw, lines: Lines, answer: bytes) -> None:
    raw.answers = [answer]
    assert await post(lines, raw) == BROKEN
    assert await post(lines, raw) == {"status": 200}
    assert raw.connections == 2


async def test_what_nobody_asked_for_ends_a_kept_line(raw: Raw, lines: Lines) -> None:
    """An answer that comes before its question would be taken for that of the next message."""
    writers: list[asyncio.StreamWriter] = []

    async def keep(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        await raw.serve(reader, writer)

    server = await asyncio.start_server(keep, "127.0.0.1", 0)
    raw.port = server.sockets[0].getsockname()[1]
    assert await post(lines, raw) == {"status": 200}
    ((kept,),) = lines._kept.values()
    writers[0].write(b"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n")
    async with asyncio.timeout(5):
        while kept.line.is_reusable:
            await asyncio.sleep(0)
    assert await post(lines, raw) == {"status": 200}
    assert raw.connections == 2
    server.close()


async def test_a_line_is_kept_for_a_while_only(
    raw: Raw, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.notify.lines.KEEP_SECONDS", 0.01)
    assert await post(lines, raw) == {"status": 200}
    async with asyncio.timeout(5):
        while lines._kept:
            await asyncio.sleep(0)
    assert await post(lines, raw) == {"status": 200}
    assert raw.connections == 2


async def test_each_line_is_kept_for_its_own_while(
    raw: Raw, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.notify.lines.KEEP_SECONDS", 0.1)
    now = asyncio.get_running_loop().time
    await post(lines, raw)
    ((first,),) = lines._kept.values()
    while now() < first.until - 0.05:
        await asyncio.sleep(0)
    server = await asyncio.start_server(raw.serve, "127.0.0.1", 0)
    raw.port = server.sockets[0].getsockname()[1]
    await post(lines, raw)
    _, (second,) = lines._kept.values()
    async with asyncio.timeout(5):
        while second.line.is_reusable:
            await asyncio.sleep(0)
    assert now() >= second.until > first.until
    assert not first.line.is_reusable
    assert not lines._kept
    server.close()
