"""When schedules fire in every zone of the world, around every change of a clock 2020-2030."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common import cron
from tests.effort import examples
from tests.unit.cron_oracle import AROUND, ZONES, Change, by_cronsim, changes_of, fires_around
from tests.unit.cron_strategies import field

SECOND = timedelta(seconds=1)
MARGIN = timedelta(minutes=150)
CHANGING = [name for name in ZONES if changes_of(name)]


def telling_expressions(change: Change) -> list[str]:
    """Return schedules of the skipped or repeated stretch, of its edges, and of any hour."""
    start = min(change.at + change.before, change.at + change.after)
    middle = start + abs(change.after - change.before) / 2
    return [
        f"{middle.minute} {middle.hour} * * *",
        f"{start.minute} {start.hour} * * *",
        f"{middle.minute} * * * *",
        f"*/15 {middle.hour} * * *",
        f"0,30 {start.hour},{middle.hour} * * *",
        f"{middle.minute} {middle.hour} {middle.day} * 1",
        "0 0 * * *",
        "15 */3 * * *",
    ]


def check_both_directions(expression: str, change: Change) -> None:
    """Compare the fires near the change, upwards and downwards, with those that are due."""
    zone = cron.zone(change.zone)
    start, end = change.at - MARGIN, change.at + MARGIN
    due = [fire for fire in fires_around(expression, change) if start < fire <= end]
    told = f"{expression} in {change.zone} around {change.at}"
    assert cron.fires_between(expression, start, end, zone) == due, told
    for before, fire in zip([start, *due], due, strict=False):
        assert cron.previous_fire(expression, fire, zone) == fire, told
        earlier = cron.previous_fire(expression, fire - SECOND, zone)
        assert earlier == before or before == start, told


def test_zones_change_their_clocks_as_this_test_supposes() -> None:
    """Else the tests below would try nothing."""
    changes = list(chain.from_iterable(map(changes_of, ZONES)))
    assert len(ZONES) > 400
    assert len(CHANGING) > 200
    assert {change.is_gap for change in changes} == {True, False}
    berlin = [change.at for change in changes_of("Europe/Berlin")]
    assert len(berlin) == 22
    assert berlin[0] == datetime.fromisoformat("2020-03-29T01:00:00Z")


@pytest.mark.parametrize("shape", range(8))
def test_every_change_of_every_zone(shape: int) -> None:
    """Zones take the eight schedules in turn, and so do the changes of one zone."""
    for place, name in enumerate(CHANGING):
        for count, change in enumerate(changes_of(name)):
            if (place + count) % 8 == shape:
                check_both_directions(telling_expressions(change)[shape], change)


@pytest.mark.parametrize("name", ["Africa/Casablanca", "Australia/Lord_Howe", "Antarctica/Troll",
                                  "America/Nuuk", "Asia/Gaza", "Europe/Dublin"])  # fmt: skip
def test_odd_zones_with_every_schedule(name: str) -> None:
    """Many changes a year, half an hour, two hours, near midnight, and a winter time below zero."""
    for change in changes_of(name):
        for expression in telling_expressions(change):
            check_both_directions(expression, change)


CHANGES = st.sampled_from(CHANGING).flatmap(lambda name: st.sampled_from(changes_of(name)))
SCHEDULES = st.one_of(
    st.tuples(CHANGES, st.integers(0, 7)).map(
        lambda both: (both[0], telling_expressions(both[0])[both[1]])
    ),
    st.tuples(CHANGES, field(0, 59), field(0, 23)).map(
        lambda all_: (all_[0], f"{all_[1]} {all_[2]} * * *")
    ),
)
SECONDS = st.integers(-int(MARGIN.total_seconds()), int(MARGIN.total_seconds()))


@examples(100)
@given(SCHEDULES, SECONDS)
def test_next_and_previous_from_any_moment(schedule: tuple[Change, str], seconds: int) -> None:
    change, expression = schedule
    moment, zone = change.at + timedelta(seconds=seconds), cron.zone(change.zone)
    fires = fires_around(expression, change)
    later = [fire for fire in fires if fire > moment]
    earlier = [fire for fire in fires if fire <= moment]
    if later:
        assert cron.next_fire(expression, moment, zone) == later[0]
    if earlier:
        assert cron.previous_fire(expression, moment, zone) == earlier[-1]


@examples(100)
@given(SCHEDULES, SECONDS, st.timedeltas(-AROUND / 4, AROUND / 2))
def test_r14_overdue_exactly_when_a_fire_has_gone_by(
    schedule: tuple[Change, str], seconds: int, passed: timedelta
) -> None:
    change, expression = schedule
    last_success, zone = change.at + timedelta(seconds=seconds), cron.zone(change.zone)
    now = last_success + passed
    due = any(last_success < fire <= now for fire in fires_around(expression, change))
    assert cron.is_overdue(expression, zone, last_success, now) is due


@examples(100)
@given(SCHEDULES.filter(lambda both: not both[1].startswith("*")), SECONDS)
def test_a_fixed_time_is_what_cronsim_says_in_every_zone(
    schedule: tuple[Change, str], seconds: int
) -> None:
    change, expression = schedule
    if expression.split()[1].startswith("*"):
        return  # Real time, where cronsim errs in zones of half hours: counted above.
    moment, zone = change.at + timedelta(seconds=seconds), cron.zone(change.zone)
    assert cron.next_fire(expression, moment, zone) == by_cronsim(expression, moment, zone)


@examples(100)
@given(st.sampled_from(ZONES), field(0, 59), field(0, 23), st.integers(0, 4000))
def test_every_zone_on_any_day(name: str, minute: str, hour: str, days: int) -> None:
    """The round trip: the fire after the one before a fire is that fire."""
    expression, zone = f"{minute} {hour} * * *", cron.zone(name)
    now = datetime.fromisoformat("2020-01-01T12:34:56Z") + timedelta(days=days)
    fire = cron.next_fire(expression, now, zone)
    before = cron.previous_fire(expression, now, zone)
    assert fire is not None
    assert before is not None
    assert before <= now < fire
    assert cron.previous_fire(expression, fire - SECOND, zone) == before
    assert cron.next_fire(expression, before, zone) == fire
