"""Intervals of presence, cut to a window, with gaps laid over them."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from libs.common.testing.rig import START
from services.ui.timeline import Stretch, intervals

H = timedelta(hours=1)


def at(hours: float) -> datetime:
    return START + hours * H


UP, DOWN = Stretch(at(2), "online"), Stretch(at(5), "offline", "sleep")
NOW = at(10)


@pytest.mark.parametrize(("stretches", "gaps", "since", "found"), [
    pytest.param([], [], 0, [(0, None, "never_seen")], id="nothing known"),
    pytest.param([UP], [], 0, [(0, 2, "never_seen"), (2, None, "online")], id="still online"),
    pytest.param([UP, DOWN], [], 3, [(3, 5, "online"), (5, None, "offline")],
                 id="cut at the start"),
    pytest.param([UP, DOWN], [], 6, [(6, None, "offline")], id="only the last one"),
    pytest.param([UP], [(at(4), at(6))], 2,
                 [(2, 4, "online"), (4, 6, "not_observed"), (6, None, "online")], id="a gap"),
    pytest.param([UP, DOWN], [(at(4), at(6))], 2,
                 [(2, 4, "online"), (4, 6, "not_observed"), (6, None, "offline")],
                 id="over a change"),
    pytest.param([UP], [(at(4), NOW)], 2, [(2, 4, "online"), (4, None, "not_observed")], id="now"),
    pytest.param([UP], [(at(0), at(3))], 0,
                 [(0, 2, "never_seen"), (2, 3, "not_observed"), (3, None, "online")],
                 id="never seen"),
    pytest.param([UP, Stretch(at(2), "offline"), Stretch(at(2), "online")], [], 2,
                 [(2, None, "online")], id="all in one moment"),
    pytest.param([Stretch(at(11), "online")], [], 0, [(0, None, "never_seen")], id="in the future"),
])  # fmt: skip
def test_intervals(
    stretches: list[Stretch], gaps: list[tuple[datetime, datetime]], since: float,
    found: list[tuple[float, float | None, str]],
) -> None:  # fmt: skip
    wanted = [(at(a), None if b is None else at(b), state) for a, b, state in found]
    shown = intervals(stretches, gaps, at(since), NOW)
    assert [(one.start, one.end, one.state) for one in shown] == wanted


def test_an_empty_window_has_no_intervals() -> None:
    assert intervals([UP], [], NOW, NOW) == []
