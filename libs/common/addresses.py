"""Where a server listens: `host:port`, `[::1]:port`, or `:port` for every interface."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

MAX_PORT = 65535


def parse_listen(listen: str) -> tuple[str, int]:
    """Return (host, port). Raises: ValueError that says how to write it."""
    host, colon, port = listen.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > MAX_PORT:
        raise ValueError(f"{listen[:80]!r} is not host:port")
    return host.strip("[]") or "0.0.0.0", int(port)  # noqa: S104


def _check(listen: str) -> str:
    parse_listen(listen)
    return listen


Listen = Annotated[str, AfterValidator(_check)]
"""A setting: what is no address ends the start before anything else has begun."""
