"""The configuration of a webhook channel: where to, and with which secret."""

from __future__ import annotations

import re

import httpx
from pydantic import BaseModel, ConfigDict, Field, field_validator

from services.notify.target_rules import find_address

_HOST = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*\.?")


class WebhookConfig(BaseModel):
    """`url` may carry user:password (sent as basic authorization); `secret` signs each message."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    url: str = Field(max_length=2048)
    secret: str | None = Field(default=None, min_length=1, max_length=1024)

    @field_validator("url")
    @classmethod
    def _check_url(cls, value: str) -> str:
        _check(value)
        return value


def _check(url: str) -> None:
    try:
        parsed = httpx.URL(url)
        host = parsed.raw_host.decode()
    except (httpx.InvalidURL, ValueError, UnicodeError):
        raise ValueError("this is not a URL") from None
    if parsed.scheme not in ("http", "https"):
        raise ValueError("must begin with http:// or https://")
    if not host or not (_HOST.fullmatch(host) or find_address(host) is not None):
        raise ValueError("has no valid host")
    if parsed.port is not None and not 0 < parsed.port < 65536:
        raise ValueError("has no valid port")


def shown_url(url: str) -> str:
    """Return the address without user and password."""
    return str(httpx.URL(url).copy_with(userinfo=b"", fragment=None))


def site_of(url: str) -> str:
    """Return scheme, host and port only."""
    whole = httpx.URL(url)
    return str(httpx.URL(scheme=whole.scheme, host=whole.host, port=whole.port))
