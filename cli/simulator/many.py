"""Plays many worlds, several at once: each in one thread of a process of its own."""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import replace

from cli.simulator.play import Plan, Result, play
from libs.common.logging import configure

ANY_SIZE = 0
SIZES = (5, 8, 5, 20, 5, 50, 5, 8, 5, 200)
"""How many hosts one world after another has, if nobody says."""
AHEAD = 2


def plan_of(seed: int, plan: Plan) -> Plan:
    """Return the plan of one world; `plan.hosts` ANY_SIZE leaves the size to the seed."""
    return replace(plan, hosts=plan.hosts or SIZES[seed % len(SIZES)])


def play_many(seeds: Iterable[int], plan: Plan, workers: int) -> Iterator[Result]:
    """Yield what became of each world, in the order of `seeds`, which is read a little ahead.

    Who closes this early waits for the worlds under way.
    """
    started: deque[Future[Result]] = deque()
    with ProcessPoolExecutor(workers, initializer=_begin) as pool:
        try:
            for seed in seeds:
                started.append(pool.submit(play, seed, plan_of(seed, plan)))
                if len(started) >= workers * AHEAD:
                    yield started.popleft().result()
            while started:
                yield started.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def _begin() -> None:
    """Ctrl-C is the parent's to hear; of what services log only the outcome counts."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    configure(level="critical")
