"""`schedule_missed`: a server was there when its schedule fired, and nothing ran. Only if asked."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from libs.common.clock import TICK
from libs.common.events.alert import AlertKind
from libs.common.events.host import HostRemoved, Schedule, Thresholds
from libs.common.events.job import JobOrigin, JobRequested, JobStarted
from libs.common.testing.rig import START, Rig
from services.alerting.policy_missed import MissedVerdict, Window, assess
from tests.unit.alerting.kit import (
    DAY,
    HOME,
    HOUR,
    MINUTE,
    NIGHTLY,
    advance_to,
    alerting,
    beat,
    changed,
    finished,
    hello,
    listening,
    mode_changed,
    offline,
    open_kinds,
    raised,
    record,
    resolved,
    rules,
    stopped,
    synced,
)
from tests.unit.alerting.test_r19_explained import replayed

KIND = AlertKind.SCHEDULE_MISSED
ASKED = Thresholds(missed_seconds=3600)
FIRE = datetime.fromisoformat("2026-06-16T02:00:00+00:00")
NOON = START


@pytest.mark.parametrize(("changes", "verdict"), [
    pytest.param({}, MissedVerdict.DUE, id="there, and no run"),
    pytest.param({"last_run_fire": NOON}, MissedVerdict.RAN, id="a run of this fire"),
    pytest.param({"last_run_fire": NOON + HOUR}, MissedVerdict.RAN, id="a run of a later one"),
    pytest.param({"last_run_fire": NOON - TICK}, MissedVerdict.DUE, id="a run of the one before"),
    pytest.param({"online": False}, MissedVerdict.NOT_ONLINE, id="away for a moment"),
    pytest.param({"listening_since": None}, MissedVerdict.NOT_OBSERVED, id="nobody listens"),
    pytest.param({"listening_since": NOON}, MissedVerdict.DUE, id="listening exactly since it"),
    pytest.param({"listening_since": NOON + TICK}, MissedVerdict.NOT_OBSERVED, id="since later"),
    pytest.param({"reports_awaited": True}, MissedVerdict.REPORTS_AWAITED, id="its reports"),
])  # fmt: skip
def test_when_a_fire_was_missed(changes: dict[str, Any], verdict: MissedVerdict) -> None:
    given = {"fire_at": NOON, "lasts": HOUR, "online": True, "listening_since": NOON - HOUR}
    assert assess(Window(**(given | changes))) is verdict


def server(**fields: Any):
    given = {"schedules": (NIGHTLY,), "source_groups": (HOME,), "thresholds": ASKED, "version": 2}
    return record(**(given | fields))


def watched(**fields: Any) -> Rig:
    """Return alerting with an online server whose nightly schedule must lead to runs."""
    rig = alerting()
    rig.publish(changed(server(**fields)), hello(), synced())
    return rig


def job(event: Any, fire: datetime = FIRE, **fields: Any):
    given = {
        "host_id": "h1", "job_id": "j9", "origin": JobOrigin.SCHEDULE, "schedule_id": "sc1",
        "source_group_id": "g1", "fire_time": fire, "at": fire,
    }  # fmt: skip
    return event(**(given | fields))


def missed_fires(rig: Rig) -> list[str]:
    return [alert.facts["fire_time"] for alert in raised(rig, KIND)]


def test_r14_told_at_the_end_of_the_window_once() -> None:
    rig = watched()
    advance_to(rig, FIRE + HOUR - TICK)
    assert raised(rig) == []
    rig.advance(TICK)
    (alert,) = raised(rig)
    assert (alert.message, alert.severity, alert.dedup_key) == (
        "No run of nightly (home) for 2026-06-16T02:00:00Z within 1h0m0s although online",
        "warning", "sc1:g1",
    )  # fmt: skip
    rig.advance(3 * DAY)
    assert len(raised(rig)) == 1
    rig.publish(job(JobStarted, FIRE + 4 * DAY))
    assert resolved(rig) == [(KIND, "run_produced")]
    advance_to(rig, FIRE + 4 * DAY + 2 * HOUR)
    assert open_kinds(rig) == []
    rig.advance(DAY)
    assert len(raised(rig)) == 2


@pytest.mark.parametrize("thresholds", [Thresholds(), Thresholds(stale_seconds=60)])
def test_off_by_default(thresholds: Thresholds) -> None:
    rig = watched(thresholds=thresholds)
    rig.advance(10 * DAY)
    assert raised(rig) == []
    assert rig.db.execute("SELECT count(*) FROM expected_run").fetchone() == (0,)


@pytest.mark.parametrize("event", [
    job(JobRequested), job(JobStarted), finished(FIRE + MINUTE, fire_time=FIRE),
    job(JobRequested, origin=JobOrigin.AGENT),
])  # fmt: skip
def test_r14_any_run_of_the_fire_will_do(event: Any) -> None:
    rig = watched()
    advance_to(rig, FIRE + MINUTE)
    rig.publish(event)
    rig.advance(2 * HOUR)
    assert raised(rig) == []


@pytest.mark.parametrize("fields", [
    {"schedule_id": "sc2"}, {"source_group_id": "g2"}, {"schedule_id": None},
    {"fire": FIRE - DAY},
])  # fmt: skip
def test_r14_another_run_will_not(fields: dict[str, Any]) -> None:
    rig = watched()
    advance_to(rig, FIRE + MINUTE)
    rig.publish(job(JobRequested, **fields))
    rig.advance(2 * HOUR)
    assert len(missed_fires(rig)) == 1


def test_a_host_that_was_away_for_a_moment_is_not_told_of() -> None:
    rig = watched()
    advance_to(rig, FIRE + 10 * MINUTE)
    rig.publish(offline(rig.now), hello(session="s2", connection=2), synced(session="s2"))
    rig.advance(2 * HOUR)
    assert raised(rig) == []
    rig.advance(DAY)
    assert missed_fires(rig) == ["2026-06-17T02:00:00Z"]


def test_r10_nor_while_nobody_listened() -> None:
    rig = watched()
    advance_to(rig, FIRE + 10 * MINUTE)
    rig.publish(stopped(rig.now), listening(rig.now + timedelta(seconds=1)))
    beat(rig)
    rig.advance(2 * HOUR)
    assert raised(rig) == []


def test_asked_for_by_tag_with_another_window() -> None:
    rig = watched(thresholds=Thresholds(), tags=("prod",))
    change = rules(prod=(None, None))
    limits = {"prod": Thresholds(missed_seconds=1800)}
    wanted = change.rules.model_copy(update={"tags": limits})
    rig.publish(change.model_copy(update={"rules": wanted}))
    advance_to(rig, FIRE + 30 * MINUTE)
    assert len(raised(rig)) == 1
    rig.publish(rules(2))
    assert resolved(rig) == [(KIND, "threshold_changed")]
    rig.advance(5 * DAY)
    assert len(raised(rig)) == 1


@pytest.mark.parametrize(("what", "reason"), [
    (lambda: mode_changed(server(version=3, always_on=False)), "mode_changed"),
    (lambda: changed(server(version=3, schedules=())), "schedule_disabled"),
    (lambda: changed(server(version=3, source_groups=())), "schedule_disabled"),
    (lambda: changed(server(version=3, thresholds=Thresholds())), "threshold_changed"),
    (lambda: HostRemoved(host_id="h1", record=server(version=3, removed=True)), "host_removed"),
])  # fmt: skip
def test_r8_what_ends_it(what: Any, reason: str) -> None:
    rig = watched()
    advance_to(rig, FIRE + HOUR)
    rig.publish(what())
    assert resolved(rig) == [(KIND, reason)]
    rig.advance(3 * DAY)
    assert len(raised(rig, KIND)) == 1


def test_another_hour_or_zone_moves_what_is_expected() -> None:
    rig = watched()
    later = NIGHTLY.model_copy(update={"cron": "0 5 * * *"})
    rig.publish(changed(server(version=3, schedules=(later,))))
    advance_to(rig, FIRE + 4 * HOUR)
    assert missed_fires(rig) == ["2026-06-16T05:00:00Z"]
    rig.publish(job(JobStarted, rig.now), changed(server(version=4, timezone="Asia/Tokyo")))
    rig.advance(DAY)
    assert missed_fires(rig)[1:] == ["2026-06-16T17:00:00Z"]


def test_each_pair_is_one_alert_and_a_schedule_that_cannot_fire_none() -> None:
    mail = HOME.model_copy(update={"id": "g2", "name": "mail"})
    both = NIGHTLY.model_copy(update={"source_group_ids": ("g1", "g2", "gone")})
    never = Schedule(id="sc9", name="never", cron="0 0 30 2 *", source_group_ids=("g1",))
    rig = watched(schedules=(both, never), source_groups=(HOME, mail))
    advance_to(rig, FIRE + HOUR)
    assert [alert.dedup_key for alert in raised(rig)] == ["sc1:g1", "sc1:g2"]


def test_r18_the_same_facts_again_and_a_rebuild() -> None:
    rig = watched()
    advance_to(rig, FIRE + MINUTE)
    rig.publish(job(JobStarted))
    rig.redeliver(rig.log[:])
    advance_to(rig, FIRE + DAY + HOUR)
    assert missed_fires(rig) == ["2026-06-17T02:00:00Z"]
    new = replayed(rig)
    assert open_kinds(new) == [KIND]
    new.advance(HOUR)
    assert missed_fires(new) == []
