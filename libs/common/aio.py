"""Small helpers around asyncio tasks."""

from __future__ import annotations

import asyncio
from typing import Any


async def cancel(task: asyncio.Future[Any]) -> None:
    """Cancel a task and wait until it has ended; its outcome no longer matters."""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def wait_briefly(event: asyncio.Event, seconds: float) -> None:
    """Wait until `event` is set, or until time is up; clear it."""
    timer = asyncio.get_running_loop().call_later(max(0.0, seconds), event.set)
    await event.wait()
    timer.cancel()
    event.clear()
