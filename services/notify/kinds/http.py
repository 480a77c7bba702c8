"""Sends one HTTP request and says what became of it. Raises nothing but a cancellation."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any
from urllib.parse import unquote_to_bytes

import httpcore
import httpx

from services.notify.errors import TargetRefused, TargetUnknown
from services.notify.kinds.troubles import explain

TIMEOUT_SECONDS = 10.0
BODY_LIMIT_BYTES = 64 * 1024
BODY_SECONDS = 1.0
"""How long an answer's body is read: only its status counts, reading keeps the connection."""

Headers = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Site:
    """Where a request goes: the address without user and password, which become a header."""

    url: httpx.URL
    target: httpcore.URL
    headers: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Letter:
    """What one try sends."""

    site: Site
    headers: Headers
    content: bytes

    @property
    def url(self) -> httpx.URL:
        return self.site.url


@lru_cache(maxsize=256)
def site_at(address: str) -> Site:
    """Read an address, once: a channel's is the same for every message."""
    url = httpx.URL(address)
    bare = url.copy_with(userinfo=b"", fragment=None)
    target = httpcore.URL(
        scheme=bare.raw_scheme, host=bare.raw_host, port=bare.port, target=bare.raw_path
    )
    headers = [("Host", url.netloc.decode())]
    if url.userinfo:
        headers.append(("Authorization", _basic(url.userinfo)))
    return Site(bare, target, tuple(headers))


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
    pairs = [(name.encode(), value.encode()) for name, value in given.items()]
    return Letter(site, pairs, content)


def bearer(token: str | None) -> dict[str, str]:
    return {} if token is None else {"Authorization": f"Bearer {token}"}


def json_bytes(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _basic(userinfo: bytes) -> str:
    user, _, password = userinfo.partition(b":")
    pair = unquote_to_bytes(user) + b":" + unquote_to_bytes(password)
    return f"Basic {base64.b64encode(pair).decode()}"


async def post(
    pool: httpcore.AsyncConnectionPool, letter: Letter, now: datetime,
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> dict[str, Any]:  # fmt: skip
    """Send the letter once; return the outcome {status?, error?, retry_after?, refused?}.

    No text of it holds the address: what libraries and receivers say may quote it.
    """
    try:
        async with asyncio.timeout(timeout_seconds) as limit:
            return await _exchange(pool, letter, now, limit)
    except TargetRefused as error:
        return {"error": error.message, "refused": True}
    except TargetUnknown as error:
        return {"error": error.message}
    except (TimeoutError, httpcore.TimeoutException):
        return {"error": f"no answer within {timeout_seconds:g} s"}
    except (httpcore.ConnectError, ssl.SSLError) as error:
        return {"error": explain(error, otherwise="no connection could be made")}
    except (httpcore.ProtocolError, httpcore.NetworkError, OSError):
        return {"error": "the connection broke before an answer came"}


async def _exchange(
    pool: httpcore.AsyncConnectionPool, letter: Letter, now: datetime, limit: asyncio.Timeout
) -> dict[str, Any]:
    async with pool.stream(
        "POST", letter.site.target, headers=letter.headers, content=letter.content
    ) as answer:
        limit.reschedule(None)  # The status decides; nothing that comes after can take it back.
        outcome: dict[str, Any] = {"status": answer.status}
        wait = parse_retry_after({name.lower(): value for name, value in answer.headers}, now)
        if wait is not None:
            outcome["retry_after"] = wait
        await _read_some(answer)
    return outcome


async def _read_some(answer: httpcore.Response) -> None:
    """Read what is short and soon, so that the connection can be used again; else let it go."""
    size = 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in answer.aiter_stream():
                size += len(chunk)
                if size > BODY_LIMIT_BYTES:
                    return
    except (TimeoutError, httpcore.TimeoutException, httpcore.NetworkError,
            httpcore.ProtocolError):  # fmt: skip
        return


def parse_retry_after(headers: Mapping[bytes, bytes], now: datetime) -> float | None:
    """Return how many seconds the receiver asks us to wait, or None if it does not say."""
    text = headers.get(b"retry-after", b"").decode("latin-1").strip()
    if text.isascii() and text.isdigit() and len(text) <= 9:
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max((moment - now).total_seconds(), 0.0)
