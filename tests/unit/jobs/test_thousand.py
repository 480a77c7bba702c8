"""1,000 laptops opened at 09:00, in virtual time, through the machines of catch-up and jobs."""

from __future__ import annotations

import heapq
from collections import Counter
from datetime import datetime, timedelta
from random import Random
from typing import Any

from libs.common.events.catchup import CatchupFinished
from libs.common.testing.rig import START
from tests.unit.jobs.test_fleet import LAPTOP, SETTLE, Pair

LAPTOPS, REPOSITORIES = 1000, 100
FLEET_CAP, REPOSITORY_CAP = 20, 4
SLACK = 1.05


def least_time(lengths: list[timedelta]) -> timedelta:
    """Return the least time in which runs of these lengths can end, so many at once."""
    return max(sum(lengths, timedelta()) / FLEET_CAP, *lengths)


class Morning:
    """The laptops, and their runs that are under way: by when they end."""

    def __init__(self) -> None:
        random = Random(9)
        hosts = [
            LAPTOP.model_copy(
                update={"id": f"h{number:04}", "repository_id": f"r{number % REPOSITORIES}"}
            )
            for number in range(LAPTOPS)
        ]
        self.lengths = {one.id: timedelta(seconds=random.randint(60, 600)) for one in hosts}
        self.fleet = Pair(
            *hosts, catchup_max_fleet=FLEET_CAP, catchup_max_repository=REPOSITORY_CAP
        )
        self.running: list[tuple[datetime, str, dict[str, Any]]] = []
        for one in hosts:
            self.fleet.wake(one.id)
        self.fleet.advance(SETTLE)

    def begin(self) -> None:
        """Have the agents take what they were sent; never more than the caps allow."""
        for frame in self.fleet.inbox():
            self.fleet.take(frame)
            end = self.fleet.now + self.lengths[frame["host_id"]]
            heapq.heappush(self.running, (end, frame["host_id"], frame))
        assert len(self.running) <= FLEET_CAP
        by_repository = Counter(int(host[1:]) % REPOSITORIES for _, host, _ in self.running)
        assert max(by_repository.values(), default=0) <= REPOSITORY_CAP

    def end_next(self) -> None:
        end, _, frame = heapq.heappop(self.running)
        self.fleet.advance(end - self.fleet.now)
        self.fleet.end(frame)


def test_a_thousand_laptops_at_nine_in_the_least_time_that_the_caps_allow() -> None:
    morning = Morning()
    assert START.hour == 9
    began = morning.fleet.now
    morning.begin()
    while morning.running:
        morning.end_next()
        morning.begin()
    took = morning.fleet.now - began
    assert took <= SLACK * least_time(list(morning.lengths.values()))
    assert len(morning.fleet.executed) == len(set(morning.fleet.executed)) == LAPTOPS
    ended = morning.fleet.of(CatchupFinished)
    assert len({event.host_id for event in ended if event.succeeded == 1}) == LAPTOPS
