"""Any service that the library Apprise knows, by its URL.

The library is synchronous, brings its own connections and cannot be interrupted, so it works in a
process of its own (`apprise_child.py`), one for each channel in use: one that hangs is ended, and
every connect that it tries is judged there by the address, whatever name or redirect led to it.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import Field, field_validator

from services.notify.kinds import words
from services.notify.kinds.base import ChannelConfig, Errand, Kind, Outcome, Wires
from services.notify.target_rules import Network

TIMEOUT_SECONDS = 30.0
IDLE_SECONDS = 60.0
ANSWER_LIMIT_BYTES = 64 * 1024
CHILD = "services.notify.kinds.apprise_child"

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{0,31})://\S+")
_TYPES = {"critical": "failure", "warning": "warning"}
_DONE = {"resolved": "success", "acknowledged": "info"}
_PASSED_ON = ("PATH", "HOME", "LANG", "SSL_CERT_FILE", "SSL_CERT_DIR")


class AppriseConfig(ChannelConfig):
    """All of `url` is secret but its scheme: where the token stands differs from one to another."""

    secrets: ClassVar[frozenset[str]] = frozenset({"url"})

    url: str = Field(max_length=2048)

    @field_validator("url")
    @classmethod
    def _check_url(cls, value: str) -> str:
        if not _URL.fullmatch(value):
            raise ValueError("this is no Apprise URL")
        return value

    @property
    def where(self) -> str:
        return self.site

    @property
    def site(self) -> str:
        return f"{self.url.partition(':')[0].lower()}://"

    @property
    def target(self) -> tuple[str, str]:
        return "url", ""

    def shown(self, *, whole: bool) -> dict[str, Any]:
        return {**super().shown(whole=whole), "url": f"{self.site}…"}


async def send(wires: Wires, config: AppriseConfig, errand: Errand) -> Outcome:
    """One message after the other on a channel; the child says what became of it."""
    body = errand.body
    severity = words.severity_of(body) or ""
    asked = {
        "url": config.url,
        "title": words.title(body),
        "body": words.text(body),
        "type": _DONE.get(body["event"]) or _TYPES.get(severity, "info"),
    }
    async with wires.turn(errand.channel_id):
        return await wires.apprise.send(errand.channel_id, asked)


@dataclass(slots=True)
class _Child:
    process: asyncio.subprocess.Process
    leaving: asyncio.TimerHandle | None = None


class AppriseWorkers:
    """The processes. Each is made when it is needed, and ends after a minute without work."""

    def __init__(
        self, allowed: Sequence[Network], timeout_seconds: float = TIMEOUT_SECONDS
    ) -> None:
        self._allowed, self._timeout_seconds = allowed, timeout_seconds
        self._children: dict[str, _Child] = {}

    async def send(self, channel_id: str, asked: dict[str, Any]) -> Outcome:
        """Never two at once for a channel: the caller sees to that."""
        child = await self._child_for(channel_id)
        try:
            async with asyncio.timeout(self._timeout_seconds):
                outcome = await _converse(child.process, asked)
        except TimeoutError:
            outcome = {"error": f"no answer within {self._timeout_seconds:g} s"}
        except (OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            outcome = {"error": "Apprise ended unexpectedly"}
        except asyncio.CancelledError:
            await self._end(channel_id)
            raise
        else:
            loop = asyncio.get_running_loop()
            child.leaving = loop.call_later(IDLE_SECONDS, self._leave, channel_id)
            return outcome
        await self._end(channel_id)
        return outcome

    async def close(self) -> None:
        for channel_id in list(self._children):
            await self._end(channel_id)

    async def _child_for(self, channel_id: str) -> _Child:
        child = self._children.get(channel_id)
        if child is not None and child.leaving is not None:
            child.leaving.cancel()
        if child is None or child.process.returncode is not None:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", CHILD, *map(str, self._allowed),
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL, limit=ANSWER_LIMIT_BYTES, env=_environment(),
            )  # fmt: skip
            child = self._children[channel_id] = _Child(process)
        return child

    def _leave(self, channel_id: str) -> None:
        """The end of its input is the child's end."""
        child = self._children.get(channel_id)
        if child is not None and child.process.stdin is not None:
            child.process.stdin.close()

    async def _end(self, channel_id: str) -> None:
        child = self._children.pop(channel_id, None)
        if child is None:
            return
        if child.leaving is not None:
            child.leaving.cancel()
        if child.process.returncode is None:
            child.process.kill()
        await child.process.wait()


def _environment() -> dict[str, str]:
    """Nothing of ours that is secret, and no proxy."""
    kept = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return {**kept, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


async def _converse(process: asyncio.subprocess.Process, asked: dict[str, Any]) -> Outcome:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(asked).encode() + b"\n")
    await process.stdin.drain()
    outcome: Outcome = json.loads(await process.stdout.readuntil(b"\n"))
    return outcome


KIND = Kind(AppriseConfig, send)
