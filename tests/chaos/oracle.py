"""An independent opinion on what must be shown once the faults are over, from the agents' ledgers.

Plain, slow, and written from the rules, not from the services' code. Each check answers with what
disagrees; where a threshold is so near that a heartbeat decides, with what is `undecided`, and the
world is looked at again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from tests.chaos.agent import ChaosAgent
from tests.chaos.faults import Span
from tests.chaos.figures import (
    FLOOR_SECONDS,
    OFFLINE_SECONDS,
    SETTLE_SECONDS,
    STALE_SECONDS,
)
from tests.chaos.observed import Seen

MARGIN = timedelta(seconds=4)
OFFLINE = timedelta(seconds=OFFLINE_SECONDS) + MARGIN
FLOOR = timedelta(seconds=FLOOR_SECONDS) + OFFLINE
STALE = timedelta(seconds=STALE_SECONDS)
SETTLED = timedelta(seconds=SETTLE_SECONDS + 30)
UNDER_WAY = ("requested", "dispatched", "running")
EXACT = timedelta(seconds=10)


@dataclass
class Opinion:
    """What one look led to."""

    wrong: list[str] = field(default_factory=list)
    undecided: list[str] = field(default_factory=list)

    @property
    def agrees(self) -> bool:
        return not self.wrong and not self.undecided

    def expect(self, holds: bool, what: str) -> None:
        if not holds:
            self.wrong.append(what)

    def expect_count(self, found: int, wanted: int | None, what: str) -> None:
        """`wanted` None: the threshold is near."""
        if wanted is None:
            self.undecided.append(f"{what}: too near to say")
        elif found != wanted:
            self.wrong.append(f"{what}: {found}, not {wanted}")


@dataclass(frozen=True)
class Oracle:
    """`calm_since`: when the last fault ended. What was dated by a wrong clock (`skewed`) is not
    compared by its date."""

    agents: list[ChaosAgent]
    modes: Mapping[str, set[bool]]
    calm_since: datetime
    skewed: Sequence[Span]

    def _is_dated_well(self, moment: datetime) -> bool:
        return not any(begun <= moment <= over for begun, over in self.skewed)

    def judge(self, seen: Seen, now: datetime) -> Opinion:
        """Compare everything that a page shows with what the agents did."""
        opinion = Opinion()
        for agent in self.agents:
            host = seen.hosts.get(agent.host_id)
            if host is None:
                opinion.wrong.append(f"{agent.hostname} is not listed")
                continue
            self._judge_presence(opinion, agent, host, now)
            self._judge_silence(opinion, agent, host, seen, now)
            self._judge_staleness(opinion, agent, host, seen, now)
            self._judge_jobs(opinion, agent, host, seen, now)
            self._judge_failure(opinion, agent, seen, now)
        return opinion

    # -- presence ----------------------------------------------------------------------------------

    def _judge_presence(
        self, opinion: Opinion, agent: ChaosAgent, host: dict[str, Any], now: datetime
    ) -> None:
        """R1, R2, R3."""
        modes = self.modes[agent.host_id]
        opinion.expect(host["always_on"] in modes, f"R1: {agent.hostname} is not {modes}")
        expected = self._presence(agent, now)
        if expected is None:
            opinion.undecided.append(f"{agent.hostname} has just come or gone")
            return
        opinion.expect(host["status"] == expected,
                       f"R3: {agent.hostname} is {host['status']}, not {expected}")  # fmt: skip
        asleep = expected == "offline" and not host["always_on"]
        display = "asleep" if asleep else expected
        shown = host["display"]
        opinion.expect(shown == display, f"R2: {agent.hostname} is shown {shown}, not {display}")
        if expected == "offline":
            self._judge_last_seen(opinion, agent, host)

    def _presence(self, agent: ChaosAgent, now: datetime) -> str | None:
        if agent.is_connected:
            since = agent.ledger.connected_at or now
            return "online" if now - since > MARGIN else None
        if agent.is_awake or agent.ledger.left_at is None:
            return None
        gone_since = max(agent.ledger.left_at, self.calm_since)
        return "offline" if now - gone_since > OFFLINE else None

    def _judge_last_seen(self, opinion: Opinion, agent: ChaosAgent, host: dict[str, Any]) -> None:
        """R18: exact to 10 s. What was answered was heard; what was never sent was not."""
        answered, left = agent.ledger.answered, agent.ledger.left_at
        if not answered or left is None or host["last_seen_at"] is None:
            return
        if not (self._is_dated_well(left) and self._is_dated_well(answered[-1])):
            return
        shown = datetime.fromisoformat(host["last_seen_at"])
        early, late = answered[-1] - EXACT, left + EXACT
        opinion.expect(early <= shown <= late, f"R18: {agent.hostname} was heard at "
                       f"{answered[-1]}, left at {left}, and was seen at {shown}")  # fmt: skip

    # -- alerts ------------------------------------------------------------------------------------

    def _judge_silence(
        self, opinion: Opinion, agent: ChaosAgent, host: dict[str, Any], seen: Seen, now: datetime
    ) -> None:
        """R4, R5."""
        found = seen.alerts[agent.host_id, "agent_offline"]
        expected = self._presence(agent, now)
        wanted: int | None = 0
        if host["always_on"] and expected != "online":
            left = max(agent.ledger.left_at or now, self.calm_since)
            wanted = 1 if expected == "offline" and now - left > FLOOR else None
        opinion.expect_count(found, wanted, f"R5: agent_offline of {agent.hostname}")

    def _judge_staleness(
        self, opinion: Opinion, agent: ChaosAgent, host: dict[str, Any], seen: Seen, now: datetime
    ) -> None:
        """R6. Of a host that is away nobody may judge until its reports have come."""
        found = seen.alerts[agent.host_id, "stale_schedule"]
        what = f"R6: stale_schedule of {agent.hostname}"
        success = agent.ledger.last_success(acknowledged=True)
        if host["always_on"]:
            opinion.expect_count(found, 0, what)
            return
        if success != agent.ledger.last_success(acknowledged=False):
            return  # Whether the report of the newer one has arrived is not known here.
        if success is None:
            opinion.expect_count(found, 0, what)
            return
        age = now - success
        if not self._is_dated_well(success):
            return
        if agent.is_connected:
            latest = agent.ledger.last_acknowledged() or success
            near = age > STALE - MARGIN and now - latest < STALE + MARGIN
            opinion.expect_count(found, None if near else int(age > STALE), what)
        elif age < STALE - MARGIN:
            opinion.expect_count(found, 0, what)

    def _judge_failure(
        self, opinion: Opinion, agent: ChaosAgent, seen: Seen, now: datetime
    ) -> None:
        """R9: `backup_failed` is open exactly while the last end of the group was a failure."""
        ends = agent.ledger.ends
        if not ends or not agent.is_connected or agent.unacked or agent.busy is not None:
            return
        last = ends[-1]
        if last is not agent.ledger.executions[-1]:
            return  # A later one left no trace; what the server concludes is its own.
        recent = last.ended is None or now - last.ended < MARGIN
        waits = any(job["status"] in UNDER_WAY for job in seen.jobs_of.get(agent.host_id, ()))
        if recent or waits or not (last.succeeded or last.status == "failed"):
            return
        wanted = 0 if last.succeeded else 1
        found = seen.alerts[agent.host_id, "backup_failed"]
        opinion.expect_count(found, wanted, f"R9: backup_failed of {agent.hostname}")

    # -- jobs --------------------------------------------------------------------------------------

    def _judge_jobs(
        self, opinion: Opinion, agent: ChaosAgent, host: dict[str, Any], seen: Seen, now: datetime
    ) -> None:
        """R9, R12, R18: ends stand as reported, nothing is thought to run that does not."""
        for one in agent.ledger.executions:
            if one.acknowledged:
                job = seen.jobs.get(one.job_id)
                kept = job is not None and job["status"] == one.status
                opinion.expect(kept, f"R18: {agent.hostname} reported {one}, shown is {job}")
        if not agent.is_connected:
            return
        calm = max(agent.ledger.connected_at or now, agent.ledger.idle_since or self.calm_since)
        if agent.busy is None and now - calm > MARGIN:
            running = [job for job in seen.jobs_of.get(agent.host_id, ())
                       if job["status"] in ("dispatched", "running")]  # fmt: skip
            opinion.expect(not running, f"{agent.hostname} runs nothing, and shown is {running}")
        self._judge_last_backup(opinion, agent, host)
        if now - calm > SETTLED:
            arm = host["catch_up"]
            opinion.expect(arm is None, f"R12: {agent.hostname} does not end its catch-up: {arm}")

    def _judge_last_backup(self, opinion: Opinion, agent: ChaosAgent, host: dict[str, Any]) -> None:
        success = agent.ledger.last_success(acknowledged=True)
        if success != agent.ledger.last_success(acknowledged=False):
            return
        shown = host["last_backup_at"]
        if success is None or shown is None:
            same = success is shown
        else:
            latest = (agent.ledger.last_acknowledged() or success) + MARGIN
            same = success - MARGIN <= datetime.fromisoformat(shown) <= latest
            same = same or not self._is_dated_well(success)
        opinion.expect(same, f"R9: {agent.hostname} was backed up {success}, shown is {shown}")


def by_kind(found: Sequence[str], limit: int = 6) -> Iterator[str]:
    """Return what a report shows of many disagreements: some of each kind."""
    kinds: dict[str, list[str]] = {}
    for what in found:
        kinds.setdefault(what.partition(":")[0][:24], []).append(what)
    for some in kinds.values():
        yield from some[:limit]
        if len(some) > limit:
            yield f"… and {len(some) - limit} more of these"
