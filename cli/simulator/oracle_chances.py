"""The oracle's opinion on `backup_not_succeeding`: chances to back up that really went by.

Services may see a session that was interrupted as one, or as two. So chances are counted twice: as
few as there may be, and as many. Where the rule lies between the two, there is no opinion.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from cli.simulator.asking import Asking
from cli.simulator.times import NO_TIME, Session, joined

if TYPE_CHECKING:
    from cli.simulator.agent import Agent
    from libs.common.events.host import HostRecord

KIND = "backup_not_succeeding"
SESSIONS, AWAKE = 3, timedelta(hours=8)
COUNTS_FROM = timedelta(minutes=30)
DATED_WITHIN = timedelta(minutes=1)
"""So exactly is it known when a backup ended."""
EDITED_BEFORE = timedelta(hours=1)
"""By so much earlier an edit has surely reached everybody."""


@dataclass(frozen=True, slots=True)
class Chances:
    sessions: int
    awake: timedelta

    @property
    def are_enough(self) -> bool:
        return self.sessions >= SESSIONS and self.awake >= AWAKE


class ChanceOracle(Asking):
    """R6 by the second clock: 8 h in 3 sessions since the last success, and no backup."""

    def judge(self, record: HostRecord, agent: Agent) -> None:
        found = self._open_of(record.id, KIND)
        enabled = any(schedule.enabled for schedule in record.schedules)
        if record.always_on or not enabled:
            self._expect(not found, f"R6: {record.name} has a {KIND} for nothing")
            return
        success = agent.last_success(acknowledged=True)
        if success != agent.last_success(acknowledged=False) or not _is_measured(agent, success):
            return
        since = success or agent.sessions[0].began if agent.sessions else None
        if since is None:
            return
        if not self._most(agent, since).are_enough:
            self._wants(f"no {KIND} yet")
            self._expect(not found, f"R6: {record.name} is told of before it had its chances")
        elif (
            self._least(agent, since).are_enough and self._is_judged(agent)
            and not self._is_muted(record.id, KIND)
        ):  # fmt: skip
            least = self._least(agent, since)
            self._wants(KIND)
            self._expect(bool(found), f"R6: {record.name} had {least}, and nobody knows")

    def _most(self, agent: Agent, since: datetime) -> Chances:
        """Every connection is a session, and every short break was not seen."""
        gap, now = 2 * self.slack, self._world.now
        groups = self._begun_since(agent, since - DATED_WITHIN)
        long = [
            group for group in groups
            if sum((one.lasted(now) + gap for one in group), NO_TIME) >= COUNTS_FROM
        ]  # fmt: skip
        counted = [one for group in long for one in group]
        awake = sum((one.lasted(now) + gap for one in counted), NO_TIME)
        return Chances(len(counted), awake)

    def _least(self, agent: Agent, since: datetime) -> Chances:
        """Connections with short breaks are one session, and each lost some time."""
        edited = agent.edited_at
        after = max(since, edited + EDITED_BEFORE) if edited else since
        lasted = [
            sum((one.lasted(self._world.now) - self.slack for one in group), NO_TIME)
            for group in self._groups(agent)
            if group[0].began > after and not self._is_doubtful(group)
        ]
        counted = [span for span in lasted if span >= COUNTS_FROM]
        return Chances(len(counted), sum(counted, NO_TIME))

    def _groups(self, agent: Agent) -> list[list[Session]]:
        return joined(agent.sessions, 2 * self.slack, self._world.truth.blackouts)

    def _begun_since(self, agent: Agent, since: datetime) -> list[list[Session]]:
        """Return what began then or later; where something was lost, also what ended later."""
        now = self._world.now
        return [
            [
                one for one in group
                if one.began > since or (one.until(now) > since and self._is_doubtful(group))
            ]
            for group in self._groups(agent)
        ]  # fmt: skip

    def _is_doubtful(self, group: list[Session]) -> bool:
        """Whether something was lost meanwhile: then nobody knows for how long anyone listened."""
        began, until = group[0].began - self.slack, group[-1].until(self._world.now)
        lost, dark = self._world.truth.lost_at, self._world.truth.blackouts
        return any(began <= at <= until for at in lost) or any(
            begin < until and end > began for begin, end in dark
        )


def _is_measured(agent: Agent, success: datetime | None) -> bool:
    """Nobody has set the services' clock since what is counted began."""
    was_set = agent.clock_set_at
    return was_set is None or (success is not None and success > was_set)
