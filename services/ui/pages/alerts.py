"""Alerts: what needs someone, whom it was told with which result, and what can be done about it."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from litestar import Controller, Response, get, post
from litestar.response import Redirect

from libs.common.errors import DormiceError, NotFound, RemoteError
from services.ui import queries
from services.ui.errors import AlertNotFound
from services.ui.guards import page, read_form, same_origin
from services.ui.pages import paging
from services.ui.pages.rendering import PageRequest, PathId, show, to
from services.ui.queries import AlertFilter
from services.ui.site import Site, is_id, site_of
from services.ui.views import AlertCounts, AlertView, DeliveryView, HostView, Page

TABS = ("open", "acknowledged", "silenced", "history")


@dataclass(frozen=True, slots=True)
class Shown:
    """What is read for the alerts page, in one hop. `hosts`: those that the alerts are about."""

    page: Page[AlertView]
    counts: AlertCounts
    told: dict[str, list[DeliveryView]]
    hosts: dict[str, HostView]
    latest: dict[str, DeliveryView]


def filter_of(tab: str, host_id: str | None) -> AlertFilter:
    """Return what a tab lists."""
    if tab == "silenced":
        return AlertFilter(state="open", silenced=True, host_id=host_id)
    state = {"open": "unacknowledged", "acknowledged": "acknowledged"}.get(tab, "resolved")
    return AlertFilter(state=state, host_id=host_id)


class AlertPages(Controller):
    path = "/alerts"
    guards = (page(),)

    @get("/")
    async def alerts(self, request: PageRequest) -> Response[str]:
        site, tab = site_of(request), request.query_params.get("tab", "open")
        tab = tab if tab in TABS else "open"
        host_id = paging.chosen(request, "host_id")
        shown = await _read(site, request, filter_of(tab, host_id))
        list_id = paging.new_list_id()
        is_first = host_id is None and not request.query_params.get("cursor")
        return await show(
            request, "alerts.html", tab=tab, shown=shown, host_id=host_id,
            channels=await channels_said(site, request, shown) if not shown.page.items else "",
            base=paging.base_of(request, "tab", "host_id"), first=paging.first_of(request),
            live={"list": {"id": list_id, "of": "alerts", "q": tab}} if is_first else {},
            list_id=list_id,
        )  # fmt: skip

    @get("/{alert_id:str}")
    async def alert(self, request: PageRequest, alert_id: PathId) -> Response[str]:
        """One alert: where the link of a notification leads."""
        shown = await _read_one(site_of(request), alert_id)
        return await show(
            request, "alerts.html", tab="", shown=shown, host_id=None, channels="",
            base="", first=None, live={}, list_id="",
        )  # fmt: skip

    @post("/{alert_id:str}/acknowledge", guards=[page("operator"), same_origin], status_code=303)
    async def acknowledge(self, request: PageRequest, alert_id: PathId) -> Redirect:
        return await _change(request, alert_id, "acknowledge", "acknowledged")

    @post("/{alert_id:str}/resolve", guards=[page("operator"), same_origin], status_code=303)
    async def resolve(self, request: PageRequest, alert_id: PathId) -> Redirect:
        return await _change(request, alert_id, "resolve", "resolved")


async def _read(site: Site, request: PageRequest, wanted: AlertFilter) -> Shown:
    now, part = site.now, paging.part_of(request)
    return await site.read(
        lambda db: _shown(db, site, queries.list_alerts(db, wanted, now=now, part=part))
    )


async def _read_one(site: Site, alert_id: str) -> Shown:
    """Raises: AlertNotFound."""
    now = site.now

    def read(db: sqlite3.Connection) -> Shown:
        found = queries.find_alert(db, alert_id, now=now)
        if found is None:
            raise AlertNotFound
        return _shown(db, site, Page((found,), next=None, previous=None))

    return await site.read(read)


def _shown(db: sqlite3.Connection, site: Site, found: Page[AlertView]) -> Shown:
    ids = {alert.host_id for alert in found.items if alert.host_id}
    hosts = {one: queries.find_host(db, one, now=site.now, fleet=site.fleet) for one in ids}
    told = queries.deliveries_of(db, [alert.id for alert in found.items])
    known = {one: host for one, host in hosts.items() if host is not None}
    return Shown(found, queries.alert_counts(db), told, known, queries.latest_deliveries(db))


async def _change(request: PageRequest, alert_id: str, verb: str, said: str) -> Redirect:
    """Check that there is such an alert, read the form, ask alerting. Raises: DormiceError."""
    site = site_of(request)
    now = site.now
    known = await site.read(lambda db: queries.find_alert(db, alert_id, now=now))
    if known is None and not is_id(alert_id):
        raise AlertNotFound
    form = await read_form(request)
    asked = {"alert_id": alert_id}
    if verb == "acknowledge" and form.get("note", "").strip():
        asked["note"] = form["note"].strip()
    try:
        await site.calls.ask("alerting", verb, asked, request.user)
    except RemoteError as error:
        if error.code.endswith("not_found"):
            raise NotFound("No alert has this id.") from None
        raise
    return to("/alerts", said)


async def channels_said(site: Site, request: PageRequest, shown: Shown) -> str:
    """`Channels: 2 of 2 delivered their last test.`: whether anyone could be told at all."""
    try:
        answer = await site.calls.ask("notify", "list_channels", {}, request.user)
    except DormiceError:
        return "Channels: notify does not answer now."
    ids = [channel["id"] for channel in answer.result]
    if not ids:
        return "No channel yet: nobody would be told."
    good = sum(1 for one in ids if one in shown.latest and shown.latest[one].delivered)
    tests = all(shown.latest[one].event == "test" for one in ids if one in shown.latest)
    what = "test" if tests else "message"
    return f"Channels: {good} of {len(ids)} delivered their last {what}."
