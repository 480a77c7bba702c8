"""The fleet: verdict first, counts that are links, one row per host, and work on many at once."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from litestar import Controller, Response, get, post
from litestar.response import Redirect

from libs.common.errors import BadInput
from services.ui import arms, queries
from services.ui.guards import page, same_origin
from services.ui.pages import bulk, forms, paging
from services.ui.pages.failures import describe
from services.ui.pages.rendering import PageRequest, show, to
from services.ui.pages.rows import Row, make_row, strips_of
from services.ui.queries import HostQuery, Slice
from services.ui.site import Site, site_of
from services.ui.views import FleetCounts, HostView, Page, Strip, Verdict

STATE_CHIPS = ("online", "asleep", "offline", "never_seen")


@dataclass(frozen=True, slots=True)
class Asked:
    """What the address of a fleet page asks for. `at`: number of its first row."""

    query: HostQuery
    text: str
    part: Slice
    at: int

    def order_of(self, field: str) -> str | None:
        """Return how the list is sorted by `field`, as `aria-sort` says it."""
        sort = self.part.sort or "name"
        return {field: "ascending", f"-{field}": "descending"}.get(sort)

    def base(self) -> str:
        """Return the address of another page of the same list, up to its cursor."""
        kept = {"q": self.text, "sort": self.part.sort}
        return "/?" + "".join(f"{urlencode({k: v})}&" for k, v in kept.items() if v)

    def base_sorted(self, field: str) -> str:
        """Return the address of this list sorted by `field`; once more turns it round."""
        sort = f"-{field}" if (self.part.sort or "name") == field else field
        return "/?" + urlencode({"q": self.text, "sort": sort} if self.text else {"sort": sort})


@dataclass(frozen=True, slots=True)
class Shown:
    """All that is read for a fleet page, in one hop. `online`: of the `total` that match."""

    counts: FleetCounts
    verdict: Verdict
    total: int
    online: int
    page: Page[HostView]
    strips: dict[str, Strip]


class FleetPages(Controller):
    path = "/"
    guards = (page(),)

    @get("/")
    async def fleet(self, request: PageRequest) -> Response[str]:
        site, problem, status = site_of(request), "", 200
        try:
            asked = asked_of(request)
            shown = await _shown(site, asked)
        except BadInput as error:
            status, problem = describe(error)
            asked = replace(_everything(), text=request.query_params.get("q", "")[:1000])
            shown = replace(await _shown(site, _everything()), page=Page(()), total=0, online=0)
        list_id = paging.new_list_id()
        return await show(
            request, "fleet.html", status=status, problem=problem, asked=asked, shown=shown,
            rows=await _rows(site, request, shown), chips=chips(asked.query, shown.counts),
            list_id=list_id, live={} if problem else _list_want(list_id, asked, shown),
        )  # fmt: skip

    @post("/hosts/bulk", guards=[page("operator"), same_origin], status_code=303)
    async def work_on_many(self, request: PageRequest) -> Redirect:
        fields = await forms.read_many(request)
        wanted = bulk.wanted(fields)
        site = site_of(request)
        host_ids = wanted.host_ids
        if wanted.all_of is not None:
            query, now = wanted.all_of, site.now
            host_ids = await site.read(lambda db: queries.list_host_ids(db, query, now=now))
        back, actor = _back(fields), request.user
        if wanted.do == "backup":
            done = await bulk.back_up(site, host_ids, actor)
            return to(back, done.said, n=done.now, m=done.later, k=done.failed)
        if wanted.do in ("tag", "untag"):
            present, said = wanted.do == "tag", "tags"
            saved = await bulk.set_tags(site, host_ids, actor, wanted.tags, present=present)
        else:
            always_on, said = wanted.do == "always_on", "mode"
            saved = await bulk.set_mode(site, host_ids, actor, always_on=always_on)
        return to(back, f"{said}-some" if saved.failed else said, n=saved.now, k=saved.failed)


def _list_want(list_id: str, asked: Asked, shown: Shown) -> dict[str, object]:
    return {"list": {"id": list_id, "of": "hosts", "q": asked.text, "total": shown.total}}


def _back(fields: forms.Fields) -> str:
    query = fields.get("q", [""])[-1]
    return f"/?{urlencode({'q': query})}" if query else "/"


def asked_of(request: PageRequest) -> Asked:
    """Return what an address asks for. Raises: BadInput."""
    given = request.query_params
    query = queries.parse_query(given.get("q", ""))
    first = given.get("at", "1")
    at = int(first) if first.isascii() and first.isdigit() and len(first) < 9 else 1
    cursor = given.get("cursor") or None
    part = Slice(given.get("sort", ""), cursor)
    return Asked(query, str(query), part, max(at, 1) if cursor else 1)


def _everything() -> Asked:
    return Asked(HostQuery(), "", Slice(), 1)


async def _shown(site: Site, asked: Asked) -> Shown:
    now, fleet = site.now, site.fleet

    def read(db: sqlite3.Connection) -> Shown:
        found = queries.list_hosts(db, asked.query, now=now, fleet=fleet, part=asked.part)
        return Shown(
            queries.fleet_counts(db, now=now), queries.fleet_verdict(db, now=now),
            queries.count_hosts(db, asked.query, now=now),
            queries.count_hosts(db, asked.query.with_term("state", "online"), now=now),
            found, strips_of(db, found.items, now),
        )  # fmt: skip

    return await site.read(read)


async def _rows(site: Site, request: PageRequest, shown: Shown) -> list[Row]:
    hosts = await arms.with_places(site, shown.page.items, request.user)
    return [make_row(host, shown.strips[host.id], site.now) for host in hosts]


# --- Counts that are links ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Chip:
    """A count, and the address of the fleet that it counts; once more takes it away again."""

    key: str
    count: int
    text: str
    shape: str
    href: str
    active: bool


def chips(query: HostQuery, counts: FleetCounts) -> list[Chip]:
    """Return the counts: presence first (it sums to the total), then what is laid over it."""
    made = [
        _chip(query, "state", state, getattr(counts, state), state.replace("_", " "))
        for state in STATE_CHIPS
    ]
    overlays = (
        ("backing-up", counts.backing_up, "backing up"),
        ("catching-up", counts.catching_up, "catching up"),
        ("attention", counts.attention, "attention"),
        ("overdue", counts.overdue, "overdue"),
    )
    return made + [_chip(query, "is", word, count, text) for word, count, text in overlays]


_SHAPES = {"backing-up": "pie", "catching-up": "clock", "attention": "triangle", "overdue": "clock"}


def _chip(query: HostQuery, key: str, value: str, count: int, text: str) -> Chip:
    active = any(term.key == key and term.values == (value,) for term in query.terms)
    other = query.without(key)
    wanted = other if active else other.with_term(key, value)
    shape = _SHAPES.get(value) or value.replace("_", "-")
    return Chip(value, count, text, shape, f"/?{urlencode({'q': str(wanted)})}", active)
