"""The ui's state file, which may be asked before it is open: the listener is there first."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import TypeVar

from libs.common.errors import Unavailable
from libs.common.store.database import LOCK_WAIT_SECONDS, Database

T = TypeVar("T")


class StateFile(Database):
    """A database that answers Unavailable while it is not open."""

    is_open = False

    async def open(self, lock_wait_seconds: float = LOCK_WAIT_SECONDS) -> None:
        """Raises: StoreLocked, StoreBroken."""
        await super().open(lock_wait_seconds)
        self.is_open = True

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Raises: Unavailable before `open` and after `close`."""
        if not self.is_open:
            raise Unavailable("the ui is starting or stopping; try again")
        return await super().run(work)

    async def close(self) -> None:
        self.is_open = False
        await super().close()
