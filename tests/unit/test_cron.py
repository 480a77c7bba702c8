"""When schedules fire: Debian's rules, checked against cronsim and, on days of change, by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim, CronSimError
from hypothesis import given
from hypothesis import strategies as st

from libs.common import cron
from tests.effort import examples
from tests.unit.cron_oracle import by_cronsim
from tests.unit.cron_strategies import field

BERLIN = ZoneInfo("Europe/Berlin")
ZONES = [
    "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo", "Asia/Kathmandu",
    "America/Santiago", "Africa/Casablanca", "Europe/Dublin", "UTC",
]  # fmt: skip
SECOND = timedelta(seconds=1)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


# --- Overdue (R14) --------------------------------------------------------------------------------

NOW = at("2026-06-15T09:00:00Z")


@pytest.mark.parametrize(
    ("expression", "last_success", "overdue"),
    [
        pytest.param("0 2 * * *", None, True, id="never backed up"),
        pytest.param("0 2 * * *", at("2026-06-13T02:05Z"), True, id="two days ago"),
        pytest.param("0 2 * * *", at("2026-06-15T02:05Z"), False, id="this morning"),
        pytest.param("not a cron", None, False, id="unparsable, never backed up"),
        pytest.param("not a cron", at("2026-06-13T02:05Z"), False, id="unparsable"),
        pytest.param("0 0 30 2 *", None, False, id="never fires"),
        pytest.param("0 9 * * *", at("2026-06-15T02:05Z"), True, id="due exactly now"),
        pytest.param("1 9 * * *", at("2026-06-15T02:05Z"), False, id="due in a minute"),
        pytest.param("0 9 * * *", NOW, False, id="backed up exactly at the fire"),
        pytest.param("0 2 * * *", at("2027-06-15T02:05Z"), False, id="success in the future"),
        pytest.param("@daily", at("2026-06-14T23:59:59Z"), True, id="a name"),
    ],
)
def test_r14_overdue(expression: str, last_success: datetime | None, overdue: bool) -> None:
    assert cron.is_overdue(expression, ZoneInfo("UTC"), last_success, NOW) is overdue


def test_r14_overdue_in_the_zone_of_the_schedule() -> None:
    last = at("2026-06-14T23:30:00Z")  # 01:30 in Berlin; 02:00 there is 00:00 UTC.
    assert cron.is_overdue("0 2 * * *", BERLIN, last, at("2026-06-15T00:00:00Z"))
    assert not cron.is_overdue("0 2 * * *", BERLIN, last, at("2026-06-14T23:59:59Z"))


def test_r14_many_missed_fires_can_be_counted() -> None:
    zone = ZoneInfo("UTC")
    assert cron.count_fires("0 2 * * *", at("2026-06-01T02:00Z"), NOW, zone) == 14
    assert cron.count_fires("* * * * *", at("2026-01-01T00:00Z"), NOW, zone, limit=50) == 50


# --- What is an expression ------------------------------------------------------------------------

REFUSED = [
    "", " ", "not a cron", "*", "* * * *", "* * * * * *", "0 0 1 1 * 2026", "0 0 1 1 * 0 2026",
    "@reboot", "@every_minute", "@", "@daily extra", "60 * * * *", "* 24 * * *", "* * 0 * *",
    "* * 32 * *", "* * * 0 *", "* * * 13 *", "* * * * 8", "-1 * * * *", "1-61 * * * *",
    "*/0 * * * *", "0/0 * * * *", "*/60 * * * *", "* * * * */8", "5-1 * * * *", "0 0 * * fri-mon",
    "0 0 * * sat-sun", "0 0 * nov-feb *", "0 0 30 2 *", "0 0 31 2,4,6,9,11 *", "0 0 31 2 */1",
    "0 0 L * *", "0 0 15W * *", "0 0 LW * *", "0 0 * * 5L", "0 0 * * L5", "0 0 * * MON#1",
    "0 0 ? * *", "H H * * *", "R * * * *", "h(0-5) * * * *", ", * * * *", "1, * * * *",
    "1,,2 * * * *", "1- * * * *", "*-5 * * * *", "*5 * * * *", "1/ * * * *", "1/2/3 * * * *",
    "1-2-3 * * * *", "mon * * * *", "* * mon * *", "* * * mon *", "* * * * jan", "* * * * monday",
    "* * * january *", "0 0 * * 1/2", "0 0 * * 7-7/2", "٣ * * * *", "² * * * *", "0 0 * * \u200b1",
    "0\u00a00 * * *", "0 0 * * *\n0 0 * * *", "0 0 * *\x00 *", "0 0 * * * # nightly", "0x1 * * * *",
    "1.5 * * * *", "1e1 * * * *", "+1 * * * *", "9" * 200 + " * * * *", "00001 * * * *",
    "0," * 5000 + "0 * * * *", "TZ=UTC 0 0 * *", "nan * * * *",
]  # fmt: skip


@pytest.mark.parametrize("expression", REFUSED, ids=lambda text: repr(text)[:30])
def test_a_bad_expression_is_refused_in_one_sentence(expression: str) -> None:
    with pytest.raises(cron.BadCron) as caught:
        cron.validate(expression)
    assert 10 < len(caught.value.message) <= 400
    assert "\n" not in caught.value.message
    assert not cron.is_valid(expression)


ACCEPTED = [
    "0 2 * * *", " 0 2 * * * ", "0\t2 *  * *", "00 02 * * *", "@daily", "@MIDNIGHT", "@hourly",
    "@weekly", "@monthly", "@yearly", "@annually", "0 0 * * 7", "0 0 * * 0-7", "0 0 * * 5-7",
    "0 0 * * Mon-FRI", "0 0 1 JAN,jul *", "5/10 * * * *", "0 0 29 2 *", "0 0 29 2 */7",
    "0 0 30 2 1", "*,5 1-3,7 * * *", "0-59/7 * * * *", "0 0 1-31 * 1", "15-15 * * * *",
]  # fmt: skip


@pytest.mark.parametrize("expression", ACCEPTED)
def test_a_good_expression_fires(expression: str) -> None:
    cron.validate(expression)
    fire = cron.next_fire(expression, NOW, BERLIN)
    assert fire is not None
    assert fire > NOW
    assert cron.previous_fire(expression, fire, BERLIN) == fire


@pytest.mark.parametrize("expression", [text for text in ACCEPTED if not text.startswith("@")])
def test_a_good_expression_fires_when_cronsim_says(expression: str) -> None:
    assert cron.next_fire(expression, NOW, BERLIN) == by_cronsim(expression, NOW, BERLIN)


@pytest.mark.parametrize(
    ("expression", "fires"),
    [
        pytest.param("0 0 13 * 5", ["2026-06-19", "2026-06-26"], id="day or weekday"),
        pytest.param("0 0 */2 * 5", ["2026-06-19", "2026-07-03"], id="day starts with a star"),
        pytest.param("0 0 13 * */5", ["2026-09-13", "2026-11-13"], id="weekday starts with a star"),
        pytest.param("0 0 1-31 * 5", ["2026-06-16", "2026-06-17"], id="every day spelled out"),
    ],
)
def test_day_and_weekday(expression: str, fires: list[str]) -> None:
    found = cron.fires_between(expression, NOW, at("2027-01-01T00:00Z"), ZoneInfo("UTC"), limit=2)
    assert [str(fire.date()) for fire in found] == fires


@pytest.mark.parametrize("name", ["", "Berlin", "../etc/passwd", "Europe/Berlin\x00", "a" * 9999])
def test_an_unknown_zone_is_named(name: str) -> None:
    with pytest.raises(cron.UnknownZone, match="is not a time zone"):
        cron.zone(name)


def test_a_known_zone() -> None:
    assert cron.zone("Europe/Berlin") is BERLIN


# --- Days on which the clock changes --------------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "expression", "after", "fires"),
    [
        pytest.param(
            "Europe/Berlin", "30 2 * * *", "2026-03-28T12:00Z",
            ["2026-03-29T01:00Z", "2026-03-30T00:30Z"], id="skipped: first minute after the gap",
        ),
        pytest.param(
            "Europe/Berlin", "10,20 2 * * *", "2026-03-28T12:00Z",
            ["2026-03-29T01:00Z", "2026-03-30T00:10Z"], id="two skipped minutes are one fire",
        ),
        pytest.param(
            "Europe/Berlin", "30 2 * * *", "2026-10-24T12:00Z",
            ["2026-10-25T00:30Z", "2026-10-26T01:30Z"], id="repeated: first pass only",
        ),
        pytest.param(
            "Europe/Berlin", "30 * * * *", "2026-10-24T23:45Z",
            ["2026-10-25T00:30Z", "2026-10-25T01:30Z", "2026-10-25T02:30Z"], id="hourly: both",
        ),
        pytest.param(
            "Europe/Berlin", "30 * * * *", "2026-03-29T00:00Z",
            ["2026-03-29T00:30Z", "2026-03-29T01:30Z"], id="hourly: the skipped hour is no hour",
        ),
        pytest.param(
            "Europe/Berlin", "*/30 2 * * *", "2026-03-28T12:00Z",
            ["2026-03-30T00:00Z", "2026-03-30T00:30Z"], id="minute with a star: not that day",
        ),
        pytest.param(
            "Europe/Berlin", "*/30 2 * * *", "2026-10-24T12:00Z",
            ["2026-10-25T00:00Z", "2026-10-25T00:30Z", "2026-10-25T01:00Z", "2026-10-25T01:30Z"],
            id="minute with a star: both passes",
        ),
        pytest.param(
            "America/New_York", "15 2 * * *", "2026-03-08T00:00Z",
            ["2026-03-08T07:00Z", "2026-03-09T06:15Z"], id="New York, spring",
        ),
        pytest.param(
            "America/New_York", "15 1 * * *", "2026-11-01T00:00Z",
            ["2026-11-01T05:15Z", "2026-11-02T06:15Z"], id="New York, autumn",
        ),
        pytest.param(
            "Australia/Lord_Howe", "15 2 * * *", "2026-10-03T00:00Z",
            ["2026-10-03T15:30Z", "2026-10-04T15:15Z"], id="a gap of 30 minutes",
        ),
        pytest.param(
            "Australia/Lord_Howe", "45 1 * * *", "2026-04-04T00:00Z",
            ["2026-04-04T14:45Z", "2026-04-05T15:15Z"], id="30 minutes repeated",
        ),
        pytest.param(
            "Africa/Cairo", "0 0 * * *", "2026-04-23T12:00Z",
            ["2026-04-23T22:00Z", "2026-04-24T21:00Z"], id="midnight is skipped",
        ),
        pytest.param(
            "America/Santiago", "30 0 * * *", "2026-09-05T12:00Z",
            ["2026-09-06T04:00Z", "2026-09-07T03:30Z"], id="the hour after midnight is skipped",
        ),
        pytest.param(
            "Asia/Kathmandu", "0 2 * * *", "2026-06-15T00:00Z",
            ["2026-06-15T20:15Z", "2026-06-16T20:15Z"], id="an offset of 5:45",
        ),
    ],
)  # fmt: skip
def test_days_of_change(zone: str, expression: str, after: str, fires: list[str]) -> None:
    found = cron.fires_between(
        expression, at(after), at(after) + timedelta(days=3), cron.zone(zone), limit=len(fires)
    )
    assert found == [at(fire) for fire in fires]
    for earlier, later in pairwise(found):
        assert cron.previous_fire(expression, later - SECOND, cron.zone(zone)) == earlier


def test_asked_within_the_second_pass_of_a_repeated_hour() -> None:
    """At 02:10 for the second time the fixed job of 02:30 has run already."""
    second_pass = at("2026-10-25T01:10Z")
    assert cron.next_fire("30 2 * * *", second_pass, BERLIN) == at("2026-10-26T01:30Z")
    assert cron.previous_fire("30 2 * * *", second_pass, BERLIN) == at("2026-10-25T00:30Z")
    assert cron.previous_fire("30 * * * *", second_pass, BERLIN) == at("2026-10-25T00:30Z")


def test_far_ends_of_time() -> None:
    assert cron.next_fire("0 2 * * *", datetime.max.replace(tzinfo=UTC), BERLIN) is None
    assert cron.previous_fire("0 2 * * *", datetime.min.replace(tzinfo=UTC), BERLIN) is None


# --- Properties -----------------------------------------------------------------------------------


EXPRESSIONS = st.tuples(
    field(0, 59), field(0, 23) | st.sampled_from("0123"), st.just("*") | field(1, 31),
    st.just("*") | field(1, 12), st.just("*") | field(0, 7),
).map(" ".join)  # fmt: skip
MOMENTS = st.datetimes(
    min_value=datetime(2024, 1, 1),  # noqa: DTZ001
    max_value=datetime(2030, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)


# cronsim walks real time in hours from local midnight: where the clock jumps at midnight or by 30
# minutes it answers late (`* 10 * * *` on Lord Howe: 10:30). There the walk by minutes judges.
CRONSIM_ZONES = ["Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Europe/Dublin", "UTC"]
CHANGES = [
    ("Australia/Lord_Howe", at("2026-04-04T15:00Z")),
    ("Australia/Lord_Howe", at("2026-10-03T15:30Z")),
    ("Africa/Cairo", at("2026-04-23T22:00Z")), ("Africa/Cairo", at("2026-10-29T21:00Z")),
    ("America/Santiago", at("2026-04-05T03:00Z")), ("America/Santiago", at("2026-09-06T04:00Z")),
    ("Africa/Casablanca", at("2026-02-15T02:00Z")), ("Africa/Casablanca", at("2026-03-22T02:00Z")),
    ("Pacific/Apia", at("2011-12-30T10:00Z")),
]  # fmt: skip


def walked(expression: str, after: datetime, zone: ZoneInfo, hours: int) -> datetime | None:
    """The first minute that the clock shows and the expression matches: real time, walked."""
    rules = CronSim(expression, after)
    for minutes in range(1, hours * 60):
        moment = after + timedelta(minutes=minutes)
        wall = moment.astimezone(zone)
        if wall.minute in rules.minutes and wall.hour in rules.hours and rules.match_day(wall):
            return moment
    return None


@examples(300)
@given(field(0, 59), field(0, 23), st.sampled_from(CHANGES), st.integers(-3000, 200))
def test_real_time_expressions_around_any_change(
    minute: str, hour: str, change: tuple[str, datetime], offset: int
) -> None:
    zone, after = cron.zone(change[0]), change[1] + timedelta(minutes=offset)
    expression = f"*/1,{minute} {hour} * * *"
    if not cron.is_valid(expression):
        return
    expected = walked(expression, after, zone, hours=50)
    if expected is not None:
        assert cron.next_fire(expression, after, zone) == expected
        assert cron.previous_fire(expression, expected, zone) == expected


@examples(400)
@given(EXPRESSIONS, MOMENTS, st.sampled_from(CRONSIM_ZONES))
def test_next_fire_is_what_cronsim_says(expression: str, after: datetime, name: str) -> None:
    zone = cron.zone(name)
    try:
        expected = by_cronsim(expression, after, zone)
    except CronSimError:
        assert not cron.is_valid(expression)
        return
    assert cron.next_fire(expression, after, zone) == expected


@examples(300)
@given(EXPRESSIONS.filter(cron.is_valid), MOMENTS, st.sampled_from(ZONES))
def test_previous_is_the_reverse_of_next(expression: str, now: datetime, name: str) -> None:
    zone = cron.zone(name)
    fire = cron.next_fire(expression, now, zone)
    if fire is None:
        return
    assert cron.previous_fire(expression, fire, zone) == fire
    before = cron.previous_fire(expression, fire - SECOND, zone)
    assert before is not None
    assert before <= now
    assert cron.next_fire(expression, before, zone) == fire


@examples(300)
@given(st.text(max_size=40))
def test_any_text_is_an_expression_or_a_bad_one(text: str) -> None:
    if cron.is_valid(text):
        assert cron.next_fire(text, NOW, BERLIN) is not None
