"""Joins catch-up: its machine, its file and the bus."""

from __future__ import annotations

from libs.common.bus.base import Bus
from libs.common.clock import Clock
from libs.common.loop.service import Service
from libs.common.store.database import Database
from services.catchup.machine import CatchupMachine
from services.catchup.settings import CatchupSettings


def build(settings: CatchupSettings, bus: Bus, clock: Clock | None = None) -> Service:
    """Return catch-up, ready to `run`; `bus` is connected under the user `catchup`."""
    database = Database(settings.database_path, CatchupMachine.package)
    return Service(CatchupMachine(settings), bus, database, clock=clock)
