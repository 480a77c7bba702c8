"""What stands in for two parts of uvicorn's connection, at a tenth of their memory.

asyncio's own keep a deque each for whoever may wait, three in a queue: of what an idle connection
holds they were a fifth.
"""

from __future__ import annotations

import asyncio
from typing import Any


class Mailbox:
    """A queue without a limit. One coroutine reads it."""

    __slots__ = ("_messages", "_reader")

    def __init__(self) -> None:
        self._messages: list[Any] = []
        self._reader: asyncio.Future[None] | None = None

    def put_nowait(self, message: Any) -> None:
        self._messages.append(message)
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    async def get(self) -> Any:
        while not self._messages:
            self._reader = asyncio.get_running_loop().create_future()
            try:
                await self._reader
            finally:
                self._reader = None
        return self._messages.pop(0)

    def qsize(self) -> int:
        return len(self._messages)

    def empty(self) -> bool:
        return not self._messages


class Gate:
    """An event, open at first. Any number may wait."""

    __slots__ = ("_opened",)

    def __init__(self) -> None:
        self._opened: asyncio.Future[None] | None = None

    def is_set(self) -> bool:
        return self._opened is None

    def set(self) -> None:
        if self._opened is not None:
            self._opened.set_result(None)
            self._opened = None

    def clear(self) -> None:
        if self._opened is None:
            self._opened = asyncio.get_running_loop().create_future()

    async def wait(self) -> bool:
        while self._opened is not None:
            await asyncio.shield(self._opened)  # Who gives up waiting opens it for nobody.
        return True
