"""Keeps pages live: gathers what changed, renders each piece once, hands it to who shows it.

    commit → signal → dirty keys ─ 100 ms ─▶ read once, render once ─▶ each watcher's pending pieces

A watcher is one browser's stream. A slow one never holds up another: pieces that wait for it are
replaced by newer ones. A piece that looks as it did is not sent again.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import structlog

from services.ui.pages.fragments import Elements, fragments_of
from services.ui.pages.wants import Key
from services.ui.site import Site

log = structlog.get_logger()

GATHER_SECONDS = 0.1
LOOK_AGAIN_SECONDS = 15.0
"""How often what changes only by time (a countdown that ends, overdue) is looked at."""

_TIME_TEXT = re.compile(r">[^<]*</time>")
_OF_HOST, _OF_JOB = ("row", "host", "plan"), ("jobrow", "job")
_GENERAL = ("fleet", "list", "enroll")


class Watcher:
    """One stream: the keys that it shows, and the pieces that wait to be sent to it."""

    def __init__(self, keys: Iterable[Key]) -> None:
        self.keys = frozenset(keys)
        self.away: datetime | None = None
        self._pending: Elements = {}
        self._seen: dict[str, str] = {}
        self._wake = asyncio.Event()

    @property
    def changed(self) -> bool:
        return self._wake.is_set()

    async def wait(self) -> None:
        await self._wake.wait()

    def wake(self) -> None:
        self._wake.set()

    def offer(self, elements: Elements) -> None:
        """Take pieces; only what looks different from before will be sent."""
        for name, html in elements.items():
            look = _TIME_TEXT.sub("></time>", html)  # The browser itself keeps these texts fresh.
            if self._seen.get(name) != look:
                self._seen[name] = look
                self._pending[name] = html
                self._wake.set()

    def take(self) -> Elements:
        pending, self._pending = self._pending, {}
        self._wake.clear()
        return pending


class Live:
    """The hub. Does nothing while nobody watches."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._watchers: set[Watcher] = set()
        self._dirty: set[Key] = set()
        self._gathering: asyncio.TimerHandle | None = None
        self._looking: asyncio.TimerHandle | None = None
        self._ending: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._away: datetime | None = None
        service = site.service
        service.on_signal("host", self._on_host)
        service.on_signal("alert", lambda one: self._touch([("alert", one)]))
        service.on_signal("job", lambda one: self._touch([(kind, one) for kind in _OF_JOB]))
        service.on_signal("job_live", self._on_job_live)
        service.on_signal("audit", lambda _: self._touch([]))
        service.on_signal("gateway", lambda _: self._touch([]))
        service.on_signal("connected", lambda _: self._on_bus(None))
        service.on_signal("disconnected", lambda _: self._on_bus(site.now))

    @property
    def closed(self) -> bool:
        return self._site.closing.is_set()

    def watcher(self, keys: Iterable[Key]) -> Watcher:
        return Watcher(keys)

    async def join(self, watcher: Watcher) -> None:
        """Begin to tell a watcher; all that it shows waits for it first."""
        if not self._watchers:
            self._start_looking()
        self._watchers.add(watcher)
        watcher.away = self._away
        for elements in (await fragments_of(self._site, watcher.keys)).values():
            watcher.offer(elements)
        watcher.wake()

    def leave(self, watcher: Watcher) -> None:
        self._watchers.discard(watcher)

    # --- What changed

    def _on_host(self, host_id: str) -> None:
        self._touch([(kind, host_id) for kind in _OF_HOST])

    def _on_job_live(self, message: dict[str, Any]) -> None:
        host_id, job_id = message.get("host_id"), message.get("job_id")
        self._touch([*((k, host_id) for k in _OF_HOST), *((k, job_id) for k in _OF_JOB)])

    def _on_bus(self, away: datetime | None) -> None:
        self._away = away
        for watcher in self._watchers:
            watcher.away = away
            watcher.wake()
        if away is None:
            self._touch_all()

    def _touch(self, keys: Iterable[Key]) -> None:
        if not self._watchers:
            return
        self._dirty.update(keys)
        if self._gathering is None:
            loop = asyncio.get_running_loop()
            self._gathering = loop.call_later(GATHER_SECONDS, self._gathered)

    def _touch_all(self) -> None:
        self._touch(key for watcher in self._watchers for key in watcher.keys)

    # --- Telling it

    def _gathered(self) -> None:
        self._gathering = None
        shown = {key for watcher in self._watchers for key in watcher.keys}
        general = {key for key in shown if key[0] in _GENERAL}
        keys, self._dirty = (self._dirty & shown) | general, set()
        if keys:
            self._spawn(self._tell(keys))

    def _spawn(self, work: Any) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _tell(self, keys: set[Key]) -> None:
        try:
            found = await fragments_of(self._site, keys)
        except Exception:
            log.exception("live_fragments_failed")
            return
        for watcher in self._watchers:
            for key in watcher.keys & found.keys():
                watcher.offer(found[key])

    def _start_looking(self) -> None:
        """Look again every while, and end all streams when the process ends."""
        if self._looking is None:
            loop = asyncio.get_running_loop()
            self._looking = loop.call_later(LOOK_AGAIN_SECONDS, self._look_again)
        if self._ending is None:
            self._ending = self._spawn(self._end_streams())

    def _look_again(self) -> None:
        self._looking = None
        if self._watchers and not self.closed:
            self._touch_all()
            self._start_looking()

    async def _end_streams(self) -> None:
        await self._site.closing.wait()
        for watcher in self._watchers:
            watcher.wake()
