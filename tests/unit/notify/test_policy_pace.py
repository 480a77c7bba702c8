"""Quiet hours and rates, as tables: days, zones, changes of the clocks, windows that slide."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from libs.common.clock import TICK
from libs.common.events.alert import Severity
from services.notify.policy_pace import (
    Held,
    Hold,
    QuietHours,
    RateLimit,
    Traffic,
    assess_pace,
    quiet_until,
    room_at,
)

MINUTE = timedelta(minutes=1)
NIGHT: dict[str, Any] = {"from": "22:00", "to": "07:00"}
BERLIN = {**NIGHT, "timezone": "Europe/Berlin"}
NOW = datetime(2026, 6, 15, 9, 0, tzinfo=UTC)  # A Monday.


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def until(quiet: dict[str, Any], moment: datetime) -> str | None:
    end = quiet_until(QuietHours.model_validate(quiet), moment)
    return None if end is None else end.strftime("%d %H:%M")


@pytest.mark.parametrize(
    ("quiet", "moment", "expected"),
    [
        pytest.param(NIGHT, at("2026-06-15 22:00") - TICK, None, id="one tick early"),
        pytest.param(NIGHT, at("2026-06-15 22:00"), "16 07:00", id="exactly at its begin"),
        pytest.param(NIGHT, at("2026-06-16 03:00"), "16 07:00", id="after midnight"),
        pytest.param(NIGHT, at("2026-06-16 07:00") - TICK, "16 07:00", id="one tick to go"),
        pytest.param(NIGHT, at("2026-06-16 07:00"), None, id="exactly at its end"),
        pytest.param({"from": "12:00", "to": "13:00"}, at("2026-06-15 12:30"), "15 13:00",
                     id="within a day"),
        pytest.param({**NIGHT, "days": ["fri"]}, at("2026-06-20 05:00"), "20 07:00",
                     id="begun on Friday, Saturday morning"),
        pytest.param({**NIGHT, "days": ["fri"]}, at("2026-06-19 05:00"), None,
                     id="begun on Thursday: not quiet"),
        pytest.param({"from": "00:00", "to": "00:00", "days": ["sat", "sun"]},
                     at("2026-06-20 10:00"), "22 00:00", id="two whole days are one quiet time"),
        pytest.param({"from": "18:00", "to": "18:00", "days": ["fri", "sat", "sun", "mon", "tue",
                     "wed"]}, at("2026-06-19 18:00"), "25 18:00", id="six days on end"),
        pytest.param(BERLIN, at("2026-06-15 20:00"), "16 05:00", id="summer time: UTC+2"),
        pytest.param(BERLIN, at("2026-12-15 20:59"), None, id="winter time: not yet"),
        pytest.param(BERLIN, at("2026-12-15 21:00"), "16 06:00", id="winter time: UTC+1"),
        pytest.param(BERLIN, at("2026-03-28 21:30"), "29 05:00", id="the night loses an hour"),
        pytest.param(BERLIN, at("2026-10-24 20:30"), "25 06:00", id="the night gains an hour"),
        pytest.param({**BERLIN, "from": "02:30", "to": "06:00"}, at("2026-10-25 00:30"),
                     "25 05:00", id="02:30 comes twice: it begins the first time"),
        pytest.param({**BERLIN, "from": "01:00", "to": "02:30"}, at("2026-10-25 01:30"),
                     None, id="02:30 comes twice: it ended the first time"),
        pytest.param({"from": "02:30", "to": "06:00", "timezone": "Europe/Berlin"},
                     at("2026-03-29 00:59"), None, id="02:30 is skipped: it begins at 03:00"),
        pytest.param({"from": "02:30", "to": "06:00", "timezone": "Europe/Berlin"},
                     at("2026-03-29 01:00"), "29 04:00", id="… and so it does"),
    ],
)  # fmt: skip
def test_when_it_is_quiet_and_until_when(
    quiet: dict[str, Any], moment: datetime, expected: str | None
) -> None:
    assert until(quiet, moment) == expected


def test_without_quiet_hours_it_never_is() -> None:
    assert quiet_until(None, NOW) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {}, {"from": "22:00"}, {"from": "25:00", "to": "07:00"}, {"from": "9:00", "to": "17:00"},
        {**NIGHT, "timezone": "Mars/Olympus"}, {**NIGHT, "timezone": "../../etc/passwd"},
        {**NIGHT, "timezone": ""}, {**NIGHT, "days": []}, {**NIGHT, "days": ["monday"]},
        {"from": "00:00", "to": "00:00"}, {**NIGHT, "breaks_through": ["mild"]},
        {**NIGHT, "until": "08:00"},
    ],
)  # fmt: skip
def test_wrong_quiet_hours_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        QuietHours.model_validate(wrong)


def ago(*minutes: float) -> list[datetime]:
    return [NOW - MINUTE * number for number in minutes]


@pytest.mark.parametrize(
    ("sent", "wait"),
    [
        pytest.param([], 0, id="nothing sent"),
        pytest.param(ago(1, 2), 0, id="fewer than the limit"),
        pytest.param(ago(1, 2, 3), 7, id="the third latest leaves the window in 7 min"),
        pytest.param(ago(3, 1, 2), 7, id="in any order"),
        pytest.param(ago(0, 0, 0), 10, id="all just now"),
        pytest.param(ago(1, 2, 10), 0, id="the third latest is exactly as old as the window"),
        pytest.param(ago(1, 2, 3, 4), 7, id="older ones say nothing"),
        pytest.param(ago(-5, -5, -5), 10, id="clock stepped back: they count as now"),
    ],
)
def test_when_there_is_room(sent: list[datetime], wait: int) -> None:
    assert room_at(RateLimit(messages=3, minutes=10), sent, NOW) - NOW == MINUTE * wait


def test_without_a_rate_there_is_always_room() -> None:
    assert room_at(None, ago(*[0] * 1000), NOW) == NOW


@pytest.mark.parametrize("wrong", [(0, 5), (5, 0), (-1, 5), (1001, 5), (5, 1441)])
def test_wrong_rates_are_refused(wrong: tuple[int, int]) -> None:
    with pytest.raises(ValidationError):
        RateLimit(messages=wrong[0], minutes=wrong[1])


QUIET = QuietHours.model_validate({"from": "08:00", "to": "10:00"})
LOUD = QuietHours.model_validate({"from": "12:00", "to": "13:00"})
RATE = RateLimit(messages=2, minutes=10)
FULL = Traffic(tuple(ago(1, 2)))
TEN = NOW + timedelta(hours=1)


@pytest.mark.parametrize(
    ("quiet", "rate", "severity", "traffic", "held"),
    [
        pytest.param(None, None, Severity.WARNING, Traffic(), None, id="nothing against it"),
        pytest.param(QUIET, None, Severity.WARNING, Traffic(), Held(Hold.QUIET, TEN), id="quiet"),
        pytest.param(QUIET, None, Severity.CRITICAL, Traffic(), None, id="breaks through"),
        pytest.param(LOUD, None, Severity.WARNING, Traffic(), None, id="quiet at other times"),
        pytest.param(None, RATE, Severity.CRITICAL, FULL, Held(Hold.RATE, NOW + 8 * MINUTE),
                     id="too many, however bad"),
        pytest.param(QUIET, RATE, Severity.WARNING, FULL, Held(Hold.QUIET, TEN),
                     id="quiet comes first"),
        pytest.param(QUIET, RATE, Severity.CRITICAL, FULL, Held(Hold.RATE, NOW + 8 * MINUTE),
                     id="breaks through, and is too many"),
        pytest.param(None, RATE, Severity.WARNING, Traffic((), crowded=True), Held(Hold.RATE, NOW),
                     id="room, but others wait for it"),
        pytest.param(None, None, Severity.WARNING, Traffic((), crowded=True), None,
                     id="no rate any more"),
    ],
)  # fmt: skip
def test_whether_news_must_wait(
    quiet: QuietHours | None, rate: RateLimit | None, severity: Severity, traffic: Traffic,
    held: Held | None,
) -> None:  # fmt: skip
    assert assess_pace(quiet, rate, severity, traffic, NOW) == held
