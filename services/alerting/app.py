"""Joins alerting: its machine, its file and the bus."""

from __future__ import annotations

from libs.common.bus.base import Bus
from libs.common.clock import Clock
from libs.common.loop.service import Service
from libs.common.store.database import Database
from services.alerting.machine import AlertingMachine
from services.alerting.settings import AlertingSettings


def build(settings: AlertingSettings, bus: Bus, clock: Clock | None = None) -> Service:
    """Return alerting, ready to `run`; `bus` is connected under the user `alerting`."""
    database = Database(settings.database_path, AlertingMachine.package)
    return Service(AlertingMachine(settings), bus, database, clock=clock)
