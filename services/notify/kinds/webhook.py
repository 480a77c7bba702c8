"""Webhooks: the body of PROTOCOL.md as JSON, signed if the channel has a secret."""

from __future__ import annotations

import hmac
from datetime import datetime
from typing import Any, ClassVar

from pydantic import Field

from services.notify import message
from services.notify.kinds.base import Errand, Kind, Outcome, Wires
from services.notify.kinds.http import Letter, letter_to, post
from services.notify.kinds.urls import HttpConfig


class WebhookConfig(HttpConfig):
    """`secret` signs each message."""

    secrets: ClassVar[frozenset[str]] = frozenset({"secret"})

    secret: str | None = Field(default=None, min_length=1, max_length=1024)


async def send(wires: Wires, config: WebhookConfig, errand: Errand) -> Outcome:
    return await post(wires.lines, write_letter(config, errand.body, errand.now), errand.now)


def write_letter(config: WebhookConfig, body: dict[str, Any], now: datetime) -> Letter:
    """Return the request for a try at `now`."""
    content = message.finish(body, now)
    timestamp = str(int(now.timestamp()))
    headers = {"Dormice-Id": body["id"], "Dormice-Timestamp": timestamp}
    if config.secret is not None:
        headers["Dormice-Signature"] = sign(config.secret, timestamp, content)
    return letter_to(config.url, content, headers)


def sign(secret: str, timestamp: str, content: bytes) -> str:
    """Return the value of Dormice-Signature."""
    signed = timestamp.encode() + b"." + content
    return f"v1={hmac.digest(secret.encode(), signed, 'sha256').hex()}"


KIND = Kind(WebhookConfig, send)
