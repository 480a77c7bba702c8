"""An agent that says anything in any order, against the real gateway: each gets its due answer.

The rules are the agent's whims; what they assert, and `closed`, is what PROTOCOL wants of them.
After each story every acknowledged report is in the log exactly once, and the gateway still serves.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any, TypeVar

import httpx
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from libs.common.events.agent import (
    AgentHello,
    AgentJobFinished,
    AgentJobStarted,
    AgentOffline,
    AgentScheduleFired,
)
from libs.common.ids import new_id
from libs.common.testing.fake_agent import FakeAgent
from services.gateway.app import Gateway
from tests.any_model import BROKEN_TEXT, any_json
from tests.effort import examples, stateful_phases
from tests.integration.gateway.conftest import World

T = TypeVar("T")
STORY_SECONDS = 60
NO_OBJECT = any_json(BROKEN_TEXT).filter(
    lambda value: not (isinstance(value, dict) and isinstance(value.get("type"), str))
)
GARBAGE = st.one_of(
    NO_OBJECT.map(json.dumps),
    st.sampled_from(["", "{", "no json", '{"type": 7}', '{"type": NaN}']),
    st.binary(max_size=20),
    st.sampled_from(
        [{"type": "goodbye", "reason": "boredom"}, {"type": "job_finished", "seq": 1},
         {"type": "heartbeat", "now": "2026-01-01T00:00:00"}, {"type": "power", "percent": 101},
         {"type": "job_started", "seq": -1, "job_id": "j", "at": "2026-01-01T00:00:00Z"}]
    ).map(json.dumps),
)  # fmt: skip
REPORTS = st.sampled_from(["job_started", "job_finished", "schedule_fired"])
UNNUMBERED = st.sampled_from(
    [{"type": "job_accepted", "job_id": "no such job"},
     {"type": "job_declined", "job_id": "no such job", "reason": "busy"},
     {"type": "config_applied", "version": 10**9, "error": "none of ours"},
     {"type": "power", "on_battery": True}, {"type": "job_progress", "job_id": "*.>", "percent": 1},
     {"type": "job_log", "job_id": "j", "offset": 0, "text": "\ud800"},
     {"type": "of a newer agent", "seq": 7}]
)  # fmt: skip


class Story(RuleBasedStateMachine):
    """One host and its agent. `world`, `gateway` and `loop` are those of the test."""

    world: World
    gateway: Gateway
    loop: asyncio.AbstractEventLoop

    def run(self, doing: Coroutine[Any, Any, T]) -> T:
        """Let the test's loop do something, and wait for it."""
        return asyncio.run_coroutine_threadsafe(doing, self.loop).result(STORY_SECONDS)

    @initialize()
    def enroll(self) -> None:
        self.agent = self.run(self.world.new_agent(self.gateway, f"host-{new_id().lower()}"))
        self.agent.applies_config = False
        self.is_open = self.is_live = False
        self.best = 0  # The largest connection counter that was welcomed.
        self.sent: dict[int, str] = {}  # seq → what the report is known by in the log
        self.acked = 0
        self.hellos = self.goodbyes = 0

    # -- dialling and hello ------------------------------------------------------------------------

    @rule()
    def dial(self) -> None:
        """A second dial drops the first socket without a word."""
        self.run(self.agent.dial())
        self.is_open, self.is_live = True, False

    @precondition(lambda self: self.is_open and not self.is_live)
    @rule(ahead=st.integers(1, 3), protocol=st.sampled_from([1, [0, 7], 1.0]))
    def hello(self, ahead: int, protocol: Any) -> None:
        self.best += ahead
        self.say_hello(connection=self.best, protocol=protocol)
        welcome = self.run(self.agent.wait_for("welcome"))
        assert welcome["host_id"] == self.agent.host_id
        assert welcome["protocol"] == 1
        self.is_live = True
        self.hellos += 1

    @precondition(lambda self: self.is_open and not self.is_live and self.best > 0)
    @rule(behind=st.integers(0, 3))
    def hello_with_an_old_counter(self, behind: int) -> None:
        self.say_hello(connection=max(0, self.best - behind))
        reason = self.closed(4409)
        assert str(self.best) in reason

    @precondition(lambda self: self.is_open and not self.is_live)
    @rule(change=st.sampled_from([
        ({"protocol": 2}, 4426), ({"protocol": [2, 3], "running": 7}, 4426),
        ({"protocol": None}, 4400), ({"protocol": "1"}, 4400), ({"running": 7}, 4400),
        ({"connection": "1"}, 4400), ({"now": "noon"}, 4400), ({"spool": {"id": ""}}, 4400),
    ]))  # fmt: skip
    def wrong_hello(self, change: tuple[dict[str, Any], int]) -> None:
        fields, code = change
        self.say_hello(**({"connection": self.best + 1} | fields))
        self.closed(code)

    @precondition(lambda self: self.is_live)
    @rule()
    def hello_twice(self) -> None:
        self.say_hello(connection=self.best + 1)
        self.closed(4400)

    @precondition(lambda self: self.is_live)
    @rule()
    def a_newer_connection_replaces_this_one(self) -> None:
        newer = FakeAgent(self.gateway.url, self.agent.token, self.agent.host_id)
        newer.applies_config = False
        newer.spool_id = self.agent.spool_id
        self.best += 1
        self.run(newer.dial())
        self.run(newer.send(newer.hello_frame(connection=self.best)))
        self.run(newer.wait_for("welcome"))
        self.hellos += 1
        reason = self.closed(4409)
        assert str(self.best) in reason
        self.agent, self.is_open, self.is_live = newer, True, True

    # -- nonsense ----------------------------------------------------------------------------------

    @precondition(lambda self: self.is_open and not self.is_live)
    @rule(frame=UNNUMBERED | st.sampled_from([{"type": "heartbeat"},
                                              {"type": "goodbye", "reason": "sleep"}]))  # fmt: skip
    def frame_before_hello(self, frame: dict[str, Any]) -> None:
        self.run(self.agent.send(frame))
        self.closed(4400)

    @precondition(lambda self: self.is_open)
    @rule(garbage=GARBAGE)
    def garbage(self, garbage: str | bytes) -> None:
        self.run(self.agent.send(garbage))
        self.closed(4400)

    # -- what is said in a session -----------------------------------------------------------------

    @precondition(lambda self: self.is_live)
    @rule()
    def heartbeat(self) -> None:
        self.run(self.agent.heartbeat())

    @precondition(lambda self: self.is_live)
    @rule(frame=UNNUMBERED)
    def about_nothing_known(self, frame: dict[str, Any]) -> None:
        self.run(self.agent.send(frame))
        self.run(self.agent.heartbeat())

    @precondition(lambda self: self.is_live)
    @rule(kind=REPORTS, gap=st.integers(1, 5))
    def report(self, kind: str, gap: int) -> None:
        """Numbers may have gaps. The id is unknown to the server; the fact stands all the same."""
        seq = self.acked + gap
        self.run(self.agent.send(self.new_report(kind, seq)))
        self.acknowledged(seq)

    @precondition(lambda self: self.is_live)
    @rule(kinds=st.lists(REPORTS, min_size=2, max_size=6), order=st.randoms(use_true_random=False))
    def reports_out_of_order(self, kinds: list[str], order: Any) -> None:
        """Once a larger number is taken, a smaller one counts as sent before."""
        numbers = list(range(self.acked + 1, self.acked + 1 + len(kinds)))
        order.shuffle(numbers)
        frames = []
        for count, (kind, seq) in enumerate(zip(kinds, numbers, strict=True)):
            frames.append(self.new_report(kind, seq))
            if seq < max(numbers[: count + 1]):
                del self.sent[seq]
        self.run(self._send_all(frames))
        self.acknowledged(max(numbers))

    @precondition(lambda self: self.is_live and self.sent)
    @rule(place=st.floats(0, 0.999), kind=REPORTS)
    def report_again(self, place: float, kind: str) -> None:
        """A number that was acknowledged is acknowledged again, whatever is said under it."""
        seq = sorted(self.sent)[int(place * len(self.sent))]
        known = self.sent[seq]
        self.run(self.agent.send(self.new_report(kind, seq)))
        self.sent[seq] = known
        self.acknowledged(self.acked)

    @precondition(lambda self: self.is_live)
    @rule()
    def fire_of_the_far_future(self) -> None:
        seq = self.acked + 1
        frame = self.new_report("schedule_fired", seq) | {"fire_time": "2099-01-01T00:00:00Z"}
        del self.sent[seq]
        self.run(self.agent.send(frame))
        assert self.run(self.agent.wait_for("error"))["code"] == "fire_time_refused"
        self.acknowledged(seq)

    # -- leaving -----------------------------------------------------------------------------------

    @precondition(lambda self: self.is_live)
    @rule(reason=st.sampled_from(["sleep", "shutdown", "restart"]), afterwards=GARBAGE | st.none())
    def goodbye(self, reason: str, afterwards: str | bytes | None) -> None:
        """What comes after it is ignored, whatever it is."""
        said: list[Any] = [{"type": "goodbye", "reason": reason}]
        late = self.new_report("job_finished", self.acked + 1)
        del self.sent[late["seq"]]
        said += [late] if afterwards is None else [afterwards]
        self.run(self._send_all(said))
        self.closed(1000)
        self.goodbyes += 1

    @precondition(lambda self: self.is_open)
    @rule()
    def lose_the_network(self) -> None:
        self.run(self.agent.abort())
        self.is_open = self.is_live = False

    # -- parts -------------------------------------------------------------------------------------

    def say_hello(self, **fields: Any) -> None:
        self.run(self.agent.send(self.agent.hello_frame(**fields)))

    def closed(self, code: int) -> str:
        """The gateway closes with this code; return the reason, which is told but for 1000."""
        told, reason = self.run(self.agent.wait_closed())
        assert told == code, (told, reason)
        assert reason
        self.is_open = self.is_live = False
        return reason

    def acknowledged(self, seq: int) -> None:
        self.acked = seq
        self.run(self.agent.wait_for("ack", seq=seq))

    def new_report(self, kind: str, seq: int) -> dict[str, Any]:
        """Return a report that can be told from all others."""
        self.sent[seq] = name = new_id()
        frame = {"type": kind, "seq": seq, "job_id": name, "at": self.agent.now()}
        if kind == "job_finished":
            return frame | {"status": "succeeded", "error": "\ud800", "stats": {"\udfff": 1e308}}
        if kind == "schedule_fired":
            fire_time = "2026-01-01T02:00:00Z"
            return {"type": kind, "seq": seq, "schedule_id": name, "source_group_id": "none",
                    "fire_time": fire_time}  # fmt: skip
        return frame

    async def _send_all(self, frames: list[Any]) -> None:
        for frame in frames:
            await self.agent.send(frame)

    def teardown(self) -> None:
        if hasattr(self, "agent"):
            self.run(self._check_the_end())

    async def _check_the_end(self) -> None:
        """A last hello makes the log's tail ours; then the log must say what was acknowledged."""
        await self.agent.dial()
        await self.agent.send(self.agent.hello_frame(connection=self.best + 1))
        await self.agent.wait_for("welcome")
        host = self.agent.host_id
        await self.world.wait_event(AgentHello, host, self.hellos + 1)
        assert [self.sent[seq] for seq in sorted(self.sent)] == self._names_in_the_log()
        assert len(self.world.of(AgentHello, host)) == self.hellos + 1
        assert len(self.world.of(AgentOffline, host)) == self.goodbyes
        await self.agent.abort()
        async with httpx.AsyncClient(trust_env=False) as client:
            assert (await client.get(f"{self.gateway.url}/readyz")).status_code == 200

    def _names_in_the_log(self) -> list[str]:
        """Return what the reports of this host in the log are known by, oldest first."""
        kinds = (AgentJobStarted, AgentJobFinished, AgentScheduleFired)
        return [
            getattr(event, "job_id", None) or getattr(event, "schedule_id", "")
            for event in self.world.log
            if isinstance(event, kinds) and event.host_id == self.agent.host_id
        ]


async def test_r18_any_order_of_frames(world: World) -> None:
    """The stories run in a thread of their own, one after another, on this loop's gateway."""
    Story.world, Story.loop = world, asyncio.get_running_loop()
    Story.gateway = await world.start_gateway(offline_after=timedelta(minutes=10))
    effort = settings(examples(8), stateful_step_count=20, phases=stateful_phases())
    await asyncio.to_thread(run_state_machine_as_test, Story, settings=effort)
