"""The oracle on jobs about a repository: what failed is told of, until it has succeeded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli.simulator.asking import Asking
from libs.common.job_arguments import EXCLUSIVE

if TYPE_CHECKING:
    from cli.simulator.agent import Agent
    from cli.simulator.sleeper import Done

SUCCESSES = ("succeeded", "succeeded_with_warnings")


class JobOracle(Asking):
    """R9: `…_failed` of a kind is open after a failure, and not after a success."""

    def judge(self, agent: Agent) -> None:
        for kind in sorted(EXCLUSIVE):
            ends = [one for one in agent.done if one.kind == kind and one.is_decisive]
            for group in {one.group for one in ends}:
                self._judge(agent, [one for one in ends if one.group == group][-1])

    def _judge(self, agent: Agent, last: Done) -> None:
        if not last.acknowledged or last.ended is None:
            return
        lost = any(at >= last.began for at in self._world.truth.lost_at)
        if lost or agent.clock_set_at is not None or not self._is_long_ago(last.ended, self.slack):
            return
        kind, key = f"{last.kind}_failed", last.group or ""
        row = self._one("alerting", "SELECT max(state != 'resolved'), max(resolved_at) FROM alert "
                        "WHERE host_id = ? AND kind = ? AND dedup_key = ?",
                        agent.host_id, kind, key)  # fmt: skip
        is_open = bool(row[0])
        if last.status in SUCCESSES:
            self._wants(f"no {kind}")
            self._expect(not is_open, f"R9: {agent.name} has a {kind} after a success")
        else:
            self._wants(kind)
            ended_by_hand = row[1] is not None and row[1] >= int(last.began.timestamp() * 1e6)
            self._expect(is_open or ended_by_hand, f"{agent.name} has no {kind}")
