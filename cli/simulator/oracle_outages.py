"""The oracle's opinion on mass outages, from the sites that really went dark.

`Darkness` is what happened: so many servers of one site left at once. While they are all away, and
missed, one `fleet_outage` holds their alerts back, for an hour at the most.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from cli.simulator.asking import Asking
from libs.common.events.host import HostRecord

if TYPE_CHECKING:
    from cli.simulator.agent import Agent

KIND = "fleet_outage"
AT_ONCE = timedelta(minutes=1)
LONGEST = timedelta(hours=1)
AT_LEAST = 5
SURELY_THE_FLEETS, SURELY_NOT = 0.4, 0.25


@dataclass(frozen=True, slots=True)
class Darkness:
    """A site's servers left within a minute from `at` on; `were_online`: those of the fleet."""

    site: str
    at: datetime
    host_ids: frozenset[str]
    were_online: int

    @property
    def keys(self) -> tuple[str, ...]:
        """Return whose outage it may be: the fleet's (an empty key), the site's, or either."""
        share = len(self.host_ids) / self.were_online
        if share >= SURELY_THE_FLEETS:
            return ("",)
        return (self.site,) if share <= SURELY_NOT else ("", self.site)


class OutageOracle(Asking):
    """R5: many at once are told of once."""

    def judge(self, records: dict[str, HostRecord]) -> None:
        found = self._open_alerts()
        outages = {alert["id"]: alert for alert in found if alert["kind"] == KIND}
        for outage in outages.values():
            self._judge_outage(outage)
        for alert in found:
            holder = alert["held_by"]
            self._expect(holder is None or holder in outages,
                         f"R5: {alert['host_name']} is held back by what is over")  # fmt: skip
        for dark in self._world.truth.dark_sites:
            self._judge_darkness(dark, records, found, outages)

    def _judge_outage(self, outage: dict[str, Any]) -> None:
        """It took many hosts, and is not old."""
        self._wants("why there is a mass outage")
        hosts = outage["facts"]["hosts"]
        raised_at = datetime.fromisoformat(outage["raised_at"])
        self._expect(not self._is_long_ago(raised_at, LONGEST + self.slack),
                     f"R5: a mass outage of {raised_at} does not end")  # fmt: skip
        if outage["state"] == "open":
            self._expect(len(hosts) >= AT_LEAST or outage["facts"]["were_online"] == 0,
                         f"R5: a mass outage of {len(hosts)} hosts")  # fmt: skip

    def _judge_darkness(
        self, dark: Darkness, records: dict[str, HostRecord], found: list[dict[str, Any]],
        outages: dict[str, dict[str, Any]],
    ) -> None:  # fmt: skip
        agents = [self._world.agents[host_id] for host_id in dark.host_ids]
        if not all(self._is_still_away(agent, dark, records) for agent in agents):
            return
        missed = [
            alert for alert in found
            if alert["kind"] == "agent_offline" and alert["host_id"] in dark.host_ids
        ]  # fmt: skip
        if len(missed) < len(agents) or self._is_by_hand(dark):
            return
        first = min(datetime.fromisoformat(alert["raised_at"]) for alert in missed)
        if self._world.now < first + LONGEST - self.slack:
            self._wants("a mass outage")
            holders = {alert["held_by"] for alert in missed}
            keys = {outages[held]["dedup_key"] for held in holders if held is not None}
            self._expect(len(holders) == 1 and keys <= set(dark.keys) and bool(keys),
                         f"R5: {dark.site} is dark: told by {holders} of {keys}")  # fmt: skip

    def _is_still_away(self, agent: Agent, dark: Darkness, records: dict[str, HostRecord]) -> bool:
        record = records.get(agent.host_id)
        if record is None or record.removed or not record.always_on or agent.left_at is None:
            return False
        changed = (agent.mode_set_at, agent.limits_set_at, agent.edited_at)
        return (
            agent.link is None and agent.left_by_this_clock
            and abs(agent.left_at - dark.at) <= AT_ONCE
            and all(at is None or at < dark.at for at in changed)
        )  # fmt: skip

    def _is_by_hand(self, dark: Darkness) -> bool:
        """Whether somebody resolved one of these alerts, or the outage, since."""
        return any(
            at > dark.at and kind in (KIND, "agent_offline") and host in (None, *dark.host_ids)
            for (host, kind), at in self._world.truth.muted.items()
        )
