"""When a laptop is usually back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from libs.common.events.host import HostRecord
from services.ui import queries
from services.ui.pages.habits import usual_return, usual_words
from services.ui.views import Display, FleetDefaults, Strip, TimelineInterval

BERLIN = ZoneInfo("Europe/Berlin")
FRIDAY = datetime(2026, 6, 19, tzinfo=BERLIN)
WORKDAYS, WEEKEND = range(5), range(5, 7)


def lived(comes: Mapping[int, str], *, days: int = 14, until: datetime) -> list[TimelineInterval]:
    """Return the weeks of a laptop that comes at a time of day by weekday, for eight hours."""
    pieces = [TimelineInterval(until - timedelta(days=days), None, "offline", "sleep")]
    for back in range(days - 1, -1, -1):
        day = until.date() - timedelta(days=back)
        if day.weekday() in comes:
            hour, minute = map(int, comes[day.weekday()].split(":"))
            start = datetime(day.year, day.month, day.day, hour, minute, tzinfo=BERLIN)
            if start < until:
                pieces.append(TimelineInterval(start, None, "online", "hello"))
                pieces.append(
                    TimelineInterval(start + timedelta(hours=8), None, "offline", "sleep")
                )
    return [piece for piece in pieces if piece.start <= until]


OFFICE = {0: "08:31", 1: "08:25", 2: "08:40", 3: "08:20", 4: "08:34"}


@pytest.mark.parametrize(
    ("now", "back"),
    [
        pytest.param("2026-06-19T06:00", "2026-06-19T08:30", id="this morning"),
        pytest.param("2026-06-18T22:00", "2026-06-19T08:30", id="tomorrow"),
        pytest.param("2026-06-19T20:00", "2026-06-22T08:30", id="after the weekend"),
        pytest.param("2026-06-22T10:00", "2026-06-23T08:30", id="late today: tomorrow"),
    ],
)
def test_office_hours(now: str, back: str) -> None:
    at = datetime.fromisoformat(now).replace(tzinfo=BERLIN)
    expected = datetime.fromisoformat(back).replace(tzinfo=BERLIN)
    assert usual_return(lived(OFFICE, until=at), at, BERLIN) == expected


@pytest.mark.parametrize(
    ("comes", "days"),
    [
        pytest.param({}, 14, id="was never back"),
        pytest.param({0: "08:30"}, 14, id="on Mondays only"),
        pytest.param(OFFICE, 3, id="not known for long"),
        pytest.param({0: "06:00", 1: "12:00", 2: "18:00", 3: "09:00", 4: "15:00"}, 14, id="any"),
    ],
)
def test_no_habit(comes: Mapping[int, str], days: int) -> None:
    now = FRIDAY + timedelta(hours=5)
    assert usual_return(lived(comes, days=days, until=now), now, BERLIN) is None


def test_weekends_are_a_habit_of_their_own() -> None:
    now = FRIDAY + timedelta(hours=20)
    comes = {**OFFICE, 5: "11:00", 6: "11:10"}
    saturday = (FRIDAY + timedelta(days=1)).replace(hour=11)
    assert usual_return(lived(comes, days=21, until=now), now, BERLIN) == saturday


def test_who_comes_on_working_days_at_any_time_is_not_expected_at_the_weekend() -> None:
    now = FRIDAY - timedelta(hours=2)
    comes = {0: "06:00", 1: "12:00", 2: "18:00", 3: "09:00", 4: "15:00", 5: "11:00", 6: "11:00"}
    assert usual_return(lived(comes, days=21, until=now), now, BERLIN) is None


def test_a_short_absence_is_no_return() -> None:
    now = FRIDAY + timedelta(hours=20)
    pieces = []
    for day in range(14, 0, -1):
        noon = (FRIDAY - timedelta(days=day)).replace(hour=12)
        pieces.append(TimelineInterval(noon - timedelta(hours=1), None, "offline", "sleep"))
        pieces.append(TimelineInterval(noon, None, "online", "hello"))
    assert usual_return(pieces, now, BERLIN) is None


def test_nothing_is_known_of_a_host_that_was_never_seen() -> None:
    never = [TimelineInterval(FRIDAY - timedelta(days=14), None, "never_seen", None)]
    assert usual_return(never, FRIDAY, BERLIN) is None
    assert usual_return([], FRIDAY, BERLIN) is None


def test_the_words_are_said_of_a_host_that_is_asleep() -> None:
    now = FRIDAY + timedelta(hours=6)
    strip = Strip(tuple(lived(OFFICE, until=now)), ())
    record = HostRecord(id="h1", name="laptop", timezone="Europe/Berlin", enrolled_at=FRIDAY)
    view = queries.view_of_record(record, now=now, fleet=FleetDefaults())
    asleep = replace(view, display=Display.ASLEEP)
    assert usual_words(asleep, strip, now) == "usually back about 08:30"
    assert usual_words(replace(asleep, display=Display.OFFLINE), strip, now) is None
    assert usual_words(asleep, Strip((), ()), now) is None
