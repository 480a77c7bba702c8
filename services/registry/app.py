"""Joins the registry: its machine, its key, its file and the bus."""

from __future__ import annotations

from libs.common.bus.base import Bus
from libs.common.clock import Clock
from libs.common.events import registry as _events  # noqa: F401  makes every event known
from libs.common.loop.service import Service
from libs.common.security import Vault
from libs.common.store.database import Database
from services.registry.machine import RegistryMachine
from services.registry.settings import RegistrySettings


def build(settings: RegistrySettings, bus: Bus, clock: Clock | None = None) -> Service:
    """Return the registry, ready to `run`; `bus` is connected under the user `registry`.

    The key is made together with the state file. A state file without its key is refused: what was
    sealed could never be opened again, and nobody would notice before a backup fails.

    Raises:
        StoreBroken: the data directory cannot be written, or the key file is missing or no key.
    """
    vault = Vault.at(settings.key_path, create=_is_first_start(settings))
    database = Database(settings.database_path, RegistryMachine.package)
    return Service(RegistryMachine(vault, settings.offline_after), bus, database, clock=clock)


def _is_first_start(settings: RegistrySettings) -> bool:
    try:
        return not settings.database_path.exists()
    except OSError:
        return True  # The vault says clearly what is wrong with the directory.
