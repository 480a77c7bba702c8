"""A real Alertmanager beside ours: given alerts at its API as Prometheus gives them."""

from __future__ import annotations

import json
from typing import Any

import httpx

from libs.common.clock import SystemClock
from libs.common.events.alert import Alert
from services.notify.kinds.alertmanager import alert_of
from services.notify.message import alert_view
from tests.integration.notify.alertmanager import Alertmanager
from tests.unit.notify.world import make_alert

AT_ONCE = 500


def make_alerts(count: int) -> list[Alert]:
    """Return alerts of as many hosts, raised now."""
    now = SystemClock().now()
    return [make_alert(f"a{n:05}", f"h{n:05}", raised_at=now, last_seen_at=now)
            for n in range(count)]  # fmt: skip


class Peer:
    """Counts what Alertmanager has taken: acknowledged, as it says itself."""

    def __init__(self, alerts: list[Alert]) -> None:
        now = SystemClock().now()
        self._bodies = [alert_of(alert_view(alert, "http://x"), {}, now) for alert in alerts]
        self.taken = 0

    async def post(self, to: Alertmanager) -> None:
        """Post all of them. Raises: httpx.HTTPError."""
        self.taken = 0
        async with httpx.AsyncClient(timeout=60) as client:
            for start in range(0, len(self._bodies), AT_ONCE):
                part = self._bodies[start : start + AT_ONCE]
                await self._post(client, to, part)
                self.taken += len(part)

    async def _post(
        self, client: httpx.AsyncClient, to: Alertmanager, part: list[dict[str, Any]]
    ) -> None:
        answer = await client.post(
            f"{to.url}/api/v2/alerts", content=json.dumps(part),
            headers={"Content-Type": "application/json"},
        )  # fmt: skip
        answer.raise_for_status()
