"""Work on many hosts at once: each is asked of its owner, some at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from libs.common.errors import DormiceError
from libs.common.events.host import Actor
from services.ui import queries
from services.ui.guards import BadForm
from services.ui.pages.forms import Fields, words_of
from services.ui.queries import HostQuery
from services.ui.site import Site, is_id

AT_ONCE = 20


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a bulk form asks for. `all_of`: all that match instead of `host_ids`."""

    do: str
    host_ids: list[str]
    all_of: HostQuery | None
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Done:
    """How it went: asked for `now`, for `later` (when they wake), or not at all."""

    now: int = 0
    later: int = 0
    failed: int = 0

    @property
    def said(self) -> str:
        if not self.now and not self.later:
            return "backup-none"
        return "backup-some" if self.failed else "backup"


WORK = ("backup", "always_on", "intermittent", "tag", "untag")


def wanted(fields: Fields) -> Wanted:
    """Read a bulk form. Raises: BadForm, BadInput."""
    do = fields.get("do", [""])[-1]
    if do not in WORK:
        raise BadForm(f"choose what to do: {', '.join(WORK)}")
    tags = tuple(words_of(fields.get("tags", [""])[-1]))
    if do in ("tag", "untag") and not tags:
        raise BadForm("say which tags")
    every = fields.get("all", [""])[-1] == "1"
    query = queries.parse_query(fields.get("q", [""])[-1]) if every else None
    hosts = list(dict.fromkeys(one for one in fields.get("host", []) if is_id(one)))
    return Wanted(do, hosts, query, tags)


async def back_up(site: Site, host_ids: Sequence[str], actor: Actor) -> Done:
    """Ask for a backup of every source group of the hosts; one away is backed up when it wakes."""

    async def one(host_id: str) -> Done:
        return await back_up_host(site, host_id, actor)

    return await _each(host_ids, one)


async def back_up_host(
    site: Site, host_id: str, actor: Actor, source_group_id: str | None = None
) -> Done:
    """Back up one group of a host, or all. Raises: DormiceError of the first that is refused."""
    host = await site.get_host(host_id, actor)
    if source_group_id is None:
        groups = await site.read(lambda db: queries.list_source_groups(db, host_id))
        ids = [group.id for group in groups]
    else:
        ids = [source_group_id]
    if not ids or not host.has_repository:
        return Done(failed=1)
    for group in ids:
        asked = {"host_id": host_id, "source_group_id": group, "when_it_wakes": True}
        await site.calls.ask("jobs", "backup", asked, actor)
    return Done(now=1) if host.status == "online" else Done(later=1)


async def set_mode(site: Site, host_ids: Sequence[str], actor: Actor, *, always_on: bool) -> Done:
    """Set the mode of hosts."""

    async def one(host_id: str) -> Done:
        asked = {"host_id": host_id, "always_on": always_on}
        await site.calls.ask("registry", "set_mode", asked, actor)
        return Done(now=1)

    return await _each(host_ids, one)


async def set_tags(
    site: Site, host_ids: Sequence[str], actor: Actor, tags: Sequence[str], *, present: bool
) -> Done:
    """Give tags to hosts that lack them, or take them away; the others of each host stay."""

    async def one(host_id: str) -> Done:
        host = await site.get_host(host_id, actor)
        wanted = {*host.tags} | {*tags} if present else {*host.tags} - {*tags}
        asked = {"host_id": host_id, "tags": sorted(wanted)}
        await site.calls.ask("registry", "patch_host", asked, actor)
        return Done(now=1)

    return await _each(host_ids, one)


async def _each(host_ids: Sequence[str], work: Callable[[str], Awaitable[Done]]) -> Done:
    places = asyncio.Semaphore(AT_ONCE)

    async def guarded(host_id: str) -> Done:
        async with places:
            try:
                return await work(host_id)
            except DormiceError:
                return Done(failed=1)

    found = await asyncio.gather(*map(guarded, host_ids))
    return Done(
        sum(one.now for one in found), sum(one.later for one in found),
        sum(one.failed for one in found),
    )  # fmt: skip
