"""When a catch-up is put off: tables of the rule, and the machine that keeps to it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from libs.common.clock import TICK
from libs.common.errors import SettingsError
from libs.common.events.agent import AgentPower
from libs.common.events.catchup import CatchupRequested
from libs.common.events.host import HostThresholdsChanged, ThresholdRules, Thresholds
from libs.common.testing.rig import START
from libs.common.weekly import Weekly
from services.catchup.policy_conditions import (
    LONGEST,
    Cause,
    Conditions,
    Deferral,
    Power,
    find_deferral,
    latest_start,
    parse_hours,
)
from services.catchup.settings import CatchupSettings
from tests.unit.catchup.world import (
    SETTLE,
    enroll,
    finished,
    foreign_success,
    offline,
    record,
    rig,
    wake,
)

NOW = datetime(2026, 6, 15, 9, 0, tzinfo=UTC)
LATEST = NOW + LONGEST
WEAK = Power(on_battery=True, battery_percent=29.9)
STRICT = Conditions(min_battery=30, on_metered=False)


@pytest.mark.parametrize(
    ("power", "conditions", "cause"),
    [
        pytest.param(WEAK, STRICT, Cause.ON_BATTERY, id="low"),
        pytest.param(Power(True, 30), STRICT, None, id="just enough"),
        pytest.param(Power(False, 5), STRICT, None, id="low, plugged in"),
        pytest.param(Power(True, None), STRICT, None, id="on battery, charge unknown"),
        pytest.param(Power(), STRICT, None, id="nothing known"),
        pytest.param(Power(metered=True), STRICT, Cause.METERED, id="metered"),
        pytest.param(Power(True, 1, True), Conditions(), None, id="off by default"),
    ],
)  # fmt: skip
def test_power_and_network(power: Power, conditions: Conditions, cause: Cause | None) -> None:
    found = find_deferral(conditions, power, "UTC", latest=LATEST, now=NOW)
    assert (found and found.cause) is cause
    assert found is None or found.until == LATEST


def test_nothing_is_put_off_for_ever() -> None:
    assert find_deferral(STRICT, WEAK, "UTC", latest=NOW + TICK, now=NOW) is not None
    assert find_deferral(STRICT, WEAK, "UTC", latest=NOW, now=NOW) is None
    assert find_deferral(STRICT, WEAK, "UTC", latest=NOW - TICK, now=NOW) is None


def test_the_latest_start_is_a_day_or_half_the_way_to_staleness() -> None:
    week = timedelta(days=7)
    assert latest_start(NOW, None, week) == LATEST
    assert latest_start(NOW, NOW - timedelta(days=2), week) == LATEST
    assert latest_start(NOW, NOW - timedelta(days=3), week) == NOW + timedelta(hours=12)
    assert latest_start(NOW, NOW - timedelta(days=30), week) < NOW


MORNING, NIGHT = parse_hours("mon-fri 09:00-12:00; daily 22:00-06:00")


@pytest.mark.parametrize(
    ("hours", "at", "end"),
    [
        pytest.param(MORNING, "2026-06-15T09:00+02:00", "2026-06-15T12:00+02:00", id="begins"),
        pytest.param(MORNING, "2026-06-15T08:59:59+02:00", None, id="just before"),
        pytest.param(MORNING, "2026-06-15T12:00+02:00", None, id="has ended"),
        pytest.param(MORNING, "2026-06-13T10:00+02:00", None, id="on Saturday"),
        pytest.param(NIGHT, "2026-06-15T23:00+02:00", "2026-06-16T06:00+02:00", id="evening"),
        pytest.param(NIGHT, "2026-06-16T05:59+02:00", "2026-06-16T06:00+02:00", id="early"),
        pytest.param(NIGHT, "2026-06-16T06:00+02:00", None, id="morning"),
        pytest.param(NIGHT, "2026-03-29T01:30+01:00", "2026-03-29T06:00+02:00", id="clocks ahead"),
        pytest.param(NIGHT, "2026-10-25T02:30+01:00", "2026-10-25T06:00+01:00", id="clocks back"),
    ],
)  # fmt: skip
def test_hours_by_the_hosts_clock(hours: Weekly, at: str, end: str | None) -> None:
    now = datetime.fromisoformat(at).astimezone(UTC)
    kept_free = Conditions(not_during=(hours,))
    latest = now + 2 * LONGEST
    found = find_deferral(kept_free, Power(), "Europe/Berlin", latest=latest, now=now)
    expected = None if end is None else Deferral(Cause.NOT_DURING, datetime.fromisoformat(end))
    assert found == expected


def test_no_hours_are_kept_free_by_default() -> None:
    assert parse_hours("") == CatchupSettings.load().conditions.not_during == ()


@pytest.mark.parametrize("text", ["9", "09:00-12:00", "daily 09:00-09:00", "daily 9:00-25:00", "x"])
def test_no_hours(text: str) -> None:
    with pytest.raises(SettingsError, match=r"NOT_DURING.*(weekly time|no length|a clock shows)"):
        CatchupSettings.load(catchup_not_during=text)


# -- the machine -----------------------------------------------------------------------------------


def plugged_in(session: str = "S1") -> AgentPower:
    return AgentPower(host_id="h1", session=session, on_battery=False, battery_percent=30)


def test_a_weak_battery_waits_and_plugging_in_releases_it_at_once() -> None:
    fleet = rig(catchup_min_battery=50)
    enroll(fleet)
    wake(fleet, on_battery=True, battery_percent=30)
    fleet.advance(SETTLE)
    assert not fleet.of(CatchupRequested)
    arm = fleet.ask("get_arm", host_id="h1")
    assert (arm["state"], arm["reason"]) == ("waiting", Cause.ON_BATTERY.value)
    fleet.publish(plugged_in("an older session"))
    assert not fleet.of(CatchupRequested)
    fleet.publish(plugged_in())
    assert fleet.last(CatchupRequested).arm_id == "S1"
    assert fleet.ask("get_arm", host_id="h1")["reason"] is None
    assert "catchup_waits" in fleet.decisions("catchup", "h1")


def test_it_runs_anyway_after_a_day_however_often_the_lid_is_closed() -> None:
    fleet = rig(catchup_min_battery=50)
    enroll(fleet)
    wake(fleet, on_battery=True, battery_percent=30)
    fleet.advance(SETTLE)
    fleet.publish(offline(fleet))
    fleet.advance(timedelta(hours=20))
    wake(fleet, session="S2", on_battery=True, battery_percent=30)
    fleet.advance(timedelta(hours=4) - TICK)
    assert not fleet.of(CatchupRequested)
    fleet.advance(TICK)
    assert fleet.last(CatchupRequested).arm_id == "S2"
    assert fleet.now - START == SETTLE + LONGEST


def test_it_runs_anyway_when_the_last_success_is_half_as_old_as_staleness_allows() -> None:
    fleet = rig(catchup_on_metered=False)
    enroll(fleet, record(thresholds=Thresholds(stale_seconds=4 * 86400)))
    fleet.publish(foreign_success(fleet, at=START - timedelta(days=2) + timedelta(hours=1)))
    wake(fleet, metered=True)
    fleet.advance(timedelta(hours=1) - TICK)
    assert not fleet.of(CatchupRequested)
    fleet.advance(TICK)
    assert len(fleet.of(CatchupRequested)) == 1


def test_the_threshold_of_a_tag_counts_too() -> None:
    fleet = rig(catchup_on_metered=False)
    rules = ThresholdRules(version=1, tags={"boss": Thresholds(stale_seconds=2 * 86400)})
    fleet.publish(HostThresholdsChanged(rules=rules))
    enroll(fleet, record(tags=("boss",)))
    fleet.publish(foreign_success(fleet, at=START - timedelta(days=1) + timedelta(hours=1)))
    wake(fleet, metered=True)
    fleet.advance(timedelta(hours=1) - TICK)
    assert not fleet.of(CatchupRequested)
    fleet.advance(TICK)
    assert len(fleet.of(CatchupRequested)) == 1


def test_hours_that_are_kept_free_end_by_themselves_and_the_day_counts_anew_after_a_run() -> None:
    fleet = rig(catchup_not_during="daily 09:00-10:00")
    enroll(fleet)
    wake(fleet)
    fleet.advance(timedelta(hours=1) - TICK)
    assert not fleet.of(CatchupRequested)
    fleet.advance(TICK)
    request = fleet.last(CatchupRequested)
    fleet.publish(finished(fleet, request), offline(fleet))
    fleet.advance(timedelta(hours=23, minutes=30))
    wake(fleet, session="S2")
    fleet.advance(timedelta(minutes=30) - TICK)
    assert len(fleet.of(CatchupRequested)) == 1
    fleet.advance(TICK)
    assert len(fleet.of(CatchupRequested)) == 2


def test_what_is_not_overdue_does_not_wait_for_power() -> None:
    fleet = rig(catchup_min_battery=50)
    enroll(fleet)
    fleet.publish(foreign_success(fleet))
    wake(fleet, on_battery=True, battery_percent=30)
    fleet.advance(SETTLE)
    assert fleet.ask("get_arm", host_id="h1") is None
