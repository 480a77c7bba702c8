"""Carries effects out, concurrently, each at most once at a time, and hands back their outcomes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

import structlog

from libs.common.loop.step import Effect

log = structlog.get_logger()

EffectRunner = Callable[[str, dict[str, Any]], Awaitable[dict[str, Any]]]
"""(key, payload) → outcome. Must end by itself; an exception becomes {"error": …}."""

STOP_GRACE_SECONDS = 2.0


class Effects:
    """The effects in flight.

    One that is handed out again (after a reconnect) is not started twice: not while it runs, and
    not while its outcome waits to be written down.
    """

    def __init__(
        self,
        runners: Mapping[str, EffectRunner],
        ended: Callable[[Effect, dict[str, Any]], None],
    ) -> None:
        self._runners = runners
        self._ended = ended
        self._running: dict[int, asyncio.Task[None]] = {}
        self._undecided: set[int] = set()

    @property
    def running(self) -> int:
        """How many have not ended."""
        return len(self._running)

    def start(self, effects: Iterable[Effect]) -> None:
        for effect in effects:
            if effect.row_id not in self._running and effect.row_id not in self._undecided:
                self._running[effect.row_id] = asyncio.create_task(self._carry_out(effect))

    async def _carry_out(self, effect: Effect) -> None:
        try:
            outcome = await self._runners[effect.kind](effect.key, effect.payload)
        except Exception as error:
            log.exception("effect_failed", kind=effect.kind, key=effect.key)
            outcome = {"error": f"{type(error).__name__}: {error}"[:300]}
        finally:
            self._running.pop(effect.row_id, None)
        self._undecided.add(effect.row_id)
        self._ended(effect, outcome)

    def decided(self, row_id: int) -> None:
        """The outcome of an effect has been committed."""
        self._undecided.discard(row_id)

    async def stop(self) -> None:
        """Let what runs end within a moment; the rest is repeated after the next start."""
        tasks = list(self._running.values())
        if tasks:
            await asyncio.wait(tasks, timeout=STOP_GRACE_SECONDS)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
