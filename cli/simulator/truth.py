"""What really happened in the world, and what must never be seen: checked after every decision.

The services are not asked here what they think; agents, links and operators are. `oracle` compares
the two at quiet points.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from libs.common.job_arguments import EXCLUSIVE

if TYPE_CHECKING:
    from cli.simulator.agent import Agent
    from cli.simulator.node import Node
    from cli.simulator.oracle_hands import Handled
    from cli.simulator.oracle_outages import Darkness
    from cli.simulator.oracle_silences import Silence
    from cli.simulator.shell import Shell
    from cli.simulator.sleeper import Sleeper
    from cli.simulator.world import World

NEVER = {
    "alerting": {
        "R4: an intermittent host has an open agent_offline": """
            SELECT 1 FROM alert JOIN host USING (host_id) WHERE alert.state != 'resolved'
            AND alert.kind = 'agent_offline' AND NOT host.always_on""",
        "R5: a host that is not offline has an open agent_offline": """
            SELECT 1 FROM alert JOIN host USING (host_id) WHERE alert.state != 'resolved'
            AND alert.kind = 'agent_offline' AND host.status != 'offline'""",
        "R6: a stale_schedule is open without an enabled schedule, or of an always-on host": """
            SELECT 1 FROM alert JOIN host USING (host_id) WHERE alert.state != 'resolved'
            AND alert.kind = 'stale_schedule' AND (host.always_on OR NOT host.has_schedule)""",
        "R6: a backup_not_succeeding of a host without a schedule, or of an always-on one": """
            SELECT 1 FROM alert JOIN host USING (host_id) WHERE alert.state != 'resolved'
            AND alert.kind = 'backup_not_succeeding' AND (host.always_on OR NOT host.has_schedule)
            """,
        "an alert of a removed host is open": """
            SELECT 1 FROM alert JOIN host USING (host_id) WHERE alert.state != 'resolved'
            AND host.removed""",
    },
    "catchup": {
        "more than 20 catch-up runs at once": """
            SELECT count(*) FROM run JOIN host USING (host_id) WHERE host.online
            HAVING count(*) > 20""",
        "more than 4 catch-up runs at once in a repository": """
            SELECT count(*) FROM run JOIN host USING (host_id) WHERE host.online
            AND run.repository_id IS NOT NULL GROUP BY run.repository_id HAVING count(*) > 4""",
        "R13: a catch-up that waits for its repository holds a slot": """
            SELECT 1 FROM arm JOIN run USING (host_id, arm_id) WHERE arm.state = 'waiting'
            AND arm.wait = 'REPOSITORY_UNREACHABLE'""",
        "R11: an arm is listed before its settle time is over": """
            SELECT 1 FROM arm WHERE state = 'settling' AND listed""",
    },
    "jobs": {
        "R15: two attempts of a run at once": """
            SELECT 1 FROM job INDEXED BY watched_runs WHERE status IN ('dispatched', 'running')
            AND run_id IS NOT NULL GROUP BY run_id HAVING count(*) > 1""",
        "R15: an attempt waits although its run has succeeded": """
            SELECT 1 FROM job JOIN job AS other USING (run_id) WHERE job.status = 'requested'
            AND other.status IN ('succeeded', 'succeeded_with_warnings')""",
        "two jobs run on one host whose reports have arrived": """
            SELECT 1 FROM job INDEXED BY watched_hosts JOIN host USING (host_id)
            WHERE status IN ('dispatched', 'running') AND host.synced
            GROUP BY host_id HAVING count(*) > 1""",
    },
}

ALL_OF = {
    name: " UNION ALL ".join(f"SELECT ? WHERE EXISTS ({query})" for query in queries.values())
    for name, queries in NEVER.items()
}
"""All that a service is asked for in one statement: it gives the rules that are broken."""


LOSSES = {"log wiped", "log rewound", "log expired", "position lost"}
"""What makes services learn anew who is there."""

WATCHED = {
    "jobs": (
        "CREATE INDEX watched_runs ON job (run_id) WHERE status IN ('dispatched', 'running')",
        "CREATE INDEX watched_hosts ON job (host_id) WHERE status IN ('dispatched', 'running')",
        "CREATE INDEX watched_waiting ON job (run_id) WHERE status = 'requested'",
    ),
}
"""Indexes that only the queries of NEVER use: they are asked after every step."""


@dataclass(eq=False)
class Truth:
    """The record of a world."""

    world: World
    listening: set[str] = field(default_factory=set)
    periods: list[tuple[datetime, datetime]] = field(default_factory=list)
    period_start: datetime | None = None
    dark_since: datetime | None = None
    gate_since: datetime | None = None
    restless_until: datetime | None = None
    executed: set[str] = field(default_factory=set)
    succeeded: set[str] = field(default_factory=set)
    muted: dict[tuple[str, str], datetime] = field(default_factory=dict)
    lost_at: list[datetime] = field(default_factory=list)
    clock_set_at: datetime | None = None
    silences: dict[str, Silence] = field(default_factory=dict)
    perhaps_ended: set[str] = field(default_factory=set)
    unanswered: int = 0  # silences that were asked for
    dark_sites: list[Darkness] = field(default_factory=list)
    handled: list[Handled] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    wanted: Counter[str] = field(default_factory=Counter)

    # --- what happens

    def disturb(self, what: str, lasting: timedelta = timedelta()) -> None:
        """Something happened after which the services need a while until they can be judged."""
        self.counts[what] += 1
        if what in LOSSES:
            self.lost_at.append(self.world.now)
        until = self.world.now + lasting + self.world.pace.offline_after * 3
        self.restless_until = max(self.restless_until or until, until)

    @property
    def blackouts(self) -> list[tuple[datetime, datetime]]:
        """From when until when no gateway listened; what goes on ends now."""
        begins = [begin for begin, _ in self.periods[1:]]
        last = self.period_start if self.listening else None
        ends = [*begins, last or self.world.now][: len(self.periods)]
        return list(zip((end for _, end in self.periods), ends, strict=True))

    @property
    def is_quiet(self) -> bool:
        return self.restless_until is None or self.world.now >= self.restless_until

    def began_listening(self, shell: Shell) -> None:
        if not self.listening:
            self.period_start = self.world.now
            dark = self.dark_since
            if dark is None or self.world.now - dark >= self.world.pace.offline_after:
                self.gate_since = self.world.now
        self.listening.add(shell.settings.gateway_id)

    def stopped_listening(self, shell: Shell) -> None:
        was_listening = bool(self.listening)
        self.listening.discard(shell.settings.gateway_id)
        if was_listening and not self.listening:
            self.dark_since = self.world.now
            if self.period_start is not None:
                self.periods.append((self.period_start, self.world.now))

    def clock_is_set(self, by: timedelta) -> None:
        """A gateway that notices listens anew: what it has not heard, it could not hear."""
        self.clock_set_at = max(self.world.now, self.world.now + by)
        if by < timedelta():
            self.disturb("clock set back", -by)  # Nothing is said of a time that comes twice.
        else:
            if self.restless_until is not None:
                self.restless_until += by  # What goes on lasts as long as before.
            self.disturb("clock set ahead", by + timedelta(minutes=5))
        if abs(by) > self.world.pace.offline_after / 2 and self.listening:
            self.listening.clear()
            self.dark_since = self.world.now
            if self.period_start is not None:
                self.periods.append((self.period_start, self.world.now))
        if by < timedelta():
            self._forget_time_that_comes_again(self.world.now + by)

    def _forget_time_that_comes_again(self, after: datetime) -> None:
        """Who was heard in it the first time was not silent in it the second time."""
        self.periods = [(min(a, after), min(b, after)) for a, b in self.periods]

    def longest_silence(self, left: datetime, judged_after: datetime) -> timedelta:
        """Return how long somebody who left was silent within one unbroken period, at the most.

        Periods that ended before `judged_after` led to what an operator has ended since.
        """
        now = self.world.now
        spans = [*self.periods, (self.period_start or now, now)]
        after = max(left, judged_after)
        silences = (until - max(since, left) for since, until in spans if until >= after)
        return max(silences, default=timedelta())

    def executes(self, agent: Sleeper, job: str) -> None:
        """R15 at the agent: nothing is executed twice, and one at a time."""
        self.counts["runs"] += 1
        if job in self.executed:
            self.world.violated(f"R15: {agent.name} executes job {job} twice")
        if agent.running is not None:
            self.world.violated(f"R15: {agent.name} executes two jobs at once")
        self.executed.add(job)

    def sends(self, host_id: str, frame: dict[str, Any]) -> None:
        """R15 at the server: no run is sent whose success has been acknowledged, and none that
        locks a repository which another job has locked."""
        if frame["type"] != "run":
            return
        if frame["job_id"] in self.succeeded:
            self.world.violated(f"R15: job {frame['job_id']} is sent after its success")
        agent = self.world.agents[host_id]
        holder = next((one for one in self.world.sharing(agent) if self._holds(one, agent)), None)
        if frame["kind"] in EXCLUSIVE and holder is not None:
            self.world.violated(f"a {frame['kind']} is sent to {agent.name} while {holder.name} "
                                "has locked the repository")  # fmt: skip

    def _holds(self, agent: Agent, asked: Agent) -> bool:
        """Whether an agent other than `asked` does what locks its repository, and all know of it:
        its reports arrived long ago, and the job was sent to it a while ago."""
        running, synced, now = agent.running, agent.synced_at, self.world.now
        if agent is asked or running is None or running.kind not in EXCLUSIVE:
            return False
        if agent.link is None or not agent.link.greeted or synced is None:
            return False
        long_there = synced < now - self.world.pace.offline_after
        return long_there and running.began < now - timedelta(seconds=30)

    # --- what must never be

    def watch(self, node: Node) -> None:
        for index in WATCHED.get(node.name, ()):
            node.db.execute(index)

    def check(self, node: Node) -> None:
        """Called after each committed position at which all that is due has been decided."""
        query = ALL_OF.get(node.name)
        broken = query and node.db.execute(query, tuple(NEVER[node.name])).fetchone()
        if broken:
            self.world.violated(broken[0])
