"""The live stream: server-sent events, asked for by POST as the browser says what its tabs show."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta

from litestar import post
from litestar.handlers import HTTPRouteHandler
from litestar.response import Stream

from services.ui.guards import COOKIE, page, same_origin
from services.ui.live import Live, Watcher
from services.ui.pages.rendering import PageRequest
from services.ui.pages.wants import keys_of
from services.ui.site import site_of

PING_SECONDS = 10
LOOK_AT_SESSION = timedelta(seconds=10)
"""How often a stream looks whether its reader is still logged in, however much there is to tell."""
PING = ": still here\n\n"
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no", "Content-Encoding": "identity"}


def live_stream(live: Live) -> HTTPRouteHandler:
    """Return the route of the stream; it ends with the process, and with the session."""

    @post("/live", guards=[page(), same_origin], status_code=200)
    async def stream(request: PageRequest) -> Stream:
        keys = keys_of(await request.body())
        return Stream(
            _frames(request, live, live.watcher(keys)), media_type="text/event-stream",
            headers=HEADERS,
        )  # fmt: skip

    return stream


async def _frames(request: PageRequest, live: Live, watcher: Watcher) -> AsyncIterator[str]:
    """First all that is shown, as it is now; from then on what changes."""
    site, cookie = site_of(request), request.cookies.get(COOKIE, "")
    looked_at = site.now
    try:
        await live.join(watcher)
        while not live.closed:
            if site.now - looked_at >= LOOK_AT_SESSION:
                looked_at = site.now
                if await site.auth.find_actor_of_session(cookie) is None:
                    return
            if watcher.changed:
                yield frame(watcher)
                continue
            try:
                await asyncio.wait_for(watcher.wait(), PING_SECONDS)
            except TimeoutError:
                yield PING
    finally:
        live.leave(watcher)


def frame(watcher: Watcher) -> str:
    """Return what has gathered for a watcher as one event; one line, whatever is in it.

    The pieces come apart: a browser that parses cells behind other elements drops them.
    """
    away = watcher.away.isoformat() if watcher.away else None
    return f"data: {json.dumps({'pieces': list(watcher.take().values()), 'away': away})}\n\n"
