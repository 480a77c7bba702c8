"""What the log must and must not hold, compared with what the agents know."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from datetime import timedelta

from libs.common.events.agent import (
    AgentHello,
    AgentJobFinished,
    AgentJobStarted,
    AgentScheduleFired,
)
from libs.common.events.alert import AlertEvent, AlertKind, AlertRaised, AlertResolved
from libs.common.events.base import Envelope
from libs.common.events.host import Dead
from tests.chaos.agent import ChaosAgent
from tests.chaos.figures import FLOOR_SECONDS, HEARTBEAT_SECONDS
from tests.chaos.observed import Log

FLOOR = timedelta(seconds=FLOOR_SECONDS)
SLACK = timedelta(seconds=2 * HEARTBEAT_SECONDS + 1)


def judge_log(log: Log, agents: list[ChaosAgent], *, clocks_right: bool) -> list[str]:
    """Return what is missing or wrong. `clocks_right`: no clock of a judge of silence jumped."""
    found = [*_missing_reports(log, agents), *_missing_sessions(log, agents)]
    found += [*_raised_twice(log.events), *_dead(log.events)]
    return found + (list(_told_of_the_living(log.events, agents)) if clocks_right else [])


def _missing_reports(log: Log, agents: list[ChaosAgent]) -> Iterator[str]:
    """R18: every acknowledged report is in the log."""
    kept = {_report_key(one.event) for one in log.events}
    for agent in agents:
        for frame in agent.ledger.acknowledged:
            if frame["type"] == "schedule_fired":
                key = (
                    agent.host_id,
                    "schedule_fired",
                    frame["schedule_id"],
                    frame["fire_time"][:16],
                )
            else:
                key = (agent.host_id, frame["type"], frame["job_id"], "")
            if key not in kept:
                yield f"R18: {agent.hostname} was acknowledged {frame}: it is not in the log"


def _report_key(event: object) -> tuple[str, ...]:
    if isinstance(event, AgentScheduleFired):
        fire = event.fire_time.isoformat()[:16]
        return (event.host_id, "schedule_fired", event.schedule_id, fire)
    if isinstance(event, AgentJobStarted):
        return (event.host_id, "job_started", event.job_id, "")
    if isinstance(event, AgentJobFinished):
        return (event.host_id, "job_finished", event.job_id, "")
    return ()


def _missing_sessions(log: Log, agents: list[ChaosAgent]) -> Iterator[str]:
    """A welcome follows a durable hello."""
    kept = {one.event.session for one in log.events if isinstance(one.event, AgentHello)}
    for agent in agents:
        for session in agent.ledger.sessions:
            if session not in kept:
                yield f"R18: {agent.hostname} was welcomed as {session}: no hello in the log"


def _raised_twice(events: Iterable[Envelope]) -> Iterator[str]:
    """R7: between two raises of the same there is an end."""
    open_now: dict[tuple[str | None, str, str], str] = {}
    for one in events:
        if not isinstance(one.event, AlertEvent):
            continue
        alert = one.event.alert
        key = (alert.host_id, alert.kind, alert.dedup_key)
        if isinstance(one.event, AlertRaised):
            other = open_now.get(key)
            if other not in (None, alert.id):
                yield f"R7: {key} was raised as {alert.id} while {other} is open"
            open_now[key] = alert.id
        elif isinstance(one.event, AlertResolved) and open_now.get(key) == alert.id:
            del open_now[key]


def _dead(events: Iterable[Envelope]) -> Iterator[str]:
    """No service met an event that it could not apply."""
    for one in events:
        if isinstance(one.event, Dead):
            yield f"a service could not apply an event: {one.event}"


def _told_of_the_living(events: Iterable[Envelope], agents: list[ChaosAgent]) -> Iterator[str]:
    """R5, R10: nobody is told of a host that was answered within the floor."""
    by_id = {agent.host_id: agent for agent in agents}
    for one in events:
        if not isinstance(one.event, AlertRaised):
            continue
        alert = one.event.alert
        if alert.kind is not AlertKind.AGENT_OFFLINE or alert.host_id is None:
            continue
        agent = by_id[alert.host_id]
        answered = agent.ledger.answered
        place = bisect_right(answered, alert.raised_at)
        if place and alert.raised_at - answered[place - 1] < FLOOR - SLACK:
            yield (f"R5: {agent.hostname} was answered at {answered[place - 1]} and told of as "
                   f"silent at {alert.raised_at}: {alert.message}")  # fmt: skip
