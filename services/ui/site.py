"""What every handler, of API and pages, works with: one object in the application's state."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from litestar.connection import ASGIConnection

from libs.common.errors import HostNotFound
from libs.common.events.host import Actor, HostRecord
from libs.common.loop.service import Service
from services.ui import queries
from services.ui.auth import Auth
from services.ui.calls import Calls
from services.ui.settings import UiSettings
from services.ui.views import FleetDefaults, HostView

T = TypeVar("T")


@dataclass(slots=True)
class Site:
    """The ui's parts. `closing` is set when the process ends: every stream must end then.

    `reasons_not_ready` is of the whole system under `dormice up`, else of this service.
    """

    settings: UiSettings
    service: Service
    calls: Calls
    auth: Auth
    reasons_not_ready: Callable[[], list[str]]
    closing: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def now(self) -> datetime:
        return self.service.clock.now()

    @property
    def fleet(self) -> FleetDefaults:
        return self.settings.fleet

    async def fleet_in_force(self) -> FleetDefaults:
        """Return the fleet's thresholds with those of its tags and modes."""
        return await self.read(lambda db: queries.defaults_in_force(db, self.fleet))

    async def read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        """Run queries on the read model: one hop, however many the callable makes."""
        return await self.service.read(query)

    async def get_host(self, host_id: str, actor: Actor) -> HostView:
        """Return a host; one not known here is asked of the registry. Raises: HostNotFound."""
        now, fleet = self.now, self.fleet
        found = await self.read(lambda db: queries.find_host(db, host_id, now=now, fleet=fleet))
        if found is not None:
            return found
        record = await self._ask_record(host_id, actor)
        return queries.view_of_record(record, now=now, fleet=await self.fleet_in_force())

    async def get_record(self, host_id: str, actor: Actor) -> HostRecord:
        """Return a host's record as `get_host` does. Raises: HostNotFound."""
        found = await self.read(lambda db: queries.find_record(db, host_id))
        return found or await self._ask_record(host_id, actor)

    async def _ask_record(self, host_id: str, actor: Actor) -> HostRecord:
        if not is_id(host_id) or await self.read(lambda db: queries.is_removed(db, host_id)):
            raise HostNotFound
        return await self.calls.find_record(host_id, actor)


def site_of(connection: ASGIConnection[Any, Any, Any, Any]) -> Site:
    """Return the site of a request."""
    site: Site = connection.app.state.site
    return site


MAX_ID = 128


def is_id(text: str) -> bool:
    """Say whether a text can be an id at all; anything else is asked of nobody."""
    return 0 < len(text) <= MAX_ID and text.isascii() and text.replace("-", "").isalnum()
