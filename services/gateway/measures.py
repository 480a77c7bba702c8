"""What the gateway counts."""

from __future__ import annotations

from prometheus_client import Counter

from libs.common.metrics import Metrics
from services.gateway.connections import Hub


class Measures:
    """The gateway's own metrics."""

    def __init__(self, metrics: Metrics, hub: Hub) -> None:
        metrics.gauge_of(
            "gateway_connections", "Sockets that are open, welcomed or not.", lambda: len(hub.all)
        )
        metrics.gauge_of(
            "gateway_agents", "Agents that are connected and welcomed.", lambda: hub.live_count
        )
        self._welcomes = metrics.counter("gateway_welcomes", "Hellos that were welcomed.")
        self._frames = metrics.counter("gateway_frames", "Frames of agents.", ("type",))
        self._frame_kinds: dict[str, Counter] = {}  # Looking a label up costs more than counting.
        self._closes = metrics.counter("gateway_closes", "Connections closed by us.", ("code",))
        self._enrollments = metrics.counter("gateway_enrollments", "Enrollments.", ("status",))

    def count_welcome(self) -> None:
        self._welcomes.inc()

    def count_frame(self, kind: str) -> None:
        counter = self._frame_kinds.get(kind)
        if counter is None:
            counter = self._frame_kinds[kind] = self._frames.labels(kind)
        counter.inc()

    def count_close(self, code: int) -> None:
        if code != 1000:
            self._closes.labels(str(code)).inc()

    def count_enrollment(self, status: int) -> None:
        self._enrollments.labels(str(status)).inc()
