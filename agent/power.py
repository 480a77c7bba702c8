"""Power and network, as the control plane is told: in the hello, then whenever they change."""

from __future__ import annotations

from collections.abc import Callable

from agent import host
from libs.common.protocol import Power, PowerState


class PowerReport:
    """Remembers what was told last."""

    def __init__(self, metered: Callable[[], bool | None]) -> None:
        self._metered = metered
        self._told = Power()

    def for_hello(self) -> tuple[PowerState | None, bool | None]:
        """Return `power` and `metered`; they count as told."""
        power, metered = host.power(), self._metered()
        self._told = _frame(power, metered=metered)
        return power, metered

    def find_news(self) -> Power | None:
        """Return what has changed since it was told last, if anything; it counts as told."""
        now = _frame(host.power(), metered=self._metered())
        if now == self._told:
            return None
        self._told = now
        return now


def _frame(power: PowerState | None, *, metered: bool | None) -> Power:
    return Power(**({} if power is None else power.model_dump()), metered=metered)
