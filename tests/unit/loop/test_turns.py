"""One step at a time in a process, by rank."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from threading import Event, Thread

import pytest

from libs.common.bus.base import LogMessage
from libs.common.events.agent import AgentHello
from libs.common.events.base import encode
from libs.common.loop.core import Core
from libs.common.loop.machine import Machine
from libs.common.loop.step import Position
from libs.common.loop.turns import TURNS, Rank, Turns, rank_of
from libs.common.loop.tx import Tx
from libs.common.store.database import open_connection
from tests.integration.loop.counter import Counter

SECONDS = 10
MINUTE = timedelta(minutes=1)
NOW = datetime(2026, 6, 15, 9, 0, tzinfo=UTC)


class Steps:
    """Threads that take a turn each and leave their names when they have it."""

    def __init__(self) -> None:
        self.turns = Turns()
        self.done: list[str] = []

    def step(self, name: str, rank: Rank) -> None:
        with self.turns.turn(rank):
            self.done.append(name)

    def begin(self, name: str, rank: Rank) -> Thread:
        """Start a thread that takes a turn; return once it waits for it."""
        thread = Thread(target=self.step, args=(name, rank), daemon=True)
        begin(thread, self.turns)
        return thread


def begin(thread: Thread, turns: Turns) -> None:
    """Start a thread that needs a turn; return once it waits for it."""
    others, tick = len(turns._waiting), Event()
    thread.start()
    for _ in range(SECONDS * 1000):
        if len(turns._waiting) > others:
            return
        tick.wait(0.001)
    pytest.fail("it does not wait")


@pytest.mark.parametrize(("asked", "agents_wait", "rank"), [
    (False, False, Rank.FOLLOWING), (True, False, Rank.ASKED),
    (False, True, Rank.AGENTS), (True, True, Rank.AGENTS),
])  # fmt: skip
def test_ranks(asked: bool, agents_wait: bool, rank: Rank) -> None:
    assert rank_of(asked=asked, agents_wait=agents_wait) is rank


def test_who_waits_goes_by_rank_then_as_they_came() -> None:
    steps = Steps()
    wanted = [("f1", Rank.FOLLOWING), ("a1", Rank.ASKED), ("f2", Rank.FOLLOWING),
              ("g", Rank.AGENTS), ("a2", Rank.ASKED)]  # fmt: skip
    with steps.turns.turn(Rank.FOLLOWING):
        threads = [steps.begin(name, rank) for name, rank in wanted]
        assert steps.done == []
    for thread in threads:
        thread.join(SECONDS)
    assert steps.done == ["g", "a1", "a2", "f1", "f2"]


def test_a_higher_rank_goes_first_amid_a_step() -> None:
    steps = Steps()
    with steps.turns.turn(Rank.FOLLOWING):
        steps.begin("g", Rank.AGENTS)
        steps.turns.give_way()
        assert steps.done == ["g"]


@pytest.mark.parametrize("rank", list(Rank))
def test_nobody_gives_way_to_an_equal(rank: Rank) -> None:
    steps = Steps()
    with steps.turns.turn(rank):
        other = steps.begin("other", rank)
        steps.turns.give_way()
        steps.done.append("own")
    other.join(SECONDS)
    assert steps.done == ["own", "other"]


def test_after_giving_way_a_step_has_its_own_rank_again() -> None:
    steps = Steps()
    with steps.turns.turn(Rank.FOLLOWING):
        for name in ("first", "second"):
            steps.begin(name, Rank.ASKED)
            steps.turns.give_way()
        assert steps.done == ["first", "second"]


def test_a_step_that_fails_leaves_its_turn() -> None:
    steps = Steps()
    with pytest.raises(ZeroDivisionError), steps.turns.turn(Rank.ASKED):
        _ = 1 / 0
    steps.step("next", Rank.FOLLOWING)
    assert steps.done == ["next"]


class Follower(Counter):
    """Leaves what it has done; amid one of those moments another service is asked."""

    def __init__(self, done: list[str], moment: str, asking: Thread) -> None:
        super().__init__()
        self._done, self._moment, self._asking = done, moment, asking

    def on_hello(self, tx: Tx, event: AgentHello) -> None:
        super().on_hello(tx, event)
        self._note(f"hello {event.host_id}")

    def on_quiet(self, tx: Tx, key: str, due_at: datetime) -> None:
        super().on_quiet(tx, key, due_at)
        self._note(f"quiet {key}")

    def _note(self, moment: str) -> None:
        self._done.append(moment)
        if moment == self._moment:
            begin(self._asking, TURNS)


class Door(Counter):
    agents_wait = True


def core_of(machine: Machine) -> Core:
    core = Core(machine, open_connection(":memory:", Counter.package))
    core.start_at(Position("log-1", 0, ""), {}, NOW, again=False)
    return core


def hello(seq: int) -> LogMessage:
    event = AgentHello(host_id=f"h{seq}", session=f"s{seq}", gateway="gw-1")
    data = encode(event, event_id=f"e{seq}", source="dormice/gateway", time=NOW)
    return LogMessage(seq, event.subject(), data, f"e{seq}")


def call_of(machine: Machine, done: list[str]) -> Thread:
    """Return a thread in which this service is asked."""
    core = core_of(machine)
    return Thread(target=lambda: core.step([], [lambda _: done.append("call")], now=NOW))


def test_a_call_waits_for_one_event_of_another_service_not_for_its_batch() -> None:
    done: list[str] = []
    call = call_of(Counter(), done)
    follower = core_of(Follower(done, "hello h1", call))
    follower.step([hello(1), hello(2)], now=NOW)
    call.join(SECONDS)
    assert done == ["hello h1", "call", "hello h2"]


def test_agents_wait_for_one_deadline_of_another_service_not_for_all() -> None:
    done: list[str] = []
    call = call_of(Door(), done)
    follower = core_of(Follower(done, "quiet h1", call))
    follower.step([hello(1), hello(2)], now=NOW)
    follower.step([], now=NOW + MINUTE, deadlines=True)
    call.join(SECONDS)
    assert done[2:] == ["quiet h1", "call", "quiet h2"]
