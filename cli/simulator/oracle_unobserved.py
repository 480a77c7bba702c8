"""The oracle's opinion on time that nobody observed: the timelines do not call it asleep (R10)."""

from __future__ import annotations

from datetime import datetime, timedelta

from cli.simulator.asking import Asking
from libs.common.clock import from_micros

REMEMBERS = timedelta(days=2)


class UnobservedOracle(Asking):
    """Every long blackout of this clock and this log is in presence's file."""

    def judge(self) -> None:
        gaps = [
            (from_micros(start), from_micros(end))
            for start, end in self._all(
                "presence", "SELECT * FROM unobserved WHERE ended_at > 0 ORDER BY started_at"
            )
        ]
        for begin, end in self._world.truth.blackouts:
            if self._is_comparable(begin, end):
                self._wants("time that nobody observed")
                self._expect(
                    self._is_covered(begin, end, gaps),
                    f"R10: nobody listened {begin} to {end}, and nobody knows",
                )

    def _is_covered(
        self, begin: datetime, end: datetime, gaps: list[tuple[datetime, datetime]]
    ) -> bool:
        """By one gap, or several that follow one another."""
        reached = begin
        for a, b in gaps:
            if a <= reached + self.slack:
                reached = max(reached, b)
        return reached >= end - self.slack

    def _is_comparable(self, begin: datetime, end: datetime) -> bool:
        """Long enough, over, and with a log that still tells of it."""
        truth = self._world.truth
        breaks = [*truth.lost_at, *([truth.clock_set_at] if truth.clock_set_at else ())]
        return (
            all(begin >= one + self.slack for one in breaks)
            and end - begin > 3 * self.slack
            and self._is_long_ago(end, self.slack)
            and not self._is_long_ago(end, REMEMBERS)
        )
