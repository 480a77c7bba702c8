"""After a small step comes a short rest; others never wait."""

from __future__ import annotations

import pytest

from libs.common.loop.rest import LONGEST_REST_SECONDS, SMALL_STEP, rest_seconds


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
