"""Signals from the loop to the shell around it: in this process only, after the commit."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import structlog

log = structlog.get_logger()


class Signals:
    def __init__(self) -> None:
        self._callbacks: dict[str, list[Callable[[Any], None]]] = defaultdict(list)
        self._waiters: list[tuple[int, asyncio.Future[None]]] = []

    def on(self, topic: str, callback: Callable[[Any], None]) -> None:
        self._callbacks[topic].append(callback)

    def send(self, topic: str, value: Any = None) -> None:
        for callback in self._callbacks[topic]:
            try:
                callback(value)
            except Exception:
                log.exception("signal_callback_failed", topic=topic)

    def applied(self, seq: int) -> None:
        """The log has been applied up to `seq`."""
        for wanted, future in self._waiters:
            if wanted <= seq and not future.done():
                future.set_result(None)
        self._waiters = [entry for entry in self._waiters if not entry[1].done()]
        self.send("applied", seq)

    async def wait_for_seq(self, position: Callable[[], int], seq: int, timeout: timedelta) -> bool:
        if position() >= seq:
            return True
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append((seq, future))
        try:
            await asyncio.wait_for(future, timeout.total_seconds())
        except TimeoutError:
            return False
        return True
