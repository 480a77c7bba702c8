"""The oracle's opinion on `schedule_missed`: fires of a host that was there, and led to no run.

A schedule produces a run when its agent reports the fire; what becomes of the run is another
matter. Where something was changed around the fire, there is no opinion.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from cli.simulator.asking import Asking
from cli.simulator.calendar import fires_between

if TYPE_CHECKING:
    from cli.simulator.agent import Agent
    from libs.common.events.host import HostRecord, Schedule

KIND = "schedule_missed"
LOOKED_BACK = timedelta(days=2)
AROUND = timedelta(hours=1)


class MissedOracle(Asking):
    """Who asked for it is told of each schedule that fired in vain, and nobody else of anything."""

    def judge(self, record: HostRecord, agent: Agent) -> None:
        found = {alert["dedup_key"]: alert for alert in self._open_of(record.id, KIND)}
        window = self._limit(record, "missed_seconds")
        pairs = {
            f"{schedule.id}:{group.id}": (schedule, group.id)
            for schedule in record.schedules if schedule.enabled
            for group in record.source_groups if group.id in schedule.source_group_ids
        }  # fmt: skip
        asked = pairs if record.always_on and window is not None else {}
        self._expect(found.keys() <= asked.keys(), f"{KIND} of {record.name}: nobody asked")
        if window is None or agent.spool or agent.clock_error:
            return
        for key, (schedule, group) in asked.items():
            self._judge_pair(record, agent, schedule, group, window, found.get(key))

    def _judge_pair(
        self, record: HostRecord, agent: Agent, schedule: Schedule, group: str, window: timedelta,
        alert: dict[str, Any] | None,
    ) -> None:  # fmt: skip
        reported = agent.reported.get((schedule.id, group))
        if alert is not None:
            fire = datetime.fromisoformat(alert["facts"]["fire_time"])
            if self._is_undisturbed(agent, fire):
                self._wants(f"why there is a {KIND}")
                self._expect(reported is None or reported < fire, f"{KIND}: {record.name} ran it")
                zone = schedule.timezone or record.timezone
                real = fires_between(schedule.cron, fire - AROUND, fire, zone)
                self._expect(fire in real, f"{KIND}: {record.name} has no fire at {fire}")
            return
        last = self._last_fire(record, schedule, window)
        if last is None or not self._is_undisturbed(agent, last):
            return
        if reported is not None and reported >= last:
            return
        ended = self._world.truth.muted.get((record.id, KIND))
        if self._was_there(agent, last, last + window) and (ended is None or ended < last):
            self._wants(KIND)
            self._expect(False, f"{KIND}: {record.name} let {last} pass, and nobody knows")

    def _last_fire(
        self, record: HostRecord, schedule: Schedule, window: timedelta
    ) -> datetime | None:
        """Return the last fire whose window is surely over."""
        over = self._world.now - window - 2 * self.slack
        zone = schedule.timezone or record.timezone
        fires = fires_between(schedule.cron, over - LOOKED_BACK, over, zone)
        return fires[-1] if fires else None

    def _is_undisturbed(self, agent: Agent, fire: datetime) -> bool:
        """Whether nothing was changed since before the fire: a hello may bring another zone."""
        changes = (agent.edited_at, agent.limits_set_at, agent.clock_set_at, agent.mode_set_at,
                   agent.greeted_at)  # fmt: skip
        return all(at is None or at + AROUND < fire for at in changes)

    def _was_there(self, agent: Agent, begin: datetime, end: datetime) -> bool:
        """Whether it was connected, and somebody listened, from before `begin` until after `end`,
        and on until now: so it was not judged later than at `end`."""
        truth, before = self._world.truth, begin - self.slack
        listened = truth.period_start is not None and bool(truth.listening)
        if not listened or truth.period_start is None or truth.period_start > before:
            return False
        if not self._is_judged(agent) or any(at > before for at in truth.lost_at):
            return False
        now = self._world.now
        return any(one.began < before and one.until(now) > end + self.slack
                   for one in agent.sessions)  # fmt: skip
