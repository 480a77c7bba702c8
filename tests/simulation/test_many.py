"""Many worlds at once, and what the command says of them."""

from __future__ import annotations

import pytest

from cli.simulator.command import simulate
from cli.simulator.many import play_many
from cli.simulator.play import Plan, play

PLAN = Plan(hosts=2, days=0.5, troubles_per_day=4)


def test_a_world_in_a_process_of_its_own_is_the_same_world() -> None:
    seeds = [3, 1, 2]
    assert list(play_many(seeds, PLAN, workers=2)) == [play(seed, PLAN) for seed in seeds]


def test_worlds_are_played_until_their_number_is_reached(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert simulate(5, 3, PLAN, None, workers=2)
    assert capsys.readouterr().out.startswith("3 worlds, 3 host-days")
