"""The lid: what happens before the machine sleeps and after it woke.

Closed, everything stands still: no line, no cron, a running job is paused. It is closed and opened
by the system (logind), or by SIGUSR1 and SIGUSR2 as if it were.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta

from agent.connection import Connection
from agent.jobs import JobRunner
from libs.common.logging import get_logger
from libs.common.protocol import GoodbyeReason

LAST_WORDS = timedelta(seconds=3)  # The system waits about five for us.

log = get_logger("agent")


class Lid:
    """`on_closed` and `on_opened` are told when it moves."""

    def __init__(
        self,
        connection: Connection,
        runner: JobRunner,
        *,
        on_closed: Callable[[], None],
        on_opened: Callable[[], None],
    ) -> None:
        self.is_closed = False
        self._connection = connection
        self._runner = runner
        self._on_closed = on_closed
        self._on_opened = on_opened
        self._goodbye: asyncio.Task[None] | None = None

    def close(self) -> None:
        """Say goodbye, and stand still."""
        if self.is_closed:
            return
        self.is_closed = True
        self._runner.pause()
        log.info("lid_closed")
        self._on_closed()
        self._connection.rest()
        self._goodbye = asyncio.create_task(
            self._connection.say_goodbye(GoodbyeReason.SLEEP), name="goodbye"
        )

    async def closed(self) -> None:
        """Close it, and return when the goodbye has been said."""
        self.close()
        if self._goodbye is not None:
            await asyncio.wait({self._goodbye}, timeout=LAST_WORDS.total_seconds())

    def open(self) -> None:
        """Go on, and dial at once."""
        if not self.is_closed:
            return
        self.is_closed = False
        log.info("lid_opened")
        self._on_opened()
        self._runner.resume()
        self._connection.wake()
