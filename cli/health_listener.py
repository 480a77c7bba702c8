"""The small listener of a service that has no other: /healthz, /readyz and /metrics."""

from __future__ import annotations

from litestar import Litestar
from pydantic_settings import SettingsConfigDict

from libs.common.health import durability_notes, routes
from libs.common.listener import Listener
from libs.common.loop.service import Service
from libs.common.metrics import Metrics
from libs.common.settings import DormiceSettings


class HealthSettings(DormiceSettings):
    """Where it listens; empty: nowhere. So an empty variable counts here, unlike elsewhere."""

    model_config = SettingsConfigDict(env_ignore_empty=False)
    health_listen: str = "127.0.0.1:8482"


def make_listener(service: Service, settings: HealthSettings) -> Listener | None:
    """Return the listener, not yet started, or None if there shall be none."""
    if not settings.health_listen:
        return None
    handlers = routes(service, Metrics.of(service), lambda: durability_notes(service.bus))
    app = Litestar(route_handlers=handlers, openapi_config=None, logging_config=None)
    return Listener(app, settings.health_listen, setting="DORMICE_HEALTH_LISTEN")
