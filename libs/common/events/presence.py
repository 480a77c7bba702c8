"""Events of presence: a host went online or offline. Exported to other systems."""

from __future__ import annotations

from typing import ClassVar

from pydantic import AwareDatetime

from libs.common.events.agent import OfflineReason
from libs.common.events.base import HostEvent


class PresenceOnline(HostEvent):
    """The host is online since `since`. Idempotent by `session`."""

    type: ClassVar[str] = "dormice.presence.online.v1"
    name: str
    always_on: bool
    session: str
    gateway: str
    since: AwareDatetime


class PresenceOffline(HostEvent):
    """The host is offline; `asleep` if it may sleep. Idempotent by `session`."""

    type: ClassVar[str] = "dormice.presence.offline.v1"
    name: str
    always_on: bool
    session: str
    since: AwareDatetime
    last_seen: AwareDatetime
    reason: OfflineReason
