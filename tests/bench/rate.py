"""How often a second a server answers those who ask again as soon as they are answered."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

START_SECONDS = 30.0


class Asker(Protocol):
    """Asks from `start` to `stop`, and counts the answers."""

    answered: int

    async def start(self) -> None: ...

    def stop(self) -> None: ...


async def answers_a_second(askers: Sequence[Asker], seconds: float) -> float:
    """Start them, count for so long once each was answered, stop them. Raises: TimeoutError."""
    for asker in askers:
        await asker.start()
    async with asyncio.timeout(START_SECONDS):
        while not all(asker.answered for asker in askers):
            await asyncio.sleep(0.01)
    before = sum(asker.answered for asker in askers)
    await asyncio.sleep(seconds)
    rate = (sum(asker.answered for asker in askers) - before) / seconds
    for asker in askers:
        asker.stop()
    return rate
