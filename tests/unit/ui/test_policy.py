"""How hosts and alerts are shown: tables of cases."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from libs.common.clock import TICK
from libs.common.events.alert import AlertKind
from libs.common.events.host import Schedule, ThresholdRules, Thresholds
from libs.common.testing.rig import START
from libs.common.thresholds import Origin, Threshold
from services.ui import policy
from services.ui.policy import HostFacts, Showing, Silence
from services.ui.views import Display, NextAlert
from tests.unit.ui.facts import FLEET, HOME, NIGHTLY, record

OFFLINE, STALE = AlertKind.AGENT_OFFLINE, AlertKind.STALE_SCHEDULE


@pytest.mark.parametrize(("status", "always_on", "display"), [
    ("online", True, Display.ONLINE), ("online", False, Display.ONLINE),
    ("offline", True, Display.OFFLINE), ("offline", False, Display.ASLEEP),
    ("never_seen", True, Display.NEVER_SEEN), ("never_seen", False, Display.NEVER_SEEN),
])  # fmt: skip
def test_r2_display(status: str, always_on: bool, display: Display) -> None:
    assert policy.display_of(status, always_on=always_on) is display


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


NOW = _utc("2026-06-15T09:00")


@pytest.mark.parametrize(("cron", "last", "overdue"), [
    pytest.param("0 2 * * *", None, True, id="never backed up"),
    pytest.param("0 2 * * *", _utc("2026-06-13T02:05"), True, id="two missed"),
    pytest.param("0 2 * * *", _utc("2026-06-15T02:05"), False, id="done this night"),
    pytest.param("0 9 * * *", NOW - TICK, True, id="fires exactly now"),
    pytest.param("1 9 * * *", NOW - timedelta(hours=1), False, id="fires in a minute"),
    pytest.param("not a cron", None, False, id="unparsable"),
    pytest.param("0 0 30 2 *", None, False, id="never fires"),
])  # fmt: skip
def test_r14_overdue(cron: str, last: datetime | None, overdue: bool) -> None:
    schedule = NIGHTLY.model_copy(update={"cron": cron})
    host = record(schedules=(schedule,), source_groups=(HOME,))
    found = policy.overdue_from(host, schedule, {"g1": last} if last else {})
    assert (found is not None and found <= NOW) is overdue


@pytest.mark.parametrize("change", [
    {"enabled": False}, {"source_group_ids": ()}, {"source_group_ids": ("gone",)},
])  # fmt: skip
def test_r13_what_cannot_run_is_never_overdue(change: dict[str, object]) -> None:
    schedule = NIGHTLY.model_copy(update=change)
    host = record(schedules=(schedule,), source_groups=(HOME,))
    assert policy.overdue_from(host, schedule, {}) is None
    assert policy.next_fire_of(host, schedule, NOW) is None
    assert not policy.has_schedule(host)


def test_a_schedule_fires_in_its_zone_or_the_hosts() -> None:
    fixed = NIGHTLY.model_copy(update={"timezone": "America/New_York"})
    host = record(timezone="Europe/Berlin", schedules=(NIGHTLY, fixed), source_groups=(HOME,))
    assert policy.next_fire_of(host, NIGHTLY, NOW) == _utc("2026-06-16T00:00")
    assert policy.next_fire_of(host, fixed, NOW) == _utc("2026-06-16T06:00")
    assert policy.host_next_fire(host, NOW) == _utc("2026-06-16T00:00")


def test_one_bad_schedule_hides_no_other() -> None:
    broken = Schedule(id="s2", name="x", cron="nope", source_group_ids=("g1",))
    host = record(schedules=(broken, NIGHTLY), source_groups=(HOME,))
    assert policy.host_overdue_from(host, {}) == host.enrolled_at


@pytest.mark.parametrize(("kind", "facts", "showing"), [
    pytest.param(OFFLINE, HostFacts(True, "offline", False, None), Showing.SHOWN, id="holds"),
    pytest.param(OFFLINE, HostFacts(False, "offline", False, None), Showing.MAY_SLEEP, id="R4"),
    pytest.param(OFFLINE, HostFacts(True, "online", False, None), Showing.IS_BACK, id="R5"),
    pytest.param(OFFLINE, HostFacts(True, "offline", True, None), Showing.HOST_GONE, id="gone"),
    pytest.param(STALE, HostFacts(False, "offline", False, START), Showing.SHOWN, id="at raise"),
    pytest.param(STALE, HostFacts(False, "offline", False, START + TICK),
                 Showing.BACKED_UP, id="R9"),
    pytest.param(STALE, HostFacts(True, "offline", False, None), Showing.ALWAYS_ON, id="R6"),
    pytest.param(AlertKind.BACKUP_FAILED, HostFacts(True, "online", False, START + TICK),
                 Showing.BACKED_UP, id="R9 failed"),
    pytest.param(AlertKind.CHECK_FAILED, HostFacts(True, "online", False, START + TICK),
                 Showing.SHOWN, id="a backup heals no check"),
    pytest.param(AlertKind.FLEET_OUTAGE, None, Showing.SHOWN, id="of the fleet"),
])  # fmt: skip
def test_what_contradicts_is_not_shown(
    kind: AlertKind, facts: HostFacts | None, showing: Showing
) -> None:
    assert policy.assess_showing(kind, START, facts) is showing


@pytest.mark.parametrize(("present", "state", "may"), [
    (None, "resolved", True), ("open", "open", True), ("open", "acknowledged", True),
    ("acknowledged", "open", False), ("resolved", "open", False),
    ("resolved", "acknowledged", False),
    ("resolved", "resolved", True),
])  # fmt: skip
def test_r7_an_alert_never_goes_back(present: str | None, state: str, may: bool) -> None:
    assert policy.may_follow(state, present) is may


def test_thresholds_say_where_they_come_from() -> None:
    host = record(thresholds=Thresholds(offline_seconds=60))
    assert policy.thresholds_of(host, FLEET) == {
        "offline": Threshold(timedelta(minutes=1), Origin.HOST),
        "stale": Threshold(timedelta(days=7), Origin.FLEET),
    }
    rules = ThresholdRules(tags={"paris": Thresholds(stale_seconds=3600)})
    of_tag = policy.thresholds_of(record(tags=("paris",)), replace(FLEET, rules=rules))
    assert of_tag["stale"] == Threshold(timedelta(hours=1), Origin.TAG, "paris")


DAY = timedelta(days=1)
ASLEEP = Silence("offline", False, START, START - DAY, START - DAY, True)
AWAY = Silence("offline", True, START, None, START - DAY, False)
FLOOR, WEEK = timedelta(minutes=15), timedelta(days=7)


def _but(silence: Silence, **changes: object) -> Silence:
    return replace(silence, **changes)


@pytest.mark.parametrize(("host", "following"), [
    pytest.param(AWAY, NextAlert(OFFLINE, START + FLOOR), id="R5 floor after last seen"),
    pytest.param(_but(AWAY, observed_since=START + DAY), NextAlert(OFFLINE, START + DAY + FLOOR),
                 id="R10 floor after we could see"),
    pytest.param(_but(AWAY, observed_since=None), None, id="R10 nobody listens"),
    pytest.param(_but(AWAY, status="online"), None, id="online"),
    pytest.param(_but(AWAY, status="never_seen", last_seen_at=None), None, id="never seen"),
    pytest.param(_but(AWAY, told=frozenset({OFFLINE})), None, id="told already"),
    pytest.param(_but(AWAY, muted_until={OFFLINE: START + DAY}), NextAlert(OFFLINE, START + DAY),
                 id="an operator has just resolved it"),
    pytest.param(_but(AWAY, muted_until={STALE: START + DAY}), NextAlert(OFFLINE, START + FLOOR),
                 id="another kind is muted"),
    pytest.param(ASLEEP, NextAlert(STALE, START - DAY + WEEK), id="R6 a week after the backup"),
    pytest.param(_but(ASLEEP, status="online"), NextAlert(STALE, START - DAY + WEEK),
                 id="R6 awake"),
    pytest.param(_but(ASLEEP, last_backup_at=None), None, id="R6 no baseline"),
    pytest.param(_but(ASLEEP, has_schedule=False), None, id="R6 no schedule"),
    pytest.param(_but(ASLEEP, told=frozenset({STALE})), None, id="R6 told already"),
])  # fmt: skip
def test_next_alert(host: Silence, following: NextAlert | None) -> None:
    thresholds = policy.thresholds_of(record(), FLEET)
    assert policy.next_alert(host, thresholds) == following
