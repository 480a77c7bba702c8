"""What comes together may be decided together: outcomes of effects, events of a type; and what a
machine knows already it is not told again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from libs.common.bus.base import LogMessage
from libs.common.errors import BadInput, DormiceError
from libs.common.events.agent import AgentHello
from libs.common.events.presence import PresenceOnline
from libs.common.loop.core import Core
from libs.common.loop.step import Effect, Ended, Step, Work
from libs.common.loop.tx import Tx
from tests.unit.loop.test_core import NOW, core, count, emitted, message

__all__ = ["core"]


def started(core: Core, *keys: str) -> list[Effect]:
    """Return effects of the kind `send` that were handed out."""
    work = [lambda tx, key=key: tx.start_effect("send", key, {}) for key in keys]
    return core.step(inputs=work, now=NOW).effects


def test_outcomes_that_come_together_are_decided_together(core: Core) -> None:
    ended: list[list[str]] = []
    core.machine.outcomes_of_many = {
        "send": lambda tx, many: ended.append([one.effect.key for one in many])
    }
    gone, *effects = started(core, "gone", "k", "l", "m")
    core.step(inputs=[lambda tx: tx.drop_effect("send", "gone")], now=NOW)
    works = [core.outcome(effect, {}) for effect in (gone, *effects)]
    step = core.step(inputs=[*works[:3], lambda _: 7, works[3], works[3]], now=NOW)
    assert (step.answers, ended) == ([None, None, None, 7, None, None], [["k", "l"], ["m"]])
    assert core.restart().effects == []


def test_outcomes_that_cannot_be_decided_together_are_taken_one_by_one(core: Core) -> None:
    def on_send(tx: Tx, key: str, _payload: Any, _outcome: Any) -> None:
        tx.emit(PresenceOnline(host_id=key, name="", always_on=True, since=NOW, session="s",
                               gateway="gw-1"))  # fmt: skip
        if key == "bad":
            raise ZeroDivisionError

    def on_many(tx: Tx, many: Sequence[Ended]) -> None:
        for one in many:
            on_send(tx, one.effect.key, one.effect.payload, one.outcome)

    core.machine.outcomes = {"send": on_send}
    core.machine.outcomes_of_many = {"send": on_many}
    effects = started(core, "k", "bad", "l")
    step = core.step(inputs=[core.outcome(effect, {}) for effect in effects], now=NOW)
    assert [event.host_id for event in emitted(step)] == ["k", "l"]
    assert [isinstance(answer, DormiceError) for answer in step.answers] == [False, True, False]
    assert step.answer_rows[0] < step.answer_rows[2]
    assert [effect.key for effect in core.restart().effects] == ["bad"]


def greet(tx: Tx, host: str) -> None:
    """Leave a trace of every kind; `bad` fails after it."""
    tx.emit(PresenceOnline(host_id=host, name="", always_on=True, since=NOW, session="s",
                           gateway="gw-1"))  # fmt: skip
    tx.decide(host, "greeted", "")
    tx.schedule("quiet", host, NOW)
    tx.signal("greeted", host)
    tx.start_effect("send", host, {})
    if host == "bad":
        raise BadInput("bad")


def traces(core: Core, step: Step) -> list[list[str]]:
    """Return the hosts in each kind of trace."""
    in_tables = [
        [name for (name,) in core.db.execute(sql)]
        for sql in (
            "SELECT host_id FROM decision WHERE what = 'greeted' ORDER BY host_id",
            "SELECT key FROM deadline WHERE kind = 'quiet' ORDER BY key",
        )
    ]
    return [
        [event.host_id for event in emitted(step)],
        [signal.value for signal in step.signals],
        [effect.key for effect in step.effects],
        *in_tables,
    ]


def test_an_input_that_fails_among_others_takes_back_what_it_did_and_no_more(core: Core) -> None:
    def of(host: str) -> Work:
        return lambda tx: greet(tx, host) or host

    step = core.step(inputs=[of("k"), of("bad"), of("l")], now=NOW)
    assert [step.answers[0], step.answers[2]] == ["k", "l"]
    assert isinstance(step.answers[1], BadInput)
    assert step.answer_rows == [step.outbox[0].row_id, 0, step.outbox[1].row_id]
    assert traces(core, step) == [["k", "l"]] * 5


def test_of_many_events_and_inputs_those_that_fail_are_found_wherever_they_stand(
    core: Core,
) -> None:
    bad = {1, 32, 33, 70, 100}
    batch = [message(seq, "poison" if seq in bad else f"h{seq}") for seq in range(1, 101)]
    hosts = ["bad" if seq in bad else f"i{seq}" for seq in range(1, 101)]
    step = core.step(batch, [lambda tx, host=host: greet(tx, host) or host for host in hosts],
                     now=NOW)  # fmt: skip
    assert (step.dead, step.position.seq, count(core, "hello")) == (5, 100, 95)
    failed = [isinstance(answer, BadInput) for answer in step.answers]
    assert failed == [host == "bad" for host in hosts]
    good = [host for host in hosts if host != "bad"]
    assert [signal.value for signal in step.signals if signal.topic == "greeted"] == good


def test_inputs_of_which_none_fails_are_answered_in_their_order(core: Core) -> None:
    step = core.step(
        inputs=[lambda tx: greet(tx, "k"), lambda _: 7, lambda tx: greet(tx, "l")], now=NOW
    )
    assert step.answers == [None, 7, None]
    assert step.answer_rows == [step.outbox[0].row_id, 0, step.outbox[1].row_id]
    assert traces(core, step) == [["k", "l"]] * 5


def test_last_work_that_fails_among_others_takes_back_what_it_did_and_no_more(core: Core) -> None:
    def ask(tx: Tx) -> None:
        for host in ("k", "bad", "l"):
            tx.before_commit(greet, host)

    assert traces(core, core.step(inputs=[ask], now=NOW)) == [["k", "l"]] * 5


def test_events_that_come_together_are_handled_together(core: Core) -> None:
    handled: list[list[str]] = []
    core.machine.handlers_of_many = {
        AgentHello: lambda tx, many: handled.append([event.host_id for event in many])
    }
    other = LogMessage(3, "dormice.audit.notify.x", b"{}", "e3")
    core.step([message(1, "a"), message(2, "b"), other, message(4, "c")], now=NOW)
    assert handled == [["a", "b"]]
    assert count(core, "hello") == 1


def test_one_that_spoils_what_is_handled_together_is_found(core: Core) -> None:
    def on_many(tx: Tx, many: Sequence[AgentHello]) -> None:
        for event in many:
            core.machine.handlers[AgentHello](tx, event)

    core.machine.handlers_of_many = {AgentHello: on_many}
    batch = [message(seq, "poison" if seq == 3 else f"h{seq}") for seq in range(1, 9)]
    step = core.step(batch, now=NOW)
    assert (step.dead, count(core, "hello")) == (1, 7)


@pytest.mark.parametrize("knows_own", [True, False])
def test_an_own_event_is_heard_again_only_by_who_needs_to(core: Core, knows_own: bool) -> None:
    heard: list[str] = []
    core.machine.knows_own = knows_own  # type: ignore[misc]
    core.machine.handlers = {
        **core.machine.handlers, PresenceOnline: lambda tx, event: heard.append(event.host_id)
    }  # fmt: skip
    core = Core(core.machine, core.db)
    (row,) = [row for row in core.step([message(1)], now=NOW).outbox if not row.message.bucket]
    assert row.message.data is not None
    own = LogMessage(2, row.message.subject, row.message.data, row.message.event_id)
    assert core.handles(own) is not knows_own
    core.step([own], now=NOW)
    assert heard == ([] if knows_own else ["h"])


def test_an_own_event_is_heard_after_a_restart(core: Core) -> None:
    """The file may be a copy made before it was decided."""
    heard: list[str] = []
    core.machine.knows_own = True  # type: ignore[misc]
    core.machine.handlers = {
        **core.machine.handlers, PresenceOnline: lambda tx, event: heard.append(event.host_id)
    }  # fmt: skip
    (row,) = [row for row in core.step([message(1)], now=NOW).outbox if not row.message.bucket]
    assert row.message.data is not None
    own = LogMessage(2, row.message.subject, row.message.data, row.message.event_id)
    Core(core.machine, core.db).step([own], now=NOW)
    assert heard == ["h"]
