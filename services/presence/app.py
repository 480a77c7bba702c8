"""Joins presence: its machine, its file and the bus."""

from __future__ import annotations

from libs.common.bus.base import Bus
from libs.common.clock import Clock
from libs.common.loop.service import Service
from libs.common.store.database import Database
from services.presence.machine import PresenceMachine
from services.presence.settings import PresenceSettings


def build(settings: PresenceSettings, bus: Bus, clock: Clock | None = None) -> Service:
    """Return presence, ready to `run`; `bus` is connected under the user `presence`."""
    database = Database(settings.database_path, PresenceMachine.package)
    return Service(PresenceMachine(settings), bus, database, clock=clock)
