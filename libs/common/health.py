"""`/healthz`, `/readyz` and `/metrics`, the same on every service's listener."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler

from libs.common.bus.base import Bus
from libs.common.metrics import CONTENT_TYPE, Metrics


class HasReadiness(Protocol):
    """What can say why it is not ready: a `Service`, or several of them as one."""

    @property
    def reasons_not_ready(self) -> list[str]: ...


def durability_notes(bus: Bus) -> list[str]:
    """Return what `/readyz` says of a bus that may lose acknowledged events in a power cut."""
    if bus.durable:
        return []
    return ["durability unknown" if bus.durable is None else "the bus is not durable"]


def routes(
    service: HasReadiness,
    metrics: Metrics,
    notes: Callable[[], Sequence[str]] = tuple,
) -> list[HTTPRouteHandler]:
    """Return the three handlers, for `Litestar(route_handlers=[...])`.

    `/healthz` is 200 while the process answers. `/readyz` is 200 {"status": "ready"}, or 503 with
    the `reasons`; `notes` (such as "durability unknown") are shown and do not make it fail.
    """

    @get("/healthz", sync_to_thread=False, include_in_schema=False)
    def healthz() -> dict[str, str]:
        return {"status": "alive"}

    @get("/readyz", sync_to_thread=False, include_in_schema=False)
    def readyz() -> Response[dict[str, Any]]:
        reasons = service.reasons_not_ready
        body = {"status": "not ready" if reasons else "ready", "reasons": reasons}
        if told := list(notes()):
            body["notes"] = told
        return Response(body, status_code=503 if reasons else 200)

    @get("/metrics", sync_to_thread=False, include_in_schema=False)
    def metrics_text() -> Response[bytes]:
        return Response(metrics.render(), media_type=CONTENT_TYPE)

    return [healthz, readyz, metrics_text]
