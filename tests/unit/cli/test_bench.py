"""The load generator's own judgement: refusals, losses, percentiles, limits."""

from __future__ import annotations

import asyncio

import pytest

from cli.bench.agent import Agent
from cli.bench.crowd import Crowd, percentile
from cli.bench.result import Reading, Result


@pytest.mark.parametrize(
    ("seconds", "p99"),
    [
        pytest.param([], 0.0, id="nothing"),
        pytest.param([2.0], 2.0, id="one"),
        pytest.param([1.0] * 99 + [5.0], 1.04, id="one of a hundred is late"),
        pytest.param([3.0] * 50, 3.0, id="never beyond what was seen"),
    ],
)
def test_percentile(seconds: list[float], p99: float) -> None:
    assert percentile(seconds, 99) == pytest.approx(p99)


@pytest.mark.parametrize(
    ("value", "limit", "kept"),
    [
        pytest.param(30.0, 30.0, True, id="exactly at the limit"),
        pytest.param(30.1, 30.0, False, id="above it"),
        pytest.param(99.0, None, True, id="no limit"),
    ],
)
def test_a_limit_is_kept_or_not(value: float, limit: float | None, kept: bool) -> None:
    result = Result(1, [Reading("x", 0, "", 0), Reading("y", value, "s", limit)], {})
    assert result.kept is kept


def member(crowd: Crowd) -> Agent:
    agent = Agent("h", "host", "token", crowd, always_on=True)
    crowd.agents.append(agent)
    return agent


async def test_a_loss_before_the_welcome_is_a_refusal() -> None:
    crowd = Crowd()
    crowd.lost(member(crowd), 4503, "try later")
    assert (crowd.storm.refused, crowd.dropped) == ({"4503 try later": 1}, {})


async def test_a_loss_after_it_is_a_host_let_down() -> None:
    crowd = Crowd()
    agent = member(crowd)
    agent.welcome_at = 1.0
    dialled: list[Agent] = []
    crowd._dial = dialled.append  # type: ignore[method-assign]
    crowd.lost(agent, 4503, "silent for too long")
    await asyncio.sleep(0)
    assert (crowd.storm.refused, crowd.dropped) == ({}, {"4503 silent for too long": 1})
    assert dialled == [agent]


async def test_a_loss_that_was_wanted_counts_nowhere() -> None:
    crowd = Crowd()
    agent = member(crowd)
    agent.pull_cable()
    crowd.lost(agent, None, "")
    assert (crowd.storm.refused, crowd.dropped) == ({}, {})
