"""What every part of the oracle needs: to ask services, to know thresholds, and to object."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from libs.common.events.host import HostRecord

if TYPE_CHECKING:
    from cli.simulator.agent import Agent
    from cli.simulator.world import World

WAIT_FOR_REPORTS = timedelta(hours=24)


class Asking:
    """Knows the world and its services' files."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.slack = world.pace.offline_after + timedelta(seconds=60)

    # --- services

    def _one(self, node: str, query: str, *arguments: Any) -> Any:
        return self._world.nodes[node].db.execute(query, arguments).fetchone()

    def _all(self, node: str, query: str, *arguments: Any) -> list[Any]:
        return self._world.nodes[node].db.execute(query, arguments).fetchall()

    def _wants(self, what: str) -> None:
        """Count that there was an opinion: a rule that is never asked for proves nothing."""
        self._world.truth.wanted[what] += 1

    def _expect(self, holds: bool, what: str) -> None:  # noqa: FBT001
        if not holds:
            self._world.violated(what)

    def _records(self) -> dict[str, HostRecord]:
        found = self._world.log.buckets["hosts"]
        return {key: HostRecord.model_validate_json(data) for key, data in found.items()}

    def _open_alerts(self) -> list[dict[str, Any]]:
        """Return every alert that is not resolved."""
        rows = self._all("alerting", "SELECT body FROM alert WHERE state != 'resolved'")
        return [json.loads(body) for (body,) in rows]

    def _open_of(self, host_id: str, kind: str) -> list[dict[str, Any]]:
        rows = self._all("alerting", "SELECT body FROM alert WHERE host_id = ? AND kind = ? "
                         "AND state != 'resolved'", host_id, kind)  # fmt: skip
        return [json.loads(body) for (body,) in rows]

    # --- what is known

    def _is_long_ago(self, moment: datetime, span: timedelta) -> bool:
        return self._world.now - moment >= span

    def _is_muted(self, host_id: str, kind: str) -> bool:
        until = self._world.truth.muted.get((host_id, kind))
        return until is not None and until + self.slack > self._world.now

    def _is_judged(self, agent: Agent) -> bool:
        """Whether its reports have arrived since the last long blackout, or a day has passed."""
        gate = self._world.truth.gate_since
        if gate is None or self._is_long_ago(gate, WAIT_FOR_REPORTS + self.slack):
            return True
        if self._stays_in_sight(agent) and self._is_long_ago(
            gate, 2 * self._world.pace.offline_after
        ):
            return True
        return agent.synced_at is not None and agent.synced_at > gate + self.slack

    def _stays_in_sight(self, agent: Agent) -> bool:
        """Whether it is connected and has nothing to report that is not acknowledged."""
        return agent.link is not None and agent.link.greeted and not agent.spool

    def _limit(self, record: HostRecord, field: str) -> timedelta | None:
        """R5, R6: the threshold in force: host > tag (the strictest) > mode; None: the fleet's."""
        data = self._world.log.buckets["thresholds"].get("fleet")
        rules = json.loads(data) if data else {"tags": {}, "modes": {}}
        mode = "always_on" if record.always_on else "intermittent"
        steps = (
            [record.thresholds.model_dump()],
            [rules["tags"].get(tag, {}) for tag in record.tags],
            [rules["modes"].get(mode, {})],
        )
        for step in steps:
            found = [each[field] for each in step if each.get(field) is not None]
            if found:
                return timedelta(seconds=min(found))
        return None
