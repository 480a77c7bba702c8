"""R10: which period of a gateway is the newer one."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from libs.common.clock import TICK
from libs.common.periods import SKEW, is_newer_period
from libs.common.testing.rig import START

DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("since", "known", "is_newer"),
    [
        pytest.param(START, None, True, id="a gateway that nobody knew"),
        pytest.param(START, START - TICK, True, id="a tick later"),
        pytest.param(START, START, False, id="the same again"),
        pytest.param(START - TICK, START, False, id="old news"),
        pytest.param(START - DAY, START + SKEW, False, id="old news, clocks differ a little"),
        pytest.param(START, START + SKEW + TICK, True, id="known by a clock that was wrong"),
        pytest.param(START + DAY, START + DAY, False, id="the same again, by a wrong clock"),
        pytest.param(START + 2 * DAY, START + DAY, True, id="later still, by a wrong clock"),
    ],
)
def test_r10_a_period(since: datetime, known: datetime | None, is_newer: bool) -> None:
    assert is_newer_period(since, known, START) is is_newer
