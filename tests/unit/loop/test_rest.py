"""After a small step comes a short rest; others never wait."""

from __future__ import annotations

import math

import pytest

from libs.common.loop.machine import Machine
from libs.common.loop.rest import LONGEST_REST_SECONDS, SMALL_STEP, may_rest, rest_seconds


@pytest.mark.parametrize(
    ("size", "took", "rest"),
    [
        (0, 0.01, 0.0),
        (1, 0.0, 0.0),
        (1, 0.01, 0.02),
        (SMALL_STEP - 1, 0.01, 0.02),
        (SMALL_STEP, 0.01, 0.0),
        (1, LONGEST_REST_SECONDS / 2, LONGEST_REST_SECONDS),
        (1, 30.0, LONGEST_REST_SECONDS),
    ],
)
def test_how_long_a_step_earns(size: int, took: float, rest: float) -> None:
    assert rest_seconds(size, took) == rest


@pytest.mark.parametrize(
    ("unhurried", "above", "effects", "rests"),
    [
        pytest.param(False, math.inf, 1000, False, id="somebody waits for it"),
        pytest.param(True, math.inf, 0, True, id="nobody does"),
        pytest.param(False, 20, 20, False, id="few effects run"),
        pytest.param(False, 20, 21, True, id="many do"),
    ],
)
def test_who_rests(unhurried: bool, above: float, effects: int, rests: bool) -> None:
    class Resting(Machine):
        name = "resting"

    Resting.unhurried, Resting.rests_above = unhurried, above
    assert may_rest(Resting(), effects) is rests
