"""Weekly times: how they are written, when a window is, and the nights when clocks change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from libs.common.clock import TICK
from libs.common.weekly import (
    DAYS,
    Weekly,
    describe,
    end_of_window,
    next_boundary,
    parse_weekly,
)

BERLIN = "Europe/Berlin"


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(("text", "days", "begins", "ends"), [
    ("sat,sun 22:00-06:00", ("sat", "sun"), "22:00", "06:00"),
    (" Sun, sat  2:00 - 4:30 ", ("sat", "sun"), "02:00", "04:30"),
    ("mon-fri 01:00-02:00", DAYS[:5], "01:00", "02:00"),
    ("fri-mon 01:00–02:00", ("mon", "fri", "sat", "sun"), "01:00", "02:00"),
    ("daily 03:00-04:00", DAYS, "03:00", "04:00"),
    ("saturday 03:00-04:00", ("sat",), "03:00", "04:00"),
])  # fmt: skip
def test_how_it_is_written(text: str, days: tuple[str, ...], begins: str, ends: str) -> None:
    found = parse_weekly(text, BERLIN)
    assert (found.days, found.begins, found.ends, found.timezone) == (days, begins, ends, BERLIN)
    assert Weekly.model_validate(found.body()) == found


@pytest.mark.parametrize(("text", "zone", "said"), [
    ("", "UTC", "is no weekly time"), ("sat", "UTC", "is no weekly time"),
    ("22:00-06:00", "UTC", "is no weekly time"), ("sat 22-06", "UTC", "is no weekly time"),
    ("xyz 22:00-06:00", "UTC", "'xyz' is no day"), ("sat- 22:00-06:00", "UTC", "is no day"),
    ("sundae 22:00-06:00", "UTC", "'sundae' is no day"),
    ("sat 24:00-06:00", "UTC", "a clock shows 00:00 to 23:59"),
    ("sat 22:60-23:00", "UTC", "a clock shows 00:00 to 23:59"),
    ("sat 22:00-22:00", "UTC", "no length"), ("sat 22:00-23:00", "Mars/X", "not a time zone"),
    ("sat 22:00-23:00; drop", "UTC", "is no weekly time"),
])  # fmt: skip
def test_what_is_no_weekly_time(text: str, zone: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_weekly(text, zone)


@pytest.mark.parametrize("changes", [
    {"days": []}, {"days": ["someday"]}, {"from": "2:00"}, {"to": "24:00"}, {"timezone": "x" * 65},
    {"timezone": "Mars/X"}, {"to": "22:00"}, {"at": "22:00"}, {"from": 22},
])  # fmt: skip
def test_bad_bodies_are_refused(changes: dict[str, Any]) -> None:
    body = {"days": ["sat"], "from": "22:00", "to": "06:00", "timezone": "UTC"}
    Weekly.model_validate(body)
    with pytest.raises(ValidationError):
        Weekly.model_validate(body | changes)


def test_in_words() -> None:
    assert describe(parse_weekly("sun,sat 22:00-06:00", BERLIN)) == (
        "sat, sun 22:00–06:00 Europe/Berlin"
    )
    assert describe(parse_weekly("daily 1:00-2:00", "")) == "daily 01:00–02:00 UTC"


NIGHT = parse_weekly("sat 22:00-06:00", "UTC")
SATURDAY = at("2026-06-20T22:00")


@pytest.mark.parametrize(("now", "end"), [
    (SATURDAY - TICK, None), (SATURDAY, SATURDAY + timedelta(hours=8)),
    (at("2026-06-21T05:59"), SATURDAY + timedelta(hours=8)), (at("2026-06-21T06:00"), None),
    (at("2026-06-21T22:00"), None),
])  # fmt: skip
def test_within_a_window(now: datetime, end: datetime | None) -> None:
    assert end_of_window(NIGHT, now) == end


@pytest.mark.parametrize(("now", "boundary"), [
    (SATURDAY - TICK, SATURDAY), (SATURDAY, at("2026-06-21T06:00")),
    (at("2026-06-21T06:00"), SATURDAY + timedelta(days=7)),
    (at("2026-06-18T00:00"), SATURDAY),
])  # fmt: skip
def test_what_comes_next(now: datetime, boundary: datetime) -> None:
    assert next_boundary(NIGHT, now) == boundary


@pytest.mark.parametrize(("text", "now", "begin", "end"), [
    pytest.param("sun 01:00-04:00", "2026-03-28T12:00", "2026-03-29T00:00", "2026-03-29T02:00",
                 id="spring: an hour shorter"),
    pytest.param("sun 02:30-04:00", "2026-03-28T12:00", "2026-03-29T01:00", "2026-03-29T02:00",
                 id="spring: begins in the gap, so at its end"),
    pytest.param("sun 01:00-02:30", "2026-03-28T12:00", "2026-03-29T00:00", "2026-03-29T01:00",
                 id="spring: ends in the gap, so at its end"),
    pytest.param("sun 01:00-04:00", "2026-10-24T12:00", "2026-10-24T23:00", "2026-10-25T03:00",
                 id="autumn: an hour longer"),
    pytest.param("sun 02:30-04:00", "2026-10-24T12:00", "2026-10-25T00:30", "2026-10-25T03:00",
                 id="autumn: begins at the first pass"),
    pytest.param("sun 01:00-02:30", "2026-10-24T12:00", "2026-10-24T23:00", "2026-10-25T00:30",
                 id="autumn: ends at the first pass, once"),
    pytest.param("sun 02:10-02:50", "2026-03-28T12:00", "2026-04-05T00:10", "2026-04-05T00:50",
                 id="spring: swallowed whole, the next is a week later"),
])  # fmt: skip
def test_nights_when_clocks_change(text: str, now: str, begin: str, end: str) -> None:
    window = parse_weekly(text, BERLIN)
    found = next_boundary(window, at(now))
    assert (found, next_boundary(window, found)) == (at(begin), at(end))
    assert end_of_window(window, at(begin)) == at(end)
    assert end_of_window(window, at(end)) is None


def test_every_moment_of_a_year_agrees_with_its_boundaries() -> None:
    """Whether a window is changes only at a boundary, and at each of them."""
    window = parse_weekly("daily 01:30-03:30", "Australia/Lord_Howe")
    now, inside = at("2026-01-01T00:00"), []
    while now < at("2027-01-01T00:00"):
        now = next_boundary(window, now)
        inside.append(end_of_window(window, now) is not None)
        assert inside[-1] is not (end_of_window(window, now - TICK) is not None)
    assert len(inside) in (730, 731)
