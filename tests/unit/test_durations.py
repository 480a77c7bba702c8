"""Durations: read, written back, and as alerts print them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.durations import format_duration, parse_duration, render_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("15m", 900), ("7d", 604_800), ("1h30m", 5400), ("0.5s", 0.5), ("50ms", 0.05),
     ("0s", 0), (" 2H ", 7200)],
)  # fmt: skip
def test_read(text: str, seconds: float) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text", ["", "90", "s", "-5s", "1y", "5 s", "1e3s", "٣s", "9" * 99 + "d", "99999d"]
)
def test_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"duration|hundred"):
        parse_duration(text)


@given(st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=36_000)))
def test_written_back(duration: timedelta) -> None:
    whole = duration // timedelta(milliseconds=1) * timedelta(milliseconds=1)
    assert parse_duration(render_duration(whole)) == whole


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (12, "12s"), (0, "0s"), (-1, "0s"), (59.9, "59s"), (60, "1m0s"), (17 * 60, "17m0s"),
        (3599, "59m59s"), (7200, "2h0m0s"), (86_399, "23h59m59s"), (86_400, "1d0h0m"),
        (8 * 86_400 + 7200, "8d2h0m"), (7 * 86_400, "7d0h0m"),
    ],
)  # fmt: skip
def test_as_alerts_print_it(seconds: float, text: str) -> None:
    assert format_duration(timedelta(seconds=seconds)) == text
