"""Addresses of HTTP receivers: which are valid, and what of them may be shown."""

from __future__ import annotations

import re
from typing import Any

import httpx
from pydantic import Field, field_validator

from services.notify.kinds.base import ChannelConfig
from services.notify.target_rules import find_address

_HOST = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*\.?")


class HttpConfig(ChannelConfig):
    """`url` may carry user:password, which is sent as basic authorization."""

    url: str = Field(max_length=2048)

    @field_validator("url")
    @classmethod
    def _check_url(cls, value: str) -> str:
        check_url(value)
        return value

    @property
    def where(self) -> str:
        return shown_url(self.url)

    @property
    def site(self) -> str:
        return site_of(self.url)

    @property
    def target(self) -> tuple[str, str]:
        return "url", httpx.URL(self.url).host

    def shown(self, *, whole: bool) -> dict[str, Any]:
        url = shown_url(self.url) if whole else f"{self.site}/…"
        return {**super().shown(whole=whole), "url": url}


def check_url(url: str) -> None:
    """Raises: ValueError with what is wrong, never with the address."""
    try:
        parsed = httpx.URL(url)
        host = parsed.raw_host.decode()
    except (httpx.InvalidURL, ValueError, UnicodeError):
        raise ValueError("this is not a URL") from None
    if parsed.scheme not in ("http", "https"):
        raise ValueError("must begin with http:// or https://")
    if not is_host(host):
        raise ValueError("has no valid host")
    if parsed.port is not None and not 0 < parsed.port < 65536:
        raise ValueError("has no valid port")


def is_host(host: str) -> bool:
    """Say whether `host` is a name or an address that can be connected to."""
    return bool(host and (_HOST.fullmatch(host) or find_address(host) is not None))


def shown_url(url: str) -> str:
    """Return the address without user and password."""
    return str(httpx.URL(url).copy_with(userinfo=b"", fragment=None))


def site_of(url: str) -> str:
    """Return scheme, host and port only."""
    whole = httpx.URL(url)
    return str(httpx.URL(scheme=whole.scheme, host=whole.host, port=whole.port))


def below(url: str, path: str) -> str:
    """Return `path` on the server at `url`, which may have a path and a user of its own."""
    base = httpx.URL(url)
    return str(base.copy_with(path=base.path.rstrip("/") + path, query=None, fragment=None))
