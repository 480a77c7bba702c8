"""Does to the world what the plan says, and keeps a log of what was really done."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from libs.common.clock import SystemClock
from tests.chaos.deployment import Deployment
from tests.chaos.plan import BUS, Fault, Kind, Plan
from tests.chaos.receiver import Receiver

Say = Callable[[str], None]
Span = tuple[datetime, datetime]
NOTIFY = "notify"
SKEW_MARGIN = timedelta(seconds=5)
GRACE_SECONDS = 8.0
"""A start that met the full disk may end so long after there is room again."""


@dataclass
class Faults:
    """`done` counts by kind and target what was injected; `broken` is what a fault itself saw;
    `skewed` are the times in which a service had a wrong clock, and until no date that it gave
    then lies ahead any more."""

    deployment: Deployment
    receiver: Receiver
    say: Say
    done: Counter[tuple[Kind, str]] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)
    skewed: list[Span] = field(default_factory=list)
    _turns: dict[tuple[Kind, str], asyncio.Lock] = field(default_factory=dict)

    async def inflict(self, plan: Plan) -> None:
        """Return when the last fault is over."""
        loop = asyncio.get_running_loop()
        start = loop.time()

        async def one(fault: Fault) -> None:
            await asyncio.sleep(max(start + fault.at - loop.time(), 0.0))
            async with self._turns.setdefault((fault.kind, fault.target), asyncio.Lock()):
                self.say(str(fault))
                await _HOW[fault.kind](self, fault)
            self.done[fault.kind, fault.target] += 1

        await asyncio.gather(*(one(fault) for fault in plan.faults))

    async def _kill(self, fault: Fault) -> None:
        if fault.target == BUS:
            await self.deployment.kill_bus(fault.length)
            return
        if fault.target == NOTIFY:
            self.receiver.disturb()
        await self.deployment.processes[fault.target].kill(fault.length)

    async def _stop(self, fault: Fault) -> None:
        if fault.target == BUS:
            await self.deployment.freeze_bus(fault.length)
            return
        if fault.target == NOTIFY:
            self.receiver.disturb()
        await self.deployment.processes[fault.target].stop(fault.length)

    async def _restart_bus(self, fault: Fault) -> None:
        await self.deployment.restart_bus(fault.length)

    async def _cut(self, fault: Fault) -> None:
        self.deployment.lines.cut(fault.target, refuse=bool(fault.length))
        await asyncio.sleep(fault.length)
        self.deployment.lines.heal(fault.target)

    async def _slow(self, fault: Fault) -> None:
        self.deployment.lines.slow(fault.target, fault.amount)
        await asyncio.sleep(fault.length)
        self.deployment.lines.heal(fault.target)

    async def _fill_disk(self, fault: Fault) -> None:
        disk, process = self.deployment.disks[fault.target], self.deployment.processes[fault.target]
        process.may_refuse = True
        await asyncio.to_thread(disk.fill)
        await asyncio.sleep(fault.length)
        disk.free()
        await asyncio.sleep(GRACE_SECONDS)
        process.may_refuse = False

    async def _jump(self, fault: Fault) -> None:
        begun = SystemClock().now() - SKEW_MARGIN
        self.deployment.set_clock(fault.amount)
        await asyncio.sleep(fault.length)
        self.deployment.set_clock(0.0)
        lasting = SKEW_MARGIN + timedelta(seconds=abs(fault.amount))
        self.skewed.append((begun, SystemClock().now() + lasting))

    async def _start_second(self, fault: Fault) -> None:
        self.broken += await self.deployment.processes[fault.target].refuse_second()

    async def _refuse_messages(self, fault: Fault) -> None:
        self.receiver.go_down()
        await asyncio.sleep(fault.length)
        self.receiver.come_back()


_HOW: dict[Kind, Callable[[Faults, Fault], Awaitable[None]]] = {
    Kind.KILL: Faults._kill,
    Kind.STOP: Faults._stop,
    Kind.BUS_RESTART: Faults._restart_bus,
    Kind.CUT: Faults._cut,
    Kind.SLOW: Faults._slow,
    Kind.DISK_FULL: Faults._fill_disk,
    Kind.CLOCK_JUMP: Faults._jump,
    Kind.SECOND_INSTANCE: Faults._start_second,
    Kind.RECEIVER_DOWN: Faults._refuse_messages,
}
