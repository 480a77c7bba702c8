"""All services in one process on one bus: what `dormice up` runs.

They start together and each waits for what it needs. One that fails stops all. On a stop signal
they end first, the bus last.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import structlog

from cli.services import NAMES, Runnable, build, loop_of
from libs.common.aio import cancel
from libs.common.bus.nats import NatsBus
from libs.common.bus.topology import ensure, ensure_readers
from libs.common.metrics import Metrics

log = structlog.get_logger()

STOP_SECONDS = 3.0
CLOSE_SECONDS = 0.25
READY_POLL_SECONDS = 0.02
STUCK_AFTER = 3  # tries of 5 s each

MakeBus = Callable[[str], NatsBus]
"""Makes the unconnected bus of one user."""


class System:
    """The services of one process. `settings` by service name."""

    def __init__(self, make_bus: MakeBus, settings: dict[str, Any]) -> None:
        self._make_bus = make_bus
        self._settings = settings
        self._buses: list[NatsBus] = []
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self.services: dict[str, Runnable] = {}

    async def prepare(self, *, readers: bool) -> None:
        """Make the log, the buckets and (in their own account) the readers' stream."""
        users = [("setup", ensure)] + ([("setup-readers", ensure_readers)] if readers else [])
        for user, make in users:
            bus = self._make_bus(user)
            try:
                await bus.connect()
                await make(bus)
            finally:
                await bus.close()

    def start(self) -> None:
        """Start every service. A fault shows in `wait`."""
        for name in NAMES:
            bus = self._make_bus(name)
            self._buses.append(bus)
            self.services[name] = build(name, self._settings[name], bus)
            self._tasks[name] = asyncio.create_task(self.services[name].run(), name=name)
        self._speak_for_all(self.services["ui"])

    def _speak_for_all(self, ui: Any) -> None:
        """Have the ui's /readyz and /metrics answer for every service."""
        ui.site.reasons_not_ready = self.reasons_not_ready
        others = [service for service in self.services.values() if service is not ui]
        ui.metrics.include(_metrics_of(service) for service in others)

    def reasons_not_ready(self) -> list[str]:
        """Empty once every service is ready."""
        return [
            f"{name}: {reason}"
            for name, service in self.services.items()
            for reason in service.reasons_not_ready
        ]

    @property
    def bus_is_stuck(self) -> bool:
        """Whether the bus answers but has stored nothing for a while, as after a full disk."""
        loops = [loop_of(service) for service in self.services.values()]
        return any(loop.sender.unanswered >= STUCK_AFTER for loop in loops)

    async def wait_ready(self) -> None:
        """Return once every service is ready. Raises what ended one before that."""
        while self.reasons_not_ready():
            self._raise_failure()
            await asyncio.sleep(READY_POLL_SECONDS)

    async def wait(self, stop: asyncio.Event) -> None:
        """Return when told to stop. Raises what ended a service."""
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({stopping, *self._tasks.values()}, return_when=asyncio.FIRST_COMPLETED)
        await cancel(stopping)
        self._raise_failure()

    def _raise_failure(self) -> None:
        for name, task in self._tasks.items():
            if task.done():
                task.result()
                raise RuntimeError(f"{name} ended by itself")

    async def stop(self) -> None:
        """End every service, within `STOP_SECONDS`, with or without the bus."""
        ending = [asyncio.create_task(service.stop()) for service in self.services.values()]
        running = {*ending, *self._tasks.values()}
        if running:
            _, late = await asyncio.wait(running, timeout=STOP_SECONDS)
            for task in late:
                log.warning("service_stopped_late", task=task.get_name())
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
        closing = [asyncio.create_task(bus.close()) for bus in self._buses]
        if closing:
            await asyncio.wait(closing, timeout=CLOSE_SECONDS)


def _metrics_of(service: Any) -> Metrics:
    """Return what a service measures: its own, or its loop."""
    own: Metrics | None = getattr(service, "metrics", None)
    return Metrics.of(loop_of(service)) if own is None else own
