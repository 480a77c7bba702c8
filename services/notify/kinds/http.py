"""Sends one HTTP request and says what became of it. Raises nothing but a cancellation."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any
from urllib.parse import unquote_to_bytes

import httpx

from services.notify.errors import TargetRefused, TargetUnknown
from services.notify.kinds.troubles import explain
from services.notify.lines import LineBroken, Lines, NoLine, Place

TIMEOUT_SECONDS = 10.0
BODY_SECONDS = 1.0
"""How long an answer's body is read: only its head counts, reading keeps the line."""
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Site:
    """Where a request goes: the address without user and password, which become a header."""

    url: httpx.URL
    place: Place
    headers: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Letter:
    """What one try sends."""

    site: Site
    headers: Mapping[str, str]
    content: bytes

    @property
    def url(self) -> httpx.URL:
        return self.site.url

    @property
    def request(self) -> bytes:
        """What goes over the line. Raises: ValueError if a header would begin another."""
        head = "".join([f"{name}: {value}\r\n" for name, value in self.headers.items()])
        if head.count("\n") != len(self.headers) or head.count("\r") != len(self.headers):
            raise ValueError("a header has more than one line")
        return b"POST %b HTTP/1.1\r\n%b\r\n%b" % (self.url.raw_path, head.encode(), self.content)


@lru_cache(maxsize=256)
def site_at(address: str) -> Site:
    """Read an address, once: a channel's is the same for every message."""
    url = httpx.URL(address)
    bare = url.copy_with(userinfo=b"", fragment=None)
    port = bare.port or _PORTS[bare.scheme]
    place = Place(bare.raw_host.decode(), port, bare.scheme == "https")
    headers = [("Host", url.netloc.decode())]
    if url.userinfo:
        headers.append(("Authorization", _basic(url.userinfo)))
    return Site(bare, place, tuple(headers))


def letter_to(address: str, content: bytes, headers: Mapping[str, str]) -> Letter:
    """Return the request with what every one of ours has; a user in the address goes before."""
    site = site_at(address)
    given = {
        "Content-Type": "application/json",
        "Content-Length": str(len(content)),
        "User-Agent": "dormice",
        **headers,
        **dict(site.headers),
    }
    return Letter(site, given, content)


def bearer(token: str | None) -> dict[str, str]:
    return {} if token is None else {"Authorization": f"Bearer {token}"}


def json_bytes(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _basic(userinfo: bytes) -> str:
    user, _, password = userinfo.partition(b":")
    pair = unquote_to_bytes(user) + b":" + unquote_to_bytes(password)
    return f"Basic {base64.b64encode(pair).decode()}"


async def post(
    lines: Lines, letter: Letter, now: datetime, timeout_seconds: float = TIMEOUT_SECONDS
) -> dict[str, Any]:
    """Send the letter once; return the outcome {status?, error?, retry_after?, refused?}.

    No text of it holds the address: what libraries and receivers say may quote it.
    """
    try:
        async with asyncio.timeout(timeout_seconds) as limit:
            return await _exchange(lines, letter, now, limit)
    except TargetRefused as error:
        return {"error": error.message, "refused": True}
    except TargetUnknown as error:
        return {"error": error.message}
    except TimeoutError:
        return {"error": f"no answer within {timeout_seconds:g} s"}
    except NoLine as error:
        return {"error": explain(error, otherwise="no connection could be made")}
    except LineBroken:
        return {"error": "the connection broke before an answer came"}


async def _exchange(
    lines: Lines, letter: Letter, now: datetime, limit: asyncio.Timeout
) -> dict[str, Any]:
    async with lines.line_to(letter.site.place) as line:
        answer = await line.ask(letter.request)
        limit.reschedule(None)  # The status decides; nothing that comes after can take it back.
        await line.finish(BODY_SECONDS)
    outcome: dict[str, Any] = {"status": answer.status}
    wait = parse_retry_after(answer.retry_after, now) if answer.retry_after else None
    return outcome if wait is None else {**outcome, "retry_after": wait}


def parse_retry_after(value: bytes, now: datetime) -> float | None:
    """Return how many seconds the receiver asks us to wait, or None if it makes no sense."""
    text = value.decode("latin-1").strip()
    if text.isascii() and text.isdigit() and len(text) <= 9:
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max((moment - now).total_seconds(), 0.0)
