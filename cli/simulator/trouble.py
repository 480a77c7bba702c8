"""What goes wrong, and what operators do: each a disturbance drawn from the seed.

Disturbances are counted, and only the first `limit` of them happen: so the shortest prefix that
still fails can be found.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING, Any

from cli.simulator.node import CrashPoint, Node
from libs.common.bus.base import Outgoing
from libs.common.events.host import HostRecord

if TYPE_CHECKING:
    from cli.simulator.agent import Agent
    from cli.simulator.world import World

DAY = 24 * 3600.0
MINUTE = timedelta(minutes=1)


def _end(node: Node) -> None:
    """Kill a service that had nothing to do, and so never came to its crash point."""
    if node.up and node.crash_at is not None:
        node.kill()


class Trouble:
    """Disturbs a world, `per_day` times a day on average."""

    def __init__(self, world: World, random: Random, *, per_day: float, limit: int) -> None:
        self._world, self._random, self._limit = world, random, limit
        self._mean = DAY / per_day
        self.happened: list[str] = []
        self._kinds: dict[Callable[[Random], None], float] = {
            self.crash: 8, self.long_outage: 1, self.bus_blip: 2, self.bus_outage: 1,
            self.cut_links: 3, self.cut_mid_publish: 3, self.repeat: 4, self.slow_service: 2,
            self.change_mode: 3, self.edit_schedule: 3, self.back_up: 3, self.handle_alert: 3,
            self.cancel: 1, self.move_zone: 1, self.remove: 0.3,
        }  # fmt: skip
        self._later()

    def _later(self) -> None:
        self._world.after(self._random.expovariate(1 / self._mean), self._one)

    def _one(self) -> None:
        kind = self._random.choices(list(self._kinds), list(self._kinds.values()))[0]
        own = Random(self._random.getrandbits(64))  # noqa: S311  What is left out shifts nothing.
        if len(self.happened) < self._limit:
            self.happened.append(f"{self._world.now:%Y-%m-%d %H:%M:%S} {kind.__name__}")
            kind(own)
        self._later()

    # --- services and bus

    def crash(self, random: Random) -> None:
        """Kill a service at its next step, between any two of the loop's moves."""
        node = random.choice(list(self._world.nodes.values()))
        point = random.choice(list(CrashPoint))
        away = random.choice([0.5, 5.0, 60.0]) * random.random()
        self._world.truth.disturb(f"crash {point.name.lower()}", timedelta(seconds=away + 120))
        node.crash_at = point
        self._world.after(60, lambda: _end(node))
        self._restart_when_dead(node, away)

    def _restart_when_dead(self, node: Node, away: float) -> None:
        if node.up:
            self._world.after(1.0, lambda: self._restart_when_dead(node, away))
        else:
            self._world.after(away, lambda: None if node.up else node.start())

    def long_outage(self, random: Random) -> None:
        """The gateway, or all of the control plane, is gone for hours."""
        nodes = list(self._world.nodes.values())
        if random.random() < 0.5:
            nodes = [shell.node for shell in self._world.shells]
        seconds = random.choice([200.0, 3600.0, 8 * 3600.0]) * random.uniform(0.5, 1.5)
        self._world.truth.disturb("outage", timedelta(seconds=seconds))
        for node in nodes:
            if node.up:
                node.kill()
                back = seconds + random.uniform(0, 10)
                self._world.after(back, lambda node=node: None if node.up else node.start())  # type: ignore[misc]

    def bus_blip(self, random: Random) -> None:
        self._bus_away(random.uniform(0.1, 5))

    def bus_outage(self, random: Random) -> None:
        self._bus_away(random.choice([120.0, 3600.0]) * random.uniform(0.5, 1.5))

    def _bus_away(self, seconds: float) -> None:
        self._world.truth.disturb("bus away", timedelta(seconds=seconds))
        self._world.take_bus_away()
        self._world.after(seconds, self._world.bring_bus_back)

    def cut_mid_publish(self, random: Random) -> None:
        """The bus takes a few more messages, and goes in the middle of a batch."""
        self._world.truth.disturb("cut in a publish", 5 * MINUTE)
        self._world.log.fail_after = random.randrange(4)

    def repeat(self, random: Random) -> None:
        """A fact comes twice, as long after the first time as it likes."""
        log = self._world.log
        info = log.info() if log.available else None
        if info is None or info.last_seq < info.first_seq:
            return
        seq = random.randint(info.first_seq, info.last_seq)
        message = log.read(seq, 1)[0]
        again = self._world.ids.next(self._world.now)
        self._world.truth.disturb("repeated event")
        log.append(Outgoing(again, message.subject, message.data))

    def slow_service(self, random: Random) -> None:
        """A service reads and sends late, for a while: others run ahead of it."""
        node = random.choice(list(self._world.nodes.values()))
        self._world.truth.disturb("slow service", timedelta(minutes=30))
        node.latency = random.uniform(1, 30)
        self._world.after(1200, lambda: setattr(node, "latency", 0.02))

    # --- network

    def cut_links(self, random: Random) -> None:
        """Connections break unseen: both sides find out by silence."""
        self._world.truth.disturb("links cut", self._world.pace.heartbeat * 3)
        for shell in self._world.shells:
            for link in list(shell.links.values()):
                if random.random() < 0.5:
                    shell.cut(link)
                    wait = self._world.pace.heartbeat.total_seconds() * 2.5
                    agent = link.agent
                    self._world.after(wait, lambda link=link, agent=agent: agent.notice_cut(link))  # type: ignore[misc]

    # --- operators

    def _some_host(self, random: Random) -> tuple[Agent, HostRecord] | None:
        hosts = self._world.log.buckets["hosts"]
        agent = random.choice(list(self._world.agents.values()))
        data = hosts.get(agent.host_id)
        record = HostRecord.model_validate_json(data) if data else None
        return None if record is None or record.removed else (agent, record)

    def _edit(self, agent: Agent, verb: str, **arguments: Any) -> None:
        self._world.truth.disturb(verb)
        agent.edited_at = self._world.now
        self._world.registry.call(verb, host_id=agent.host_id, **arguments)

    def change_mode(self, random: Random) -> None:
        found = self._some_host(random)
        if found:
            found[0].mode_set_at = self._world.now
            self._edit(found[0], "set_mode", always_on=random.random() < 0.5)

    def edit_schedule(self, random: Random) -> None:
        found = self._some_host(random)
        if found and found[1].schedules:
            schedule = random.choice(found[1].schedules)
            self._edit(found[0], "patch_schedule", id=schedule.id, enabled=not schedule.enabled)

    def move_zone(self, random: Random) -> None:
        found = self._some_host(random)
        if found:
            found[0].zone = random.choice(["Europe/Berlin", "America/New_York", "Asia/Tokyo"])
            found[0].edited_at = self._world.now + timedelta(days=2)
            self._world.truth.disturb("moved")

    def remove(self, random: Random) -> None:
        found = self._some_host(random)
        if found and len(self._world.agents) > 2:
            found[0].removed = True
            found[0].fall_asleep(None)
            self._edit(found[0], "remove_host")

    def back_up(self, random: Random) -> None:
        found = self._some_host(random)
        if found:
            group = random.choice(found[1].source_groups)
            found[0].edited_at = self._world.now
            self._world.truth.disturb("manual backup", timedelta(hours=2))
            self._world.nodes["jobs"].call(
                "backup", host_id=found[0].host_id, source_group_id=group.id,
                when_it_wakes=random.random() < 0.7,
            )  # fmt: skip

    def cancel(self, random: Random) -> None:
        db = self._world.nodes["jobs"].db
        rows = db.execute("SELECT job_id FROM job WHERE finished_at IS NULL").fetchall()
        if rows:
            self._world.truth.disturb("job cancelled", timedelta(hours=1))
            self._world.nodes["jobs"].call("cancel", job_id=random.choice(rows)[0])

    def handle_alert(self, random: Random) -> None:
        db = self._world.nodes["alerting"].db
        rows = db.execute("SELECT alert_id, host_id, kind FROM alert WHERE state != 'resolved'")
        found = rows.fetchall()
        if found:
            alert_id, host_id, kind = random.choice(found)
            verb = random.choice(["acknowledge", "resolve"])
            self._world.truth.disturb(verb)
            if verb == "resolve":
                self._world.truth.muted[host_id, kind] = self._world.now + 2 * MINUTE
            self._world.nodes["alerting"].call(verb, alert_id=alert_id)
