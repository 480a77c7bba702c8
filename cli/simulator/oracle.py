"""An independent opinion on the state of every service, worked out from the truth of the world.

Plain and slow, and written from the rules, not from the services' code. It is asked at quiet
points: everything is up, nothing is under way, and what happened last is long enough ago. Where a
threshold is so near that a heartbeat decides, it has no opinion.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from cli.simulator.asking import Asking
from cli.simulator.calendar import next_fire
from cli.simulator.explanations import Explanations
from cli.simulator.oracle_chances import ChanceOracle
from cli.simulator.oracle_hands import HandOracle
from cli.simulator.oracle_jobs import JobOracle
from cli.simulator.oracle_missed import MissedOracle
from cli.simulator.oracle_outages import OutageOracle
from cli.simulator.oracle_silences import SilenceOracle
from cli.simulator.oracle_unobserved import UnobservedOracle
from libs.common.clock import from_micros
from libs.common.events.host import HostRecord

if TYPE_CHECKING:
    from cli.simulator.agent import Agent
    from cli.simulator.world import World

SUCCESSES = ("succeeded", "succeeded_with_warnings")


def rung_at(age: timedelta, limit: timedelta) -> int:
    """Return the rung of the staleness ladder that is reached at `age`."""
    return max((rung for rung in (2, 4, 12) if age >= rung * limit), default=0)


class Oracle(Asking):
    """Compares the world with what its services hold."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.remembers = timedelta(days=2)  # Older ends were compared before.
        self._explanations = Explanations(world)
        self._chances, self._missed = ChanceOracle(world), MissedOracle(world)
        self._silences, self._outages = SilenceOracle(world), OutageOracle(world)
        self._hands, self._jobs = HandOracle(world), JobOracle(world)
        self._unobserved = UnobservedOracle(world)

    def is_quiet(self) -> bool:
        world = self._world
        return world.truth.is_quiet and all(node.is_settled for node in world.nodes.values())

    def judge(self) -> None:
        """Raises: Violation."""
        records = self._records()
        for agent in self._world.agents.values():
            record = records.get(agent.host_id)
            if record is None:
                continue
            self._judge_record(record)
            if not record.removed:
                self._judge_host(record, agent)
        self._judge_buckets(records)
        self._judge_deliveries()
        self._silences.judge(records)
        self._outages.judge(records)
        self._unobserved.judge()
        self._hands.judge()
        self._explanations.judge()

    def _judge_host(self, record: HostRecord, agent: Agent) -> None:
        self._judge_presence(record, agent)
        self._judge_silence(record, agent)
        self._judge_ledger(agent)
        self._judge_last_success(agent)
        self._judge_staleness(record, agent)
        self._chances.judge(record, agent)
        self._missed.judge(record, agent)
        self._judge_catch_up(record, agent)
        self._judge_waiting(agent)
        self._jobs.judge(agent)

    # --- records

    def _judge_record(self, record: HostRecord) -> None:
        """R1: everyone holds the same mode as the registry."""
        for name in ("presence", "alerting"):
            row = self._one(
                name, "SELECT always_on, removed FROM host WHERE host_id = ?", record.id
            )
            self._expect(row is not None and bool(row[1]) == record.removed,
                         f"{name}: {record.name} removed {row}")  # fmt: skip
            if not record.removed:
                self._expect(bool(row[0]) == record.always_on, f"R1: {name} has another mode")

    # --- presence

    def _judge_presence(self, record: HostRecord, agent: Agent) -> None:
        """R3, as far as the last frame is long enough ago, or the connection."""
        expected = self._presence(agent)
        row = self._one("presence", "SELECT status, last_seen FROM host WHERE host_id = ?",
                        record.id)  # fmt: skip
        if expected is not None:
            self._expect(row[0] == expected, f"R3: {record.name} is {row[0]}, not {expected}")
        if expected == "offline" and agent.left_at is not None and agent.left_by_this_clock:
            apart = abs(from_micros(row[1]) - agent.left_at)
            self._expect(apart <= self._world.pace.heartbeat,
                         f"R18: {record.name} was last seen {apart} from when it left")  # fmt: skip
        for name in ("catchup", "jobs"):
            online = self._one(name, "SELECT online FROM host WHERE host_id = ?", record.id)
            if expected is not None and online is not None:
                self._expect(bool(online[0]) == (expected == "online"),
                             f"R3: {name} thinks otherwise of {record.name}")  # fmt: skip

    def _presence(self, agent: Agent) -> str | None:
        """Return what the host is, or None while that is about to change."""
        if agent.greeted_at is None:
            return "never_seen"
        link = agent.link
        if link is not None and link.greeted:
            return "online" if self._is_long_ago(agent.greeted_at, self.slack) else None
        if agent.link is not None or agent.left_at is None:
            return None
        return "offline" if self._is_long_ago(agent.left_at, self.slack * 2) else None

    # --- alerts

    def _judge_silence(self, record: HostRecord, agent: Agent) -> None:
        """R4, R5, R10."""
        world = self._world
        found = self._count_open(record.id, "agent_offline")
        if not record.always_on or agent.greeted_at is None:
            self._expect(found == 0, f"R4: {record.name} has an agent_offline")
            return
        expected = self._presence(agent)
        if expected == "online":
            self._expect(found == 0, f"R5: {record.name} is back and has an agent_offline")
        left = agent.left_at
        if expected != "offline" or left is None or not agent.left_by_this_clock:
            return  # Silence over a clock that was set is not measured here.
        resolved = world.truth.muted.get((record.id, "agent_offline"), left)
        limited = agent.limits_set_at or left
        judged = max(resolved, agent.mode_set_at or left, limited)
        silence = world.truth.longest_silence(left, judged)
        floor = self._limit(record, "offline_seconds") or world.pace.floor
        if silence < floor - self.slack and limited <= left:
            self._expect(found == 0, f"R5: {record.name} is told of too early ({silence})")
        elif silence > floor + 2 * self.slack and not self._is_muted(record.id, "agent_offline"):
            self._wants("agent_offline")
            self._expect(found == 1, f"R5: {record.name} is silent for {silence}, and nobody knows")

    def _judge_staleness(self, record: HostRecord, agent: Agent) -> None:
        """R6."""
        found = self._count_open(record.id, "stale_schedule")
        success = agent.last_success(acknowledged=True)
        if success != agent.last_success(acknowledged=False):
            return  # Whether the report of the newer one has arrived is not known here.
        enabled = any(schedule.enabled for schedule in record.schedules)
        if record.always_on or not enabled or success is None:
            self._expect(found == 0, f"R6: {record.name} has a stale_schedule for nothing")
            return
        age = self._world.now - success
        limit = self._limit(record, "stale_seconds") or self._world.pace.stale_after
        stands = agent.limits_set_at is not None and not self._is_judged(agent)
        if age < limit - self.slack and not stands:
            self._expect(found == 0, f"R6: {record.name} is stale after {age}")
        late = age > limit + self.slack
        if late and self._is_judged(agent) and found:
            self._judge_rung(agent, age, limit)
        if late and self._is_judged(agent) and not self._is_muted(record.id, "stale_schedule"):
            self._wants("stale_schedule")
            self._expect(found == 1, f"R6: {record.name} has no backup for {age}: nobody knows")

    def _judge_rung(self, agent: Agent, age: timedelta, limit: timedelta) -> None:
        """R7: staleness has climbed its ladder, and no further."""
        (body,) = self._one("alerting", "SELECT body FROM alert WHERE host_id = ? AND kind = "
                            "'stale_schedule' AND state != 'resolved'", agent.host_id)  # fmt: skip
        alert = json.loads(body)
        self._wants(f"rung {rung_at(age - self.slack, limit)} of staleness")
        rung, name = alert["rung"], agent.name
        self._expect(rung >= rung_at(age - self.slack, limit), f"R7: {name} is at {rung} of {age}")
        raised_at = datetime.fromisoformat(alert["raised_at"])
        if agent.limits_set_at is None or agent.limits_set_at < raised_at - self.slack:
            self._expect(rung <= rung_at(age + self.slack, limit), f"R7: {name} is told too often")

    def _count_open(self, host_id: str, kind: str) -> int:
        row = self._one("alerting", "SELECT count(*) FROM alert WHERE host_id = ? AND kind = ? "
                        "AND state != 'resolved'", host_id, kind)  # fmt: skip
        return int(row[0])

    # --- jobs

    def _judge_ledger(self, agent: Agent) -> None:
        """R18: every acknowledged end stands in the ledger as it was reported."""
        for one in reversed(agent.done):
            if one.ended is not None and self._is_long_ago(one.ended, self.remembers):
                return
            if not one.acknowledged:
                continue
            row = self._one("jobs", "SELECT status FROM job WHERE job_id = ?", one.job_id)
            self._expect(row is not None, f"R18: job {one.job_id} of {agent.name} is lost")
            self._expect(row[0] == one.status, f"R18: {one.job_id} is {row[0]}, not {one.status}")

    def _judge_last_success(self, agent: Agent) -> None:
        """R9: the last success of each group is that of the agent."""
        for group in {one.group for one in agent.done if one.kind == "backup"}:
            known = agent.last_success(acknowledged=True, group=group)
            newest = agent.last_success(acknowledged=False, group=group)
            row = self._one("jobs", "SELECT last_success_at FROM backup WHERE host_id = ? AND "
                            "source_group_id = ?", agent.host_id, group)  # fmt: skip
            theirs = from_micros(row[0]) if row and row[0] is not None else None
            expected = known == theirs or newest == theirs
            if known is not None and newest is not None and theirs is not None:
                minute = timedelta(
                    minutes=1
                )  # It lies between dispatch and receipt, late as they come.
                expected = known - minute <= theirs <= newest + minute
            self._expect(
                expected, f"R9: {agent.name} was backed up {known} or {newest}, jobs says {theirs}"
            )

    def _judge_waiting(self, agent: Agent) -> None:
        """R17: nothing that may go waits for long on a host that is connected and free."""
        if self._presence(agent) != "online" or self._is_busy(agent):
            return
        row = self._one(
            "jobs", "SELECT job_id, status, origin FROM job WHERE host_id = ? AND "
            "status = 'requested' AND created_at < ? AND coalesce(next_try_at, 0) < ? AND "
            "coalesce(not_before, 0) < ? AND coalesce(not_in_session, '') != ? AND "
            "origin != 'catchup'", agent.host_id,
            *[self._micros(self.slack)] * 3, agent.link.session if agent.link else "",
        )  # fmt: skip
        self._expect(row is None, f"R17: {agent.name} is free, and {row} waits")

    def _is_busy(self, agent: Agent) -> bool:
        """Whether it works, or its repository is in use, or wanted, by one that shares it."""
        others = [one.host_id for one in self._world.sharing(agent) if one is not agent]
        wanted = self._all("jobs", "SELECT host_id FROM job WHERE locks IS NOT NULL AND "
                           "status IN ('requested', 'dispatched', 'running')")  # fmt: skip
        return (
            any(one.running is not None for one in self._world.sharing(agent))
            or any(host_id in others for (host_id,) in wanted)
        )  # fmt: skip

    def _micros(self, ago: timedelta) -> int:
        return int((self._world.now - ago).timestamp() * 1_000_000)

    # --- catch-up

    def _judge_catch_up(self, record: HostRecord, agent: Agent) -> None:
        """R11-R14: who woke long ago and is overdue for a pair has had a run for it."""
        link = agent.link
        if record.always_on or link is None or self._is_busy(agent):
            return
        woke, edited = agent.greeted_at, agent.edited_at
        if woke is None or edited is None or edited > woke or self._presence(agent) != "online":
            return
        long_enough = self._world.pace.settle + 3 * self.slack
        if not self._is_long_ago(max(agent.calm_since or woke, woke), long_enough):
            return
        arm = self._one("catchup", "SELECT state, arm_id FROM arm WHERE host_id = ?", record.id)
        self._expect(arm is None, f"R12: the catch-up of {agent.name} does not end: {arm}")
        known = {group.id for group in record.source_groups}
        for schedule in record.schedules:
            if not schedule.enabled or schedule.catch_up == "off" or not record.repository_id:
                continue
            for group in set(schedule.source_group_ids) & known:
                zone = schedule.timezone or record.timezone
                self._judge_pair(agent, schedule.id, group, (schedule.cron, zone))

    def _judge_pair(self, agent: Agent, schedule: str, group: str, when: tuple[str, str]) -> None:
        woke = agent.greeted_at
        assert woke is not None
        assert agent.link is not None
        success = agent.last_success(acknowledged=False, group=group)
        if success is not None and next_fire(when[0], success, when[1]) > woke:
            return  # Not overdue when it woke.
        asked = self._one("jobs", "SELECT 1 FROM catchup_request WHERE arm_id = ? AND "
                          "schedule_id = ? AND source_group_id = ?",
                          agent.link.session, schedule, group)  # fmt: skip
        covered = any(one.group == group and one.kind == "backup" and one.began > woke
                      for one in agent.done)  # fmt: skip
        self._expect(asked is not None or covered,
                     f"R14: {agent.name} woke overdue for {group} and nobody cared")  # fmt: skip

    # --- buckets and messages

    def _judge_buckets(self, records: dict[str, HostRecord]) -> None:
        open_now = {row[0] for row in self._all("alerting", "SELECT alert_id FROM alert WHERE "
                                                "state != 'resolved'")}  # fmt: skip
        bucket = set(self._world.log.buckets["alerts"])
        self._expect(open_now == bucket, f"bucket alerts differs: {open_now ^ bucket}")
        kept = dict(self._all("registry", "SELECT id, record FROM host"))
        for host_id, record in kept.items():
            version = json.loads(record)["version"]
            self._expect(records[host_id].version == version, f"bucket hosts: {host_id} is old")

    def _judge_deliveries(self) -> None:
        """R7: nothing is told twice. (What must be told and what not: `SilenceOracle`.)"""
        told = self._all("notify", "SELECT alert_ids, news, count(*) FROM delivery WHERE "
                         "news IN ('raised', 'resolved') GROUP BY alert_ids, news")  # fmt: skip
        for alert_ids, news, number in told:
            self._expect(number == 1, f"R7: {news} of {alert_ids} was told {number} times")
        again = self._all("notify", "SELECT alert_ids, count(*) FROM delivery WHERE "
                          "news = 'reminded' GROUP BY alert_ids HAVING count(*) > 3")  # fmt: skip
        self._expect(not again, f"R7: told again and again: {again}")
