"""Turns templates into answers: autoescaped, with the headers that let a page load only its own.

Everything that came from outside (names of hosts, messages, logs) reaches a template as data and is
escaped there; nothing is marked safe but what a macro of ours made.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from litestar import Request, Response
from litestar.datastructures import Cookie
from litestar.params import FromPath
from litestar.response import Redirect

from libs.common.durations import render_duration
from libs.common.events.host import Actor
from libs.common.loop.machine import ROLES
from libs.common.thresholds import describe
from services.ui import queries, wording
from services.ui.pages import times, words
from services.ui.site import site_of

PageRequest = Request[Any, Any, Any]
PathId = FromPath[str]
HTML = "text/html"  # Litestar says that it is UTF-8.
SECURITY = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self'; worker-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
}


def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("services.ui"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    made.filters |= {
        "since": times.since, "until": times.until, "countdown": times.countdown,
        "whole": times.whole, "alert_name": words.alert_name, "size": words.size,
        "spoken": times.span_words, "short": render_duration, "pretty": _pretty,
        "percent": words.percent, "ago": _ago, "origin": describe,
    }  # fmt: skip
    made.globals |= {"words": words, "times": times}
    return made


def _pretty(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)


def _ago(moment: datetime, now: datetime) -> str:
    """`3 days ago`, in the middle of a sentence."""
    return f"{wording.ago(now - moment)} ago"


ENVIRONMENT = _environment()


def macros(template: str) -> Any:
    """Return a template of macros as an object; its macros are methods that return HTML."""
    return ENVIRONMENT.get_template(template).module


def render(template: str, **values: Any) -> str:
    return ENVIRONMENT.get_template(template).render(**values)


def respond(
    html: str, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response[str]:
    """Return HTML under the headers of every page."""
    return Response(
        html, status_code=status, media_type=HTML, headers={**SECURITY, **(headers or {})}
    )


async def show(
    request: PageRequest, template: str, *, status: int = 200, **values: Any
) -> Response[str]:
    """Return a page inside the layout, for who is logged in."""
    site = site_of(request)
    counts = await site.read(queries.alert_counts)
    frame = {
        "actor": request.user, "now": site.now, "may": Rights(request.user),
        "alerts_open": counts.open + counts.acknowledged, "path": request.url.path,
        "said": said_of(request), "problem": "", "live": None,
    }  # fmt: skip
    return respond(render(template, **{**frame, **values}), status)


class Rights:
    """What the reader of a page may do, for buttons: `may.operate`, `may.administer`."""

    def __init__(self, actor: Actor) -> None:
        rank = ROLES.index(actor.role)
        self.operate = rank >= ROLES.index("operator")
        self.administer = rank >= ROLES.index("admin")


# --- What was done, said on the page that follows -------------------------------------------------

SAID = {
    "backup": "Backup requested: {n} now, {m} when they wake.",
    "backup-none": "Nothing to back up: {k} without a source group or a repository.",
    "backup-some": "Backup requested: {n} now, {m} when they wake; {k} could not be asked.",
    "mode": "Presence mode saved for {n}.",
    "mode-some": "Presence mode saved for {n}; {k} could not be saved.",
    "tags": "Tags saved for {n}.",
    "tags-some": "Tags saved for {n}; {k} could not be saved.",
    "schedule": "Schedule saved.",
    "schedule-removed": "Schedule removed.",
    "group": "Source group saved.",
    "group-removed": "Source group removed.",
    "repository": "Repository saved. It is never shown again.",
    "details": "Saved.",
    "removed": "Host removed.",
    "acknowledged": "Alert acknowledged.",
    "resolved": "Alert resolved.",
    "silenced": "Silence saved.",
    "unsilenced": "Silence ended.",
    "thresholds": "Thresholds saved. They hold at once.",
    "cancelled": "Cancel requested.",
    "job": "Requested.",
    "channel": "Channel saved.",
    "channel-removed": "Channel removed.",
    "channel-tested": "Test sent; the outcome appears below.",
    "operator": "Operator saved.",
    "operator-role": "Role saved. It holds at once.",
    "operator-password": "Password saved. All sessions of that operator have ended.",
    "operator-removed": "Operator removed. All sessions of that operator have ended.",
    "token-removed": "API token removed. It no longer works.",
    "behind": "Saved. The page does not show it yet.",
}


def said_of(request: PageRequest) -> str:
    """Return the sentence that `?said=` names. Only numbers are taken from the address."""
    given = request.query_params
    text = SAID.get(given.get("said", ""), "")
    return text.format(**{key: _number(given.get(key, "")) for key in "nmk"})


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 8 else 0


def to(path: str, said: str = "", cookies: Sequence[Cookie] = (), **numbers: int) -> Redirect:
    """Send the browser to a page after a form; `said`: what it is told there."""
    asked = "".join(f"&{key}={value}" for key, value in numbers.items())
    glue = "&" if "?" in path else "?"
    return Redirect(
        f"{path}{glue}said={said}{asked}" if said else path, status_code=303, cookies=list(cookies)
    )
