"""Places in catch-up's queue: only catch-up knows them, so it is asked for them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from libs.common.errors import DormiceError
from libs.common.events.host import Actor
from services.ui.site import Site
from services.ui.views import CatchUpView, HostView

MOST_ASKED = 50
"""Hosts whose place is looked up for one page; the others are shown as queued, without it."""

WAIT_SECONDS = 1.0


async def with_places(site: Site, hosts: Sequence[HostView], actor: Actor) -> tuple[HostView, ...]:
    """Return the hosts with the state of their catch-up as its owner has it, where it answers."""
    asked = [host.id for host in hosts if host.catch_up and host.catch_up.state != "settling"]
    if not asked:
        return tuple(hosts)
    found = await asyncio.gather(*(_arm(site, host_id, actor) for host_id in asked[:MOST_ASKED]))
    arms = {host_id: arm for host_id, arm in zip(asked, found, strict=False) if arm is not None}
    return tuple(
        replace(host, catch_up=arms[host.id]) if host.id in arms else host for host in hosts
    )


async def _arm(site: Site, host_id: str, actor: Actor) -> CatchUpView | None:
    try:
        async with asyncio.timeout(WAIT_SECONDS):
            done = await site.calls.ask("catchup", "get_arm", {"host_id": host_id}, actor)
    except (DormiceError, TimeoutError):
        return None
    if done.result is None:
        return None
    arm = done.result
    return CatchUpView(
        arm["state"],
        _moment(arm.get("due_at")),
        arm.get("place"),
        _moment(arm.get("starts_at")),
        arm.get("reason"),
    )


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
