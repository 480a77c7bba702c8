"""ntfy: a push message to a topic, by its API for publishing as JSON."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from services.notify.kinds import words
from services.notify.kinds.base import Errand, Kind, Outcome, Wires
from services.notify.kinds.http import bearer, json_bytes, letter_to, post
from services.notify.kinds.urls import HttpConfig, below

MESSAGE_BYTES = 3500
"""Of at most 4,096: what is longer, ntfy makes an attachment of."""

_PRIORITY = {"critical": 5, "warning": 4}
_QUIET_PRIORITY = 3
_EMOJI = {"critical": "rotating_light", "warning": "warning"}
_DONE_EMOJI = "white_check_mark"
_DONE = ("resolved", "acknowledged")


class NtfyConfig(HttpConfig):
    """`url` is the server; `token` an access token, if the topic needs one."""

    secrets: ClassVar[frozenset[str]] = frozenset({"token"})

    url: str = Field(default="https://ntfy.sh", max_length=2048)
    topic: str = Field(pattern=r"^[-_A-Za-z0-9]{1,64}$")
    token: str | None = Field(default=None, min_length=1, max_length=512, pattern=r"^[!-~]+$")

    @property
    def where(self) -> str:
        return below(super().where, f"/{self.topic}")


async def send(wires: Wires, config: NtfyConfig, errand: Errand) -> Outcome:
    content = json_bytes(render(config.topic, errand.body))
    letter = letter_to(below(config.url, "/"), content, bearer(config.token))
    return await post(wires.lines, letter, errand.now)


def render(topic: str, body: dict[str, Any]) -> dict[str, Any]:
    """Return what ntfy is told: its priorities are 1 to 5, its tags emojis or words."""
    severity = words.severity_of(body)
    done = body["event"] in _DONE
    emoji = _DONE_EMOJI if done else _EMOJI.get(severity or "", "zzz")
    told: dict[str, Any] = {
        "topic": topic,
        "title": words.title(body),
        "message": words.shortened(words.text(body, links=False), MESSAGE_BYTES),
        "priority": _QUIET_PRIORITY if done else _PRIORITY.get(severity or "", _QUIET_PRIORITY),
        "tags": [emoji, *words.kinds_of(body)],
    }
    link = words.link_of(body)
    return told if link is None else {**told, "click": link}


KIND = Kind(NtfyConfig, send)
