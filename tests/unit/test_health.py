"""What `/readyz` says beside ready and not ready."""

from __future__ import annotations

import pytest

from libs.common.bus.memory import MemoryBus, MemoryLog
from libs.common.health import durability_notes


@pytest.mark.parametrize(
    ("durable", "notes"),
    [(True, []), (False, ["the bus is not durable"]), (None, ["durability unknown"])],
)
async def test_durability_is_told(durable: bool | None, notes: list[str]) -> None:
    bus = MemoryBus(MemoryLog())
    bus.durable = durable
    assert durability_notes(bus) == notes
