"""One run of chaos: everything starts, faults happen, everything must be well again."""

from __future__ import annotations

import asyncio
import resource
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from libs.common.aio import cancel
from libs.common.clock import SystemClock
from tests.chaos.api import Api, Unknown
from tests.chaos.deployment import Deployment
from tests.chaos.faults import Faults, Say
from tests.chaos.figures import AGREEMENT_SECONDS, CALM_SECONDS, DRAIN_SECONDS
from tests.chaos.fleet import Fleet
from tests.chaos.messages import count_repeats, judge_messages, untold_ends
from tests.chaos.observed import Log, look, read_log
from tests.chaos.oracle import Opinion, Oracle
from tests.chaos.plan import Plan
from tests.chaos.receiver import Receiver
from tests.chaos.records import judge_log

LOOK_SECONDS = 2.0
LAST_LOOKS = 10
FEW = 5
"""So many events wait while agents work."""
JUDGES_OF_SILENCE = ("gateway", "alerting", "presence")


@dataclass(frozen=True, slots=True)
class Options:
    """What to run. `keep`: leave state and logs behind."""

    plan: Plan
    agents: int
    keep: bool


@dataclass
class World:
    """Everything that takes part."""

    plan: Plan
    say: Say
    deployment: Deployment
    fleet: Fleet
    receiver: Receiver
    faults: Faults
    api: Api


@asynccontextmanager
async def world_of(options: Options, folder: Path, say: Say) -> AsyncIterator[World]:
    """Start all of it; end all of it, whatever happened."""
    plan = options.plan
    deployment, receiver = Deployment(folder, plan, keep=options.keep), Receiver()
    fleet = Fleet(plan.seed, options.agents)
    api: Api | None = None
    try:
        await receiver.start()
        await deployment.start()
        say("every service is ready")
        api = Api(deployment.web, deployment.admin_token)
        channel = {"name": "pager", "kind": "webhook", "config": {"url": receiver.url}}
        await api.ask("POST", "/channels", channel)
        await fleet.enroll(deployment.gateway, api)
        say(f"{len(fleet.agents)} agents are enrolled")
        await fleet.wait_configured()
        fleet.start()
        say("every agent has its configuration")
        faults = Faults(deployment, receiver, say)
        yield World(plan, say, deployment, fleet, receiver, faults, api)
    finally:
        await fleet.die()
        if api is not None:
            await api.close()
        await deployment.stop()
        await receiver.stop()


async def trouble(world: World) -> None:
    """The agents live, an operator works, and the plan is carried out."""
    operator = asyncio.create_task(world.fleet.operate(world.api))
    living = asyncio.create_task(world.fleet.live(world.plan.seconds))
    try:
        await world.faults.inflict(world.plan)
        await living
        if operator.done():
            operator.result()
    finally:
        await cancel(living)
        await cancel(operator)


async def calm_down(world: World) -> list[str]:
    """Wait until all is as the rules want it, and stays so; return what is not in time."""
    loop = asyncio.get_running_loop()
    late = await _drain(world)
    if late:
        return late
    oracle, end = _oracle(world), loop.time() + CALM_SECONDS
    agreed_since: float | None = None
    looks: list[list[str]] = []
    while True:
        world.fleet.check()
        opinion, now = await _look(world, oracle), loop.time()
        agreed_since = (agreed_since or now) if opinion.agrees else None
        if agreed_since is not None and now - agreed_since >= AGREEMENT_SECONDS:
            return []
        looks = [*looks[-LAST_LOOKS:], opinion.wrong + opinion.undecided]
        if now > end:
            return min(looks, key=len)  # What remains when no burst is under way.
        _say_progress(world, opinion)
        await asyncio.sleep(LOOK_SECONDS)


def _say_progress(world: World, opinion: Opinion) -> None:
    if not opinion.agrees:
        first = (opinion.wrong + opinion.undecided)[0][:110]
        world.say(f"{len(opinion.wrong)} wrong, {len(opinion.undecided)} undecided; first: {first}")


async def _drain(world: World) -> list[str]:
    """Return once everything is ready and said what it decided; else what is not in time."""
    loop = asyncio.get_running_loop()
    end = loop.time() + DRAIN_SECONDS
    while True:
        late = await world.deployment.not_ready()
        backlog = await world.deployment.backlog()
        if not late and all(0 <= count <= FEW for count in backlog.values()):
            world.say("every service is ready and has nothing more to say")
            return []
        if loop.time() > end:
            return [*late, f"not on the bus: {backlog}"]
        world.say(f"waiting for {len(late)} services; not on the bus: {backlog}")
        await asyncio.sleep(LOOK_SECONDS)


def _oracle(world: World) -> Oracle:
    fleet, now = world.fleet, SystemClock().now()
    return Oracle(fleet.agents, fleet.modes, now, world.faults.skewed)


async def _look(world: World, oracle: Oracle) -> Opinion:
    opinion = Opinion(wrong=await world.deployment.not_ready())
    try:
        seen = await look(world.api)
    except Unknown as error:
        opinion.wrong.append(f"the API does not answer: {error}")
        return opinion
    judged = oracle.judge(seen, SystemClock().now())
    lost = [f"R18: job {job} was promised and is not shown" for job in world.fleet.manual_jobs
            if job not in seen.jobs]  # fmt: skip
    return Opinion(opinion.wrong + judged.wrong + lost, judged.undecided)


async def final_log(world: World) -> Log:
    """Read the log to its end, past every proxy, when no agent has anything more to say."""
    await world.fleet.die()
    bus = world.deployment.nats.bus("ui")
    await bus.connect()
    try:
        return await read_log(bus)
    finally:
        await bus.close()


def verdict(world: World, log: Log) -> list[str]:
    """Return what is wrong that no patience mends."""
    clocks_right = world.plan.clock not in JUDGES_OF_SILENCE
    found = [*world.faults.broken, *world.fleet.broken_rules()]
    for process in world.deployment.processes.values():
        found += process.ended_by_itself
    found += judge_log(log, world.fleet.agents, clocks_right=clocks_right)
    told = world.receiver.told()
    found += judge_messages(told, world.receiver.disturbed, log.events)
    return found + untold_ends(told, log.events)


_WHO = {resource.RUSAGE_SELF: "agents", resource.RUSAGE_CHILDREN: "processes that were killed"}


def figures(world: World, log: Log) -> Counter[str]:
    """Return what happened, so that nobody takes a run in which nothing did for a good one."""
    counts: Counter[str] = Counter(world.fleet.counts)
    for agent in world.fleet.agents:
        counts["sessions"] += len(agent.ledger.sessions)
        counts["runs executed"] += len(agent.ledger.executions)
        counts["reports acknowledged"] += len(agent.ledger.acknowledged)
        counts["beats answered"] += len(agent.ledger.answered)
        counts.update(agent.ledger.counts)
    for one in log.events:
        if one.event.type.startswith(("dormice.alert", "dormice.catchup", "dormice.gateway")):
            kind = getattr(getattr(one.event, "alert", None), "kind", "")
            counts[f"{one.event.type.removeprefix('dormice.')} {kind}".strip()] += 1
    for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
        used = resource.getrusage(who)
        counts[f"seconds of a core, {_WHO[who]}"] = int(used.ru_utime + used.ru_stime)
    counts["events in the log"] = len(log.events)
    counts["events in the log twice"] = log.repeated_ids
    counts["messages"] = len(world.receiver.received)
    counts["messages that came again"] = count_repeats(world.receiver.told())
    return counts
