"""Small helpers around asyncio tasks."""

from __future__ import annotations

import asyncio
from typing import Any


async def cancel(task: asyncio.Future[Any]) -> None:
    """Cancel a task and wait until it has ended; its outcome no longer matters."""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
