"""Every event model, by type. Importing this module makes `base.decode` know them all."""

from __future__ import annotations

from libs.common.events import agent, alert, base, catchup, host, job, presence
from libs.common.events.base import Event

_MODULES = (agent, alert, catchup, host, job, presence)


def _concrete_models() -> list[type[Event]]:
    found = {
        value
        for module in _MODULES
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Event) and "type" in vars(value)
    }
    return sorted(found, key=lambda model: model.type)


ALL = tuple(_concrete_models())
base.register(*ALL)
