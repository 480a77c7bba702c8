"""How a person writes days, rates and hours of a channel."""

from __future__ import annotations

import pytest

from cli.channel_lists import not_when, told_of
from cli.channels import Pace, _days, _pace, _rate
from libs.common.errors import BadInput

NOTHING = Pace(None, None, None, None, None)


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("mon", ["mon"]),
        ("mon-fri", ["mon", "tue", "wed", "thu", "fri"]),
        ("sat,sun", ["sat", "sun"]),
        ("fri-mon", ["mon", "fri", "sat", "sun"]),
        ("Sun, mon-tue", ["mon", "tue", "sun"]),
        ("mon-sun", ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]),
        ("monday", ["mon"]),
    ],
)
def test_days(text: str, days: list[str]) -> None:
    assert _days(text) == days


@pytest.mark.parametrize("text", ["", "mond", "mon-", "-fri", "1-5", "mon;tue"])
def test_no_days(text: str) -> None:
    with pytest.raises(BadInput, match="is no day"):
        _days(text)


@pytest.mark.parametrize(
    ("text", "rate"), [("10/15m", (10, 15)), ("1/1h", (1, 60)), ("5/90s", (5, 1))]
)
def test_rates(text: str, rate: tuple[int, int]) -> None:
    assert _rate(text) == {"messages": rate[0], "minutes": rate[1]}


@pytest.mark.parametrize("text", ["", "10", "10/", "/15m", "0/15m", "-1/15m", "10/30s", "x/y"])
def test_no_rates(text: str) -> None:
    with pytest.raises(BadInput, match="10/15m"):
        _rate(text)


def test_what_was_not_said_is_not_sent() -> None:
    assert _pace(None, NOTHING) == {}
    old = {"from": "22:00", "to": "07:00", "timezone": "UTC", "days": ["mon"]}
    changed = _pace(old, Pace(None, "sat", None, ["critical", "warning"], None))
    assert changed == {
        "quiet_hours": {**old, "days": ["sat"], "breaks_through": ["critical", "warning"]}
    }
    assert _pace(old, Pace("none", None, None, None, "none")) == {
        "quiet_hours": None, "rate_limit": None,
    }  # fmt: skip


def test_what_a_channel_is_told_of_in_words() -> None:
    names = {"h1": "web-3"}
    assert told_of({"filter": None}, names) == "everything"
    wanted = {"severities": ["critical"], "tags": ["lab", "prod"], "host_ids": ["h1"]}
    assert told_of({"filter": wanted}, names) == "critical; hosts tagged lab or prod; web-3"
    assert not_when({"quiet_hours": None, "rate_limit": None}) == "-"
