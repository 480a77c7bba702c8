"""The plan of faults: a pure function of the seed and the time that there is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random

from cli.services import NAMES

BUS = "nats"
AGENTS = "agents"
RECEIVER = "receiver"
PROCESSES = (*NAMES, BUS)
SMALL_DISKS = 3
SECONDS_PER_FAULT = 3.0
STOP_SECONDS = 30.0
JUMPS = (-90.0, -20.0, 15.0, 45.0, 120.0)


class Kind(StrEnum):
    """What can be done to the world."""

    KILL = "kill -9"
    STOP = "SIGSTOP"
    BUS_RESTART = "bus restarted"
    CUT = "connections cut"
    SLOW = "connections slowed"
    DISK_FULL = "disk full"
    CLOCK_JUMP = "clock jumped"
    SECOND_INSTANCE = "second instance"
    RECEIVER_DOWN = "receiver down"


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """At `at` seconds `kind` befalls `target`, for `length` seconds.

    `amount` is the jump of a clock or the delay of every chunk on a slow line, in seconds.
    """

    at: float
    kind: Kind
    target: str
    length: float = 0.0
    amount: float = 0.0

    def __str__(self) -> str:
        lasting = f" for {self.length:.1f} s" if self.length else ""
        amount = f" by {self.amount:+.2f} s" if self.amount else ""
        return f"{self.at:6.1f} s  {self.kind} {self.target}{amount}{lasting}"


@dataclass(frozen=True, slots=True)
class Plan:
    """`clock` is the one service under libfaketime; `disks` are those with a small disk."""

    seed: int
    seconds: float
    clock: str
    disks: tuple[str, ...]
    faults: tuple[Fault, ...]

    @property
    def counts(self) -> Counter[Kind]:
        return Counter(fault.kind for fault in self.faults)


def make_plan(seed: int, seconds: float) -> Plan:
    """Return what happens within `seconds`: every kind at least once, every process killed."""
    random = Random(f"chaos:{seed}")
    clock = random.choice(NAMES)
    disks = tuple(sorted(random.sample(NAMES, SMALL_DISKS)))
    wanted = list(_at_least(random, clock, disks))
    while len(wanted) < seconds / SECONDS_PER_FAULT:
        wanted.append(_any(random, clock, disks))
    placed = (_place(random, fault, seconds) for fault in wanted)
    return Plan(seed, seconds, clock, disks, tuple(sorted(placed)))


def _at_least(random: Random, clock: str, disks: Sequence[str]) -> Iterable[Fault]:
    yield from (_fault(random, Kind.KILL, target) for target in PROCESSES)
    for kind in Kind:
        if kind is not Kind.KILL:
            yield _fault(random, kind, _target(random, kind, clock, disks))
    yield _fault(random, Kind.CUT, AGENTS)
    yield _fault(random, Kind.SLOW, AGENTS)


_WEIGHTS = {
    Kind.KILL: 12, Kind.STOP: 1, Kind.BUS_RESTART: 2, Kind.CUT: 5, Kind.SLOW: 3,
    Kind.DISK_FULL: 2, Kind.CLOCK_JUMP: 2, Kind.SECOND_INSTANCE: 2, Kind.RECEIVER_DOWN: 2,
}  # fmt: skip


def _any(random: Random, clock: str, disks: Sequence[str]) -> Fault:
    (kind,) = random.choices(list(_WEIGHTS), list(_WEIGHTS.values()))
    return _fault(random, kind, _target(random, kind, clock, disks))


def _target(random: Random, kind: Kind, clock: str, disks: Sequence[str]) -> str:
    candidates: dict[Kind, Sequence[str]] = {
        Kind.KILL: PROCESSES, Kind.STOP: PROCESSES, Kind.BUS_RESTART: (BUS,),
        Kind.CUT: (*NAMES, AGENTS), Kind.SLOW: (*NAMES, AGENTS), Kind.DISK_FULL: disks,
        Kind.CLOCK_JUMP: (clock,), Kind.SECOND_INSTANCE: NAMES, Kind.RECEIVER_DOWN: (RECEIVER,),
    }  # fmt: skip
    return random.choice(candidates[kind])


def _fault(random: Random, kind: Kind, target: str) -> Fault:
    lengths: dict[Kind, float] = {
        Kind.KILL: random.choice((0.0, 0.2, random.uniform(0.5, 4), random.uniform(4, 12))),
        Kind.STOP: STOP_SECONDS,
        Kind.BUS_RESTART: random.uniform(0.0, 4.0),
        Kind.CUT: random.choice((0.0, 0.0, random.uniform(1, 10))),
        Kind.SLOW: random.uniform(4, 12),
        Kind.DISK_FULL: random.uniform(4, 10),
        Kind.CLOCK_JUMP: random.uniform(6, 20),
        Kind.RECEIVER_DOWN: random.uniform(3, 10),
    }
    amounts = {Kind.CLOCK_JUMP: random.choice(JUMPS), Kind.SLOW: random.choice((0.05, 0.3, 1.0))}
    return Fault(0.0, kind, target, lengths.get(kind, 0.0), amounts.get(kind, 0.0))


def _place(random: Random, fault: Fault, seconds: float) -> Fault:
    at = random.uniform(0.0, max(seconds - fault.length, 0.0))
    return Fault(at, fault.kind, fault.target, fault.length, fault.amount)
