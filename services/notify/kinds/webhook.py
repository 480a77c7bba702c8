"""Webhooks: the body of PROTOCOL.md as JSON, signed if the channel has a secret."""

from __future__ import annotations

import hmac
from typing import ClassVar

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
    return await post(wires.lines, write_letter(config, errand), errand.now)


def write_letter(config: WebhookConfig, errand: Errand) -> Letter:
    """Return the request for a try."""
    content = message.finish(errand.written, errand.now)
    timestamp = str(int(errand.now.timestamp()))
    headers = {"Dormice-Id": errand.delivery_id, "Dormice-Timestamp": timestamp}
    if config.secret is not None:
        headers["Dormice-Signature"] = sign(config.secret, timestamp, content)
    return letter_to(config.url, content, headers)


def sign(secret: str, timestamp: str, content: bytes) -> str:
    """Return the value of Dormice-Signature.

    Not by `hmac.digest`, which lets another thread in between: in a burst that takes longest.
    """
    signed = timestamp.encode() + b"." + content
    return f"v1={hmac.new(secret.encode(), signed, 'sha256').hexdigest()}"


KIND = Kind(WebhookConfig, send)
