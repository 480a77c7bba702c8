"""The services, and how each is joined. The one place outside of them that knows them all."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Protocol

from libs.common.bus.base import Bus
from libs.common.loop.service import Service

NAMES = ("registry", "gateway", "presence", "alerting", "catchup", "jobs", "notify", "ui")


class Runnable(Protocol):
    """What every service's `build` returns."""

    async def run(self) -> None: ...

    async def stop(self) -> None: ...

    @property
    def reasons_not_ready(self) -> list[str]: ...


def settings_class(name: str) -> Any:
    """Return the settings class of a service: `services.<name>.settings.<Name>Settings`."""
    module = import_module(f"services.{name}.settings")
    return getattr(module, f"{name.capitalize()}Settings")


def build(name: str, settings: Any, bus: Bus) -> Runnable:
    """Join a service; nothing is opened yet."""
    made: Runnable = import_module(f"services.{name}.app").build(settings, bus)
    return made


def loop_of(service: Any) -> Service:
    """Return the loop inside a built service, whatever shell is around it."""
    return service if isinstance(service, Service) else service.service
