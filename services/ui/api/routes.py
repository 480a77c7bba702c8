"""The API's handlers behind one door: a bearer token, and problems for errors."""

from __future__ import annotations

import json

from litestar import Response, Router, get
from litestar.handlers import HTTPRouteHandler

from services.ui.api import (
    alerts,
    channels,
    fleet,
    host_history,
    host_jobs,
    host_parts,
    hosts,
    jobs,
    people,
    silences,
    thresholds,
)
from services.ui.api.answering import JSON
from services.ui.api.openapi import PREFIX, document
from services.ui.api.problems import answer_problem
from services.ui.api.reading import MAX_BODY
from services.ui.guards import bearer

HANDLERS: list[HTTPRouteHandler] = [
    *hosts.HANDLERS, *host_history.HANDLERS, *host_parts.HANDLERS, *host_jobs.HANDLERS,
    *alerts.HANDLERS, *jobs.HANDLERS, *fleet.HANDLERS, *channels.HANDLERS, *silences.HANDLERS,
    *thresholds.HANDLERS, *people.HANDLERS,
]  # fmt: skip

DOCUMENT = json.dumps(document(HANDLERS)).encode()


@get(f"{PREFIX}/openapi.json", sync_to_thread=False)
def openapi_json() -> Response[bytes]:
    """Anybody may know what the API looks like."""
    return Response(DOCUMENT, media_type=JSON)


def api_routes() -> list[Router | HTTPRouteHandler]:
    """Return what `/api/v1` consists of."""
    router = Router(
        PREFIX, route_handlers=HANDLERS, guards=[bearer], request_max_body_size=MAX_BODY,
        exception_handlers={Exception: answer_problem},
    )  # fmt: skip
    return [router, openapi_json]
