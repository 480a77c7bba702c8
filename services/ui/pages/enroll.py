"""Add a host: mode, name, tags → one line to copy → the steps as they happen.

The token is shown once, on the page that answers the form, and stands in no address.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Any

from litestar import Controller, Response, get, post

from libs.common.addresses import parse_listen
from libs.common.errors import DormiceError
from services.ui import queries
from services.ui.guards import is_https, page, read_form, same_origin
from services.ui.pages import forms
from services.ui.pages.failures import describe
from services.ui.pages.rendering import PageRequest, show
from services.ui.queries import AuditFilter, Slice
from services.ui.site import Site, site_of
from services.ui.views import FleetDefaults, HostView

EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104  compared, not listened on
LOOPBACK = ("127.0.0.1", "localhost", "::1")
LOOKED_BACK = 200
UNIX, WINDOWS = "Linux or macOS", "Windows (PowerShell)"
SYSTEMS = {
    UNIX: "DORMICE_ENROLL_TOKEN={token}",
    WINDOWS: '$env:DORMICE_ENROLL_TOKEN="{token}";',
}
"""How a token gets into the environment of the command after it."""


@dataclass(frozen=True, slots=True)
class Line:
    """The line to copy, whether its address only works on this machine, and the address's port."""

    text: str
    only_here: bool
    port: int


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a new host: done, or waited for."""

    text: str
    done: bool


class EnrollPages(Controller):
    path = "/hosts/new"
    guards = (page("operator"),)

    @get("/")
    async def show_form(self, request: PageRequest) -> Response[str]:
        return await show(
            request, "enroll.html", line=None, typed={"always_on": "on"}, steps=[], systems=SYSTEMS,
        )  # fmt: skip

    @post("/", guards=[same_origin], status_code=200)
    async def make_line(self, request: PageRequest) -> Response[str]:
        form = await read_form(request)
        site, asked = site_of(request), _asked(form)
        try:
            answer = await site.calls.ask(
                "registry", "create_enrollment_token", asked, request.user
            )
        except DormiceError as error:
            status, text = describe(error)
            return await show(
                request, "enroll.html", status=status, problem=text, line=None, typed=form,
                steps=[], systems=SYSTEMS,
            )  # fmt: skip
        token_id = await _id_of(site, request, answer.result["expires_at"])
        return await show(
            request, "enroll.html", line=_line_of(request, answer.result["token"], form),
            typed=form, steps=steps_of(None), token_id=token_id,
            live={"enroll": token_id} if token_id else None,
        )  # fmt: skip


def _line_of(request: PageRequest, token: str, form: dict[str, str]) -> Line:
    system = form.get("system", UNIX)
    return line_for(request, token, system if system in SYSTEMS else UNIX)


def _asked(form: dict[str, str]) -> dict[str, Any]:
    return {
        "name": form.get("name", "").strip() or None,
        "always_on": "always_on" in form,
        "tags": forms.words_of(form.get("tags", "")),
    }


def line_for(request: PageRequest, token: str, system: str = UNIX) -> Line:
    """Return what to run on the host: the token travels in the environment, not as an argument."""
    host, port = parse_listen(site_of(request).settings.gateway_listen)
    if host in EVERYWHERE:
        host = request.url.hostname or host
    shown = f"[{host}]" if ":" in host else host
    scheme = "https" if is_https(request) and host not in LOOPBACK else "http"
    address = f"{scheme}://{shown}:{port}"
    command = f"dormice agent enroll {address}"
    text = f"{SYSTEMS[system].format(token=token)} {command}"
    return Line(text, host in LOOPBACK, port)


async def _id_of(site: Site, request: PageRequest, expires_at: str) -> str | None:
    """The token's id is in its audit entry; by it the steps are followed."""
    wanted = AuditFilter(action="enrollment_token.created", actor_id=request.user.id)
    found = await site.read(lambda db: queries.list_audit(db, wanted, part=Slice(limit=20)))
    for entry in found.items:
        if entry.after and entry.after.get("expires_at") == expires_at:
            return entry.target
    return None


def host_of_token(
    db: sqlite3.Connection, token_id: str, site: Site, fleet: FleetDefaults
) -> HostView | None:
    """Return the host that joined with an enrollment token, if one did."""
    wanted, now = AuditFilter(action="host.enrolled"), site.now
    for entry in queries.list_audit(db, wanted, part=Slice(limit=LOOKED_BACK)).items:
        if entry.after and entry.after.get("enrollment_token_id") == token_id and entry.host_id:
            return queries.find_host(db, entry.host_id, now=now, fleet=fleet)
    return None


def steps_of(host: HostView | None) -> list[Step]:
    """Return the steps from the token to the first backup."""
    return [
        Step("token used" if host else "waiting for the agent…", host is not None),
        Step("connected", host is not None and host.last_seen_at is not None),
        Step("config applied", host is not None and host.config_version > 0),
        Step("folders chosen", host is not None and host.has_schedule),
        Step("first backup", host is not None and host.last_backup_at is not None),
    ]
