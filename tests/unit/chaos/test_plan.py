"""The plan of `make chaos`: one seed, one plan, and nothing left out."""

from __future__ import annotations

import pytest

from tests.chaos.plan import PROCESSES, Kind, make_plan

SECONDS = 132.0


@pytest.mark.parametrize("seed", range(20))
def test_every_kind_happens_and_every_process_is_killed(seed: int) -> None:
    plan = make_plan(seed, SECONDS)
    assert set(plan.counts) == set(Kind)
    assert {fault.target for fault in plan.faults if fault.kind is Kind.KILL} == set(PROCESSES)


@pytest.mark.parametrize("seed", range(20))
def test_all_of_it_fits_in_the_time(seed: int) -> None:
    plan = make_plan(seed, SECONDS)
    assert all(fault.at >= 0 and fault.at + fault.length <= SECONDS for fault in plan.faults)
    assert list(plan.faults) == sorted(plan.faults)


def test_a_seed_decides_it() -> None:
    assert make_plan(7, SECONDS) == make_plan(7, SECONDS)
    assert make_plan(7, SECONDS) != make_plan(8, SECONDS)
    assert len(make_plan(7, 1200).faults) > len(make_plan(7, SECONDS).faults)
