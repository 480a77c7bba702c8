"""What a kind of channel is: what it needs to know, what it can say, and how it sends.

    read the config ─▶ queue ─▶ a try: Errand ─▶ send(wires, config, errand) ─▶ outcome

Queue, order, tries, secrets at rest and the rules for addresses are the same for all kinds and
stand outside. A kind is one file here and one line in `table.py`.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, ClassVar, Protocol

from pydantic import BaseModel, ConfigDict

from services.notify.lines import Lines
from services.notify.policy import News
from services.notify.target_rules import Network
from services.notify.targets import TargetGuard

Outcome = dict[str, Any]
"""What became of a try, as the machine reads it: `status` (of HTTP), or `taken` where there is
none; else `error` in our own words, never the receiver's, which may quote the address; `refused`
if trying again is pointless; `retry_after` in seconds."""


class ChannelConfig(BaseModel):
    """Base of a kind's configuration. The fields in `secrets` are never shown."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    secrets: ClassVar[frozenset[str]] = frozenset()

    @property
    def where(self) -> str:
        """Return where its messages go, in one line, without what is secret."""
        raise NotImplementedError

    @property
    def site(self) -> str:
        """Return scheme, host and port only: what everybody may know."""
        raise NotImplementedError

    @property
    def target(self) -> tuple[str, str]:
        """Return the field that names the host, and the host ("" if that is not known)."""
        raise NotImplementedError

    @property
    def has_secret(self) -> bool:
        return any(getattr(self, name) is not None for name in self.secrets)

    def shown(self, *, whole: bool) -> dict[str, Any]:
        """Return the configuration for a reader; `whole`: who reads is an admin."""
        kept = self.model_dump(exclude=set(self.secrets), exclude_none=True) if whole else {}
        return {**kept, "has_secret": self.has_secret}


class AppriseSender(Protocol):
    async def send(self, channel_id: str, asked: dict[str, Any]) -> Outcome: ...


@dataclass(slots=True)
class Wires:
    """The ways out; each refuses addresses that are neither public nor `allowed`."""

    lines: Lines
    guard: TargetGuard
    trust: ssl.SSLContext
    allowed: Sequence[Network]
    apprise: AppriseSender
    _turns: defaultdict[str, asyncio.Lock] = field(
        default_factory=lambda: defaultdict(asyncio.Lock)
    )

    def turn(self, channel_id: str) -> asyncio.Lock:
        """Return what a kind holds whose messages on a channel must not run beside each other."""
        return self._turns[channel_id]


@dataclass(frozen=True, slots=True)
class Errand:
    """One try: the message as composed (see message.py), written down, and when it is tried."""

    channel_id: str
    delivery_id: str
    written: str
    now: datetime

    @property
    def body(self) -> dict[str, Any]:
        """The message, read: a webhook sends it as it is."""
        read: dict[str, Any] = json.loads(self.written)
        return read


Send = Callable[[Wires, Any, Errand], Awaitable[Outcome]]
Repeat = Callable[[Wires, Any, Sequence[dict[str, Any]], datetime], Awaitable[Outcome]]
"""(wires, config, open alerts as receivers see them, now) → outcome."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of channel.

    `unsaid`: news that it has no word for, which are therefore not queued. `repeat` tells it again
    which alerts are open, every `repeat_every`. `paces_itself`: quiet hours, rates and digests are
    the receiver's own affair.
    """

    config: type[ChannelConfig]
    send: Send
    unsaid: frozenset[News] = frozenset()
    repeat: Repeat | None = None
    repeat_every: timedelta | None = None
    paces_itself: bool = False
