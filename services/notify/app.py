"""Joins notify: its machine, its key, its file, the bus and what sends."""

from __future__ import annotations

from collections.abc import Sequence

from libs.common.bus.base import Bus
from libs.common.clock import Clock, SystemClock
from libs.common.loop.service import Service
from libs.common.security import Vault
from libs.common.store.database import Database
from services.notify import channels, delivering, repeating
from services.notify.courier import Courier
from services.notify.kinds.apprise import AppriseWorkers
from services.notify.kinds.base import Wires
from services.notify.lines import Lines
from services.notify.machine import NotifyMachine
from services.notify.settings import NotifySettings
from services.notify.targets import Resolver, TargetGuard, trust


class Notify:
    """The service with the connections it sends through."""

    def __init__(
        self, settings: NotifySettings, bus: Bus, vault: Vault, clock: Clock,
        resolver: Resolver | None = None,
    ) -> None:  # fmt: skip
        guard = TargetGuard(settings.allow_targets, resolver)
        trusted = trust()
        self._lines = Lines(guard, trusted)
        self._apprise = AppriseWorkers(settings.allow_targets)
        wires = Wires(self._lines, guard, trusted, settings.allow_targets, self._apprise)
        courier = Courier(wires, vault, clock)
        database = Database(settings.database_path, NotifyMachine.package)
        self.service = Service(
            NotifyMachine(vault, settings), bus, database, clock=clock,
            effects={delivering.SEND: courier.send, repeating.REPEAT: courier.repeat},
        )  # fmt: skip
        courier.read = self.service.read
        self.service.on_signal(channels.DELETED, courier.forget)

    async def run(self) -> None:
        """Work until `stop`. Raises: StoreLocked, StoreBroken."""
        try:
            await self.service.run()
        finally:
            await self._apprise.close()
            self._lines.close()

    async def stop(self) -> None:
        """What is being sent gets a moment to end; the rest is sent after the next start."""
        await self.service.stop()

    @property
    def reasons_not_ready(self) -> Sequence[str]:
        return self.service.reasons_not_ready


def build(
    settings: NotifySettings, bus: Bus, clock: Clock | None = None,
    resolver: Resolver | None = None,
) -> Notify:  # fmt: skip
    """Return notify, ready to `run`; `bus` is connected under the user `notify`.

    The key is made together with the state file: without it no channel's address could be opened.

    Raises:
        StoreBroken: the data directory cannot be written, or the key file is missing or no key.
    """
    vault = Vault.at(settings.key_path, create=_is_first_start(settings))
    return Notify(settings, bus, vault, clock or SystemClock(), resolver)


def _is_first_start(settings: NotifySettings) -> bool:
    try:
        return not settings.database_path.exists()
    except OSError:
        return True  # The vault says clearly what is wrong with the directory.
