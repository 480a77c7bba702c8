"""Waiting for the answers to what was sent."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import timedelta

from libs.common.bus.base import BusAway
from libs.common.bus.nats_client import Message


class Replies:
    """Collects `count` replies to what was sent on `subjects`, or the reason why none come."""

    def __init__(self, count: int, subjects: Iterable[str]) -> None:
        self.messages: list[Message] = []
        self.subjects = subjects
        self._count = count
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def take(self, message: Message) -> None:
        self.messages.append(message)
        if len(self.messages) == self._count and not self._done.done():
            self._done.set_result(None)

    def fail(self, error: Exception) -> None:
        if not self._done.done():
            self._done.set_exception(error)

    async def wait(self, timeout: timedelta) -> list[Message]:
        """Raises BusAway (also when time is up) and PublishRefused."""
        try:
            async with asyncio.timeout(timeout.total_seconds()):
                await self._done
        except TimeoutError:
            raise BusAway("The bus did not answer in time.") from None
        return self.messages
