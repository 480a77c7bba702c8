"""Bursts of about 5,000 events for one service each, the same in every run.

A burst is a list of stages. A stage is published as fast as the bus takes it; the next one begins
once the service has nothing left to do. Within a stage nothing contradicts what a service may
decide in its middle, so that the outcome does not depend on where its batches begin and end. What
a service asks for, `react` answers as its neighbour would.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from libs.common.bus.base import Outgoing
from libs.common.clock import SystemClock
from libs.common.events.agent import AgentHello, AgentOffline, AgentSynced, OfflineReason
from libs.common.events.base import Event, encode
from libs.common.events.host import HostEnrolled, HostRecord, Schedule, SourceGroup, Thresholds

SIZE = 5000
STEP = timedelta(seconds=5)
BASE = SystemClock().now().replace(second=0, microsecond=0) - timedelta(hours=9)
"""When bursts begin: so long ago that all their events lie in the past."""
_OWNERS = {"agent": "gateway", "gateway": "gateway", "host": "registry", "job": "jobs",
           "alert": "alerting", "notification": "notify"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Said:
    """An event, and the bus user who may publish it."""

    user: str
    message: Outgoing


class Teller:
    """Words events: their ids count up, their times begin with BASE and go on by 5 s."""

    def __init__(self) -> None:
        self.base = BASE
        self.said = 0

    @property
    def now(self) -> datetime:
        """When the next event happens."""
        return self.base + STEP * self.said

    def say(self, event: Event, event_id: str | None = None, at: datetime | None = None) -> Said:
        """Return the event as its owner publishes it. An answer must bring its own id and time."""
        if event_id is None:
            self.said += 1
        _, family, place, *_ = event.subject().split(".")
        user = place if family == "audit" else _OWNERS.get(family, family)
        chosen = event_id or f"{self.said:026d}"
        data = encode(event, event_id=chosen, source=f"dormice/{user}", time=at or self.now)
        return Said(user, Outgoing(chosen, event.subject(), data))


Stage = list[Said]
React = Callable[[Event], Iterable[Said]]


@dataclass(frozen=True, slots=True)
class Burst:
    """What happens to a service; `react` answers an event of its own, `run` a job that it sends.

    `run` is given the host, its session, and the job's id.
    """

    stages: list[Stage]
    react: React = field(default=lambda _: ())
    run: Callable[[str, str, str], list[Said]] = field(default=lambda *_: [])


def is_said(event_id: str) -> bool:
    """Say whether an event of the log is the burst's, not the service's."""
    return event_id.startswith("0000")


def host_id(number: int) -> str:
    return f"h{number:03d}"


def record(number: int, at: datetime, **changes: object) -> HostRecord:
    """Return a host with one source group and one schedule that fired on January 1st."""
    group = SourceGroup(id=f"g{number:03d}", name="home", includes=("/home",))
    schedule = Schedule(id=f"s{number:03d}", name="yearly", cron="0 0 1 1 *",
                        source_group_ids=(group.id,))  # fmt: skip
    made = HostRecord(
        id=host_id(number), name=f"host-{number:03d}", enrolled_at=at, schedules=(schedule,),
        source_groups=(group,), repository_id="r1",
        thresholds=Thresholds(stale_seconds=30 * 86400),
    )  # fmt: skip
    return made.model_copy(update=changes)


def session(number: int, cycle: int) -> str:
    return f"session-{number:03d}-{cycle:03d}"


def enrolled(tell: Teller, number: int, **changes: object) -> Said:
    found = record(number, tell.base, **changes)
    return tell.say(HostEnrolled(host_id=found.id, record=found))


def hello(tell: Teller, number: int, cycle: int, **more: object) -> Said:
    fields = {"gateway": "gw-1", "connection": cycle + 1, "agent_version": f"1.{cycle}"} | more
    return tell.say(AgentHello(host_id=host_id(number), session=session(number, cycle), **fields))


def synced(tell: Teller, number: int, cycle: int) -> Said:
    return tell.say(AgentSynced(host_id=host_id(number), session=session(number, cycle)))


def offline(tell: Teller, number: int, cycle: int, last_seen: datetime | None = None) -> Said:
    return tell.say(
        AgentOffline(
            host_id=host_id(number), session=session(number, cycle),
            last_seen=last_seen or tell.now, reason=OfflineReason.HEARTBEAT_TIMEOUT,
        )
    )  # fmt: skip
