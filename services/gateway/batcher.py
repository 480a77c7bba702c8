"""Many small questions at once become few large ones.

A storm of dials asks ten thousand times whose token it is. While one question is under way the
next ones gather, and are asked together.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Batcher(Generic[K, V]):
    """Answers `get(key)` from `ask(keys)`, which is called for at most `most` keys at a time.

    What `ask` leaves out has the answer None. If it raises, so does every `get` that waits: whoever
    stands further behind would only wait longer for the same.
    """

    def __init__(self, ask: Callable[[list[K]], Awaitable[Mapping[K, V]]], most: int) -> None:
        self._ask, self._most = ask, most
        self._waiting: deque[tuple[K, asyncio.Future[V | None]]] = deque()
        self._asking: asyncio.Task[None] | None = None

    async def get(self, key: K) -> V | None:
        """Return the answer for `key`. Raises: what `ask` raised."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[V | None] = loop.create_future()
        self._waiting.append((key, future))
        if self._asking is None:
            self._asking = loop.create_task(self._work())
        return await future

    async def _work(self) -> None:
        try:
            while self._waiting:
                size = min(self._most, len(self._waiting))
                await self._answer([self._waiting.popleft() for _ in range(size)])
        finally:
            self._asking = None

    async def _answer(self, asked: list[tuple[K, asyncio.Future[V | None]]]) -> None:
        try:
            found = await self._ask(list(dict.fromkeys(key for key, _ in asked)))
        except Exception as error:  # It is raised at each of those that asked.
            refused, self._waiting = [*asked, *self._waiting], deque()
            for _, future in refused:
                if not future.done():
                    future.set_exception(error)
            return
        for key, future in asked:
            if not future.done():
                future.set_result(found.get(key))
