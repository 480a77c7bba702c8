"""Joins API, pages and health into one web application."""

from __future__ import annotations

from functools import partial
from typing import Any

from litestar import Litestar, Request, Response
from litestar.datastructures import State

from libs.common import health
from libs.common.metrics import Metrics
from services.ui.api.problems import answer_problem
from services.ui.api.reading import MAX_BODY
from services.ui.api.routes import api_routes
from services.ui.pages.failures import answer_failure
from services.ui.pages.routes import page_routes
from services.ui.site import Site


class _Readiness:
    """Of the whole system under `dormice up`, else of this service."""

    def __init__(self, site: Site) -> None:
        self._site = site

    @property
    def reasons_not_ready(self) -> list[str]:
        return self._site.reasons_not_ready()


def _answer_error(request: Request[Any, Any, Any], error: Exception) -> Any:
    """An address that does not exist: the API answers as the API, everything else as a page."""
    is_api = request.url.path.startswith("/api/")
    found: Response[Any] = (answer_problem if is_api else answer_failure)(request, error)
    return found


def web_application(site: Site, metrics: Metrics) -> Litestar:
    """Return the application; handlers find `site` by `site_of(request)`."""
    notes = partial(health.durability_notes, site.service.bus)
    return Litestar(
        [
            *api_routes(),
            *page_routes(site),
            *health.routes(_Readiness(site), metrics, notes),
        ],
        state=State({"site": site}, deep_copy=False),
        exception_handlers={Exception: _answer_error},
        request_max_body_size=MAX_BODY,
        openapi_config=None,
        logging_config=None,
    )
