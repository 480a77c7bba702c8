"""What is done for many at once leaves what doing it for each would have left."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.events.alert import AlertState, NotificationEvent, Severity
from libs.common.loop.core import Core
from tests.effort import examples
from tests.unit.notify.world import (
    BUSY,
    OK,
    World,
    enrolled,
    make_alert,
    outage,
    raised,
    resolved,
)

GONE = {"status": 410}
IN_PART = {"taken": True, "error": "one of two receivers said no"}
TABLES = {
    "alert": "id, state, held_by, body, resolved_at",
    "delivery": "id, channel_id, news, alert_ids, body, state, tries, next_try_at, status, error",
    "delivery_alert": "alert_id, channel_id",
    "held": "channel_id, alert_id, why",
    "channel": "id, last_delivered_at, last_error, last_failed_at",
    "decision": "host_id, what, text, facts",
    "effect": "kind, key, payload",
    "deadline": "kind, key, due_at",
}
PLAIN = [
    *(make_alert(f"a{n}", f"h{n}") for n in range(4)),
    make_alert("nameless", "h3", host_name=""),
    make_alert("worse", "h1", severity=Severity.CRITICAL),
    make_alert("hushed", "h2", silenced=True),
]
ODD = [
    make_alert("held", "h3", held_by="o1"),
    make_alert("taken", "h0", state=AlertState.ACKNOWLEDGED, acknowledged_by="ada"),
    outage("o1"),
]
CHANNELS: dict[str, dict[str, Any]] = {
    "plain": {},
    "choosy": {"filter": {"tags": ["db"], "severities": ["warning"]}},
    "states": {"kind": "alertmanager", "config": {"url": "http://127.0.0.1:9"}},
    "paced": {"rate_limit": {"messages": 2, "minutes": 10}},
}


STORMS = st.lists(st.sampled_from(PLAIN), min_size=2, max_size=8) | st.lists(
    st.sampled_from(PLAIN + ODD), max_size=4
)


def world(channels: list[str], *, one_by_one: bool) -> World:
    made = World()
    machine = made.cores["notify"].machine
    if one_by_one:
        machine.handlers_of_many, machine.outcomes_of_many = {}, {}
    made.publish(*(enrolled(f"h{n}", tags=["db"] if n % 2 else []) for n in range(4)))
    for name in channels:
        made.channel(name, **CHANNELS[name])
    return made


def end_tries(made: World, outcomes: list[dict[str, Any]]) -> None:
    """End in one step, in the order of their ids, as many tries as there are outcomes."""
    core: Core = made.cores["notify"]
    tries = sorted(made.handed_out, key=lambda effect: effect.key)[: len(outcomes)]
    for ended in tries:
        made.handed_out.remove(ended)
    pairs = zip(tries, outcomes, strict=False)
    step = core.step(inputs=[core.outcome(one, outcome) for one, outcome in pairs], now=made.now)
    assert step.answers == [None] * len(tries)
    made._carry_out("notify", step)
    made.settle()


def left_by(made: World) -> dict[str, list[Any]]:
    rows = {
        table: sorted(made.db.execute(f"SELECT {columns} FROM {table}").fetchall(), key=repr)
        for table, columns in TABLES.items()
    }
    ends = [event.model_dump_json() for event in made.log if isinstance(event, NotificationEvent)]
    return {**rows, "ends": sorted(ends)}


@given(
    channels=st.lists(st.sampled_from(sorted(CHANNELS)), max_size=4, unique=True),
    storms=st.lists(STORMS, min_size=1, max_size=3),
    outcomes=st.lists(st.sampled_from([OK, OK, OK, BUSY, GONE, IN_PART]), max_size=12),
    over=st.sets(st.sampled_from([alert.id for alert in PLAIN])),
)
@examples(100)
def test_many_at_once_are_as_one_by_one(
    channels: list[str], storms: list[Any], outcomes: list[dict[str, Any]], over: set[str]
) -> None:
    worlds = [world(channels, one_by_one=one_by_one) for one_by_one in (False, True)]
    for made in worlds:
        for storm in storms:
            made.publish(*raised(*storm))
            end_tries(made, outcomes[:4])
        made.publish(*(resolved(alert) for alert in PLAIN if alert.id in over))
        end_tries(made, outcomes[4:])
        end_tries(made, outcomes[:6])
    at_once, one_by_one = map(left_by, worlds)
    assert at_once == one_by_one


@pytest.mark.parametrize("count", [2, 150])
def test_a_storm_is_told_by_a_few_statements(count: int) -> None:
    """The price of one more alert is a row in a list, not another statement."""
    made = world(["plain"], one_by_one=False)
    run: list[str] = []
    made.db.set_trace_callback(run.append)
    made.publish(*raised(*(make_alert(f"s{n:03}", f"h{n}") for n in range(count))))
    end_tries(made, [OK] * count)
    made.db.set_trace_callback(None)
    assert len([sql for sql in run if " delivery " in sql or " alert " in sql]) < 40
    assert made.db.execute("SELECT count(*) FROM delivery").fetchone() == (count,)


def test_what_was_told_is_not_told_again_when_only_the_alert_is_forgotten() -> None:
    made = world(["plain"], one_by_one=False)
    made.publish(*raised(PLAIN[0]))
    made.answer_all()
    made.input("notify", lambda tx: tx.db.execute("DELETE FROM alert").rowcount)
    made.publish(*raised(*PLAIN[:2]))
    assert made.in_flight == ["raised:a1"]
    assert made.decisions("notify", "h0") == ["notified", "not_notified"]
