"""R19 in a simulated world: what was decided can be explained afterwards.

Every open alert has the decision that raised it, and every ended job the one that ended it. Each is
asked for once, soon after: old decisions are forgotten.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from libs.common.clock import to_micros

if TYPE_CHECKING:
    from cli.simulator.world import World

_RECENT = timedelta(hours=12)
_OPEN = {
    "raised": "",
    "held": " AND json_extract(body, '$.held_by') IS NOT NULL",
    "silenced": " AND json_extract(body, '$.silenced')",
}
"""What was decided of which open alerts."""


class Explanations:
    """Asks services for the reasons of what they hold."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._explained: set[tuple[str, str]] = set()

    def judge(self) -> None:
        """Raises: Violation."""
        for what, which in _OPEN.items():
            alerts = f"SELECT alert_id, host_id FROM alert WHERE state != 'resolved'{which}"  # noqa: S608
            for alert_id, host_id in self._ask("alerting", alerts):
                self._explain("alerting", "alert", alert_id, host_id, what)
        jobs = "SELECT job_id, host_id, status FROM job WHERE finished_at > ? AND end_reported"
        for job in self._ask("jobs", jobs, to_micros(self._world.now - _RECENT)):
            self._explain("jobs", "job", *job)

    def _explain(self, service: str, kind: str, fact_id: str, host_id: str, what: str) -> None:
        if (fact_id, what) in self._explained:
            return
        query = "SELECT facts FROM decision WHERE host_id = ? AND what = ?"
        found = self._ask(service, query, host_id or "fleet", f"{kind}_{what}")
        if not any(json.loads(facts).get(f"{kind}_id") == fact_id for (facts,) in found):
            self._world.violated(f"R19: {service} cannot say why {kind} {fact_id} was {what}")
        self._explained.add((fact_id, what))

    def _ask(self, service: str, query: str, *arguments: Any) -> list[Any]:
        return self._world.nodes[service].db.execute(query, arguments).fetchall()
