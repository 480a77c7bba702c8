"""R6, R9: a laptop that has gone too long without any backup."""

from __future__ import annotations

import pytest

from libs.common.clock import TICK
from libs.common.events.host import Schedule, Thresholds
from libs.common.events.job import JobStatus
from tests.unit.alerting.kit import (
    DAY,
    HOUR,
    MINUTE,
    NIGHTLY,
    OFFLINE_AFTER,
    STALE_AFTER,
    START,
    advance_to,
    changed,
    failed,
    finished,
    hello,
    laptop,
    listening,
    lost,
    mode_changed,
    offline,
    open_alerts,
    open_kinds,
    raised,
    record,
    resolved,
    sleeping_laptop,
    stopped,
    synced,
)


def test_r6_raised_at_seven_days_and_once() -> None:
    rig = sleeping_laptop()
    advance_to(rig, START + STALE_AFTER - TICK)
    assert raised(rig) == []
    rig.advance(TICK)
    (alert,) = raised(rig)
    assert (alert.kind, alert.message) == (
        "stale_schedule", "No backup in 7d0h0m (threshold 7d0h0m)"
    )  # fmt: skip
    rig.advance(30 * DAY)
    assert len(raised(rig)) == 1


def test_r6_r9_eight_days_raised_once_and_cleared_by_a_backup() -> None:
    """The original case."""
    rig = sleeping_laptop()
    rig.advance(8 * DAY)
    assert open_kinds(rig) == ["stale_schedule"]
    rig.publish(hello(session="s2", connection=2), finished(rig.now, job_id="j2"))
    assert resolved(rig) == [("stale_schedule", "backup_succeeded")]
    assert len(raised(rig)) == 1
    rig.advance(STALE_AFTER - TICK)
    assert open_alerts(rig) == []
    rig.advance(TICK)
    assert len(raised(rig)) == 2


def test_r6_without_a_schedule_none() -> None:
    """The original case."""
    rig = sleeping_laptop()
    rig.publish(changed(laptop(version=2, schedules=())))
    rig.advance(8 * DAY)
    assert raised(rig) == []


@pytest.mark.parametrize(
    "new",
    [
        pytest.param((), id="none left"),
        pytest.param((NIGHTLY.model_copy(update={"enabled": False}),), id="the only one disabled"),
    ],
)
def test_r6_ended_with_the_last_enabled_schedule_and_back_with_it(new) -> None:
    rig = sleeping_laptop()
    rig.advance(8 * DAY + 2 * HOUR)
    rig.publish(changed(laptop(version=2, schedules=new)))
    assert resolved(rig) == [("stale_schedule", "schedule_disabled")]
    rig.publish(changed(laptop(version=3)))
    assert raised(rig)[-1].message == "No backup in 8d2h0m (threshold 7d0h0m)"


def test_r6_one_enabled_schedule_is_enough() -> None:
    off = Schedule(id="sc2", name="off", cron="0 3 * * *", enabled=False)
    rig = sleeping_laptop()
    rig.publish(changed(laptop(version=2, schedules=(off, NIGHTLY))))
    rig.advance(8 * DAY)
    assert open_kinds(rig) == ["stale_schedule"]


def test_r6_never_backed_up_none() -> None:
    rig = sleeping_laptop()
    rig.publish(changed(laptop(version=1, host_id="h2")), hello("h2"), synced("h2"))
    rig.publish(failed(START, "j9", host_id="h2"))
    rig.advance(30 * DAY)
    assert open_kinds(rig, "h2") == ["backup_failed"]


def test_r6_always_on_never() -> None:
    rig = sleeping_laptop()
    rig.publish(mode_changed(record(version=2, schedules=(NIGHTLY,))))
    rig.publish(hello(session="s2", connection=2))
    rig.advance(30 * DAY)
    assert raised(rig) == []


def test_r8_turned_intermittent_raises_at_once() -> None:
    rig = sleeping_laptop()
    rig.publish(mode_changed(record(version=2, schedules=(NIGHTLY,))))
    rig.publish(hello(session="s2", connection=2), synced(session="s2"))
    rig.advance(8 * DAY + 2 * HOUR)
    rig.publish(mode_changed(laptop(version=3)))
    assert [alert.message for alert in raised(rig)] == ["No backup in 8d2h0m (threshold 7d0h0m)"]
    rig.publish(mode_changed(record(version=4)))
    assert resolved(rig) == [("stale_schedule", "mode_changed")]


def test_r6_a_hosts_own_threshold_both_ways() -> None:
    rig = sleeping_laptop()
    rig.publish(changed(laptop(version=2, thresholds=Thresholds(stale_seconds=2 * 86400))))
    advance_to(rig, START + 2 * DAY)
    assert raised(rig)[0].message == "No backup in 2d0h0m (threshold 2d0h0m)"
    rig.publish(changed(laptop(version=3, thresholds=Thresholds(stale_seconds=3 * 86400))))
    assert resolved(rig) == [("stale_schedule", "threshold_changed")]
    advance_to(rig, START + 3 * DAY)
    assert len(raised(rig)) == 2


def test_r6_a_success_with_warnings_counts_and_a_failure_does_not() -> None:
    rig = sleeping_laptop()
    rig.advance(6 * DAY)
    rig.publish(failed(rig.now, "j2"))
    rig.publish(finished(rig.now, JobStatus.CANCELLED, "j3"))
    rig.advance(2 * DAY)
    assert open_kinds(rig) == ["backup_failed", "stale_schedule"]
    rig.publish(finished(rig.now, JobStatus.SUCCEEDED_WITH_WARNINGS, "j4"))
    assert open_alerts(rig) == []


def test_r6_any_group_counts() -> None:
    rig = sleeping_laptop()
    rig.advance(6 * DAY)
    rig.publish(finished(rig.now, job_id="j2", source_group_id="g2"))
    rig.advance(STALE_AFTER - TICK)
    assert raised(rig) == []


def test_r6_an_older_success_told_later_does_not_move_the_last_one_back() -> None:
    rig = sleeping_laptop()
    rig.advance(6 * DAY)
    rig.publish(finished(START + 6 * DAY, job_id="j2"), finished(START + DAY, job_id="j3"))
    advance_to(rig, START + 6 * DAY + STALE_AFTER - TICK)
    assert raised(rig) == []
    rig.advance(TICK)
    assert len(raised(rig)) == 1


def test_r6_a_success_from_the_future_is_not_believed() -> None:
    rig = sleeping_laptop()
    rig.publish(finished(START + 365 * DAY, job_id="j2"))
    rig.advance(STALE_AFTER)
    assert open_kinds(rig) == ["stale_schedule"]


def test_r6_r9_a_success_that_is_old_itself_ends_nothing() -> None:
    rig = sleeping_laptop()
    rig.advance(10 * DAY)
    rig.publish(hello(session="s2", connection=2))
    rig.publish(finished(START + DAY, job_id="j2"), synced(session="s2"))
    assert open_kinds(rig) == ["stale_schedule"]
    assert resolved(rig) == []


def test_r9_the_same_success_again_after_it_went_stale() -> None:
    rig = sleeping_laptop()
    rig.advance(8 * DAY)
    rig.redeliver([finished(START), finished(rig.now)])  # The job's first end stands.
    assert open_kinds(rig) == ["stale_schedule"]


def test_r10_a_backlog_with_a_late_success_raises_nothing() -> None:
    rig = sleeping_laptop()
    rig.clock.set(START + 8 * DAY)
    rig.publish(finished(START + 6 * DAY, job_id="j2"))
    assert raised(rig) == []


# -- the gate --------------------------------------------------------------------------------------


def blackout(rig, length, until) -> None:
    """Stop the gateway so that it listens again at `until`, after `length`."""
    advance_to(rig, until - length)
    rig.publish(stopped(rig.now))
    advance_to(rig, until)
    rig.publish(listening(until))


def test_r6_after_a_long_blackout_reports_are_awaited_for_24_hours() -> None:
    rig = sleeping_laptop()
    again = START + STALE_AFTER - HOUR
    blackout(rig, 2 * HOUR, again)
    advance_to(rig, again + DAY - TICK)
    assert raised(rig) == []
    rig.advance(TICK)
    assert raised(rig)[0].message == "No backup in 7d23h0m (threshold 7d0h0m)"


def test_r6_its_reports_end_the_wait() -> None:
    rig = sleeping_laptop()
    blackout(rig, 2 * HOUR, START + STALE_AFTER - HOUR)
    advance_to(rig, START + STALE_AFTER + HOUR)
    rig.publish(hello(session="s2", connection=2))
    rig.redeliver([synced(session="s1")])  # That was before the blackout.
    assert raised(rig) == []
    rig.publish(synced(session="s2"))
    assert raised(rig)[0].message == "No backup in 7d1h0m (threshold 7d0h0m)"


def test_r6_only_its_present_sessions_reports_count_and_once() -> None:
    rig = sleeping_laptop()
    rig.advance(HOUR)
    rig.publish(hello(session="s2", connection=2), synced(session="s2"))
    blackout(rig, 2 * HOUR, START + STALE_AFTER - HOUR)
    advance_to(rig, START + STALE_AFTER)
    rig.redeliver([synced(session="s2")])  # Of before the blackout, and it has not been back.
    assert raised(rig) == []
    rig.publish(hello(session="s3", connection=3))
    rig.redeliver([synced(session="s1")])
    assert raised(rig) == []
    rig.publish(synced(session="s3"))
    assert open_kinds(rig) == ["stale_schedule"]


def test_r6_a_session_that_outlived_the_blackout_says_so() -> None:
    rig = sleeping_laptop()
    rig.advance(HOUR)
    rig.publish(hello(session="s2", connection=2), synced(session="s2"))
    again = START + STALE_AFTER - HOUR
    blackout(rig, 2 * HOUR, again)
    advance_to(rig, START + STALE_AFTER)
    rig.redeliver([synced(session="s2", since=again - TICK)])  # After an earlier one.
    assert raised(rig) == []
    rig.publish(synced(session="s2", since=again))
    assert open_kinds(rig) == ["stale_schedule"]


def test_r6_its_reports_hold_a_backup() -> None:
    rig = sleeping_laptop()
    blackout(rig, 2 * HOUR, START + STALE_AFTER - HOUR)
    advance_to(rig, START + STALE_AFTER + HOUR)
    made = START + STALE_AFTER - 2 * HOUR
    rig.publish(hello(session="s2", connection=2), finished(made, job_id="j2"))
    rig.publish(synced(session="s2"))
    advance_to(rig, made + STALE_AFTER - TICK)
    assert raised(rig) == []
    rig.advance(TICK)
    assert len(raised(rig)) == 1


def test_r6_a_short_blackout_delays_nothing() -> None:
    rig = sleeping_laptop()
    blackout(rig, OFFLINE_AFTER - TICK, START + STALE_AFTER - HOUR)
    advance_to(rig, START + STALE_AFTER)
    assert open_kinds(rig) == ["stale_schedule"]


def test_r6_a_blackout_of_exactly_offline_after_does() -> None:
    rig = sleeping_laptop()
    blackout(rig, OFFLINE_AFTER, START + STALE_AFTER - HOUR)
    advance_to(rig, START + STALE_AFTER)
    assert raised(rig) == []


def test_r6_a_lost_gateway_was_dark_for_longer_than_its_loss() -> None:
    rig = sleeping_laptop()
    advance_to(rig, START + STALE_AFTER - HOUR)
    rig.publish(lost(rig.now))
    rig.publish(listening(rig.now))
    advance_to(rig, START + STALE_AFTER)
    assert raised(rig) == []


def test_r6_during_a_long_blackout_nobody_is_judged() -> None:
    rig = sleeping_laptop()
    advance_to(rig, START + STALE_AFTER - HOUR)
    rig.publish(stopped(rig.now))
    rig.advance(10 * DAY)
    assert raised(rig) == []
    again = rig.now
    rig.publish(listening(again))
    advance_to(rig, again + DAY - TICK)
    assert raised(rig) == []
    rig.advance(TICK)
    assert len(raised(rig)) == 1


def test_r6_an_open_one_outlasts_the_wait_but_for_r8_r9_and_a_disabled_schedule() -> None:
    ends = {
        "threshold": changed(laptop(version=2, thresholds=Thresholds(stale_seconds=90 * 86400))),
        "schedule": changed(laptop(version=2, schedules=())),
        "mode": mode_changed(record(version=2)),
        "backup": finished(START + 8 * DAY, job_id="j2"),
    }
    left = {}
    for name, event in ends.items():
        rig = sleeping_laptop()
        blackout(rig, 2 * HOUR, START + 8 * DAY)
        assert raised(rig) != []
        rig.publish(event)
        left[name] = open_kinds(rig)[-1:]
        if name == "threshold":
            rig.advance(DAY)
            assert open_alerts(rig) == []  # Judged again once the wait is over.
    assert left == {
        "threshold": ["stale_schedule"], "schedule": [], "mode": [], "backup": []
    }  # fmt: skip


def test_r6_a_gateway_that_crashed_without_a_word_was_dark_since_its_last_beat() -> None:
    for silent, judged in ((OFFLINE_AFTER - TICK, True), (OFFLINE_AFTER, False)):
        rig = sleeping_laptop()
        advance_to(rig, START + STALE_AFTER - HOUR)
        data = {"gateway": "gw-1", "since": START.isoformat(), "at": rig.now.isoformat()}
        rig.live("alerting", "dormice-live.beat.gw-1", data)
        rig.advance(silent)
        rig.publish(listening(rig.now))
        advance_to(rig, START + STALE_AFTER)
        assert bool(raised(rig)) is judged


def test_r6_r10_one_of_two_gateways_is_no_blackout() -> None:
    rig = sleeping_laptop()
    rig.publish(listening(START, "gw-2"))
    blackout(rig, 2 * HOUR, START + STALE_AFTER - HOUR)
    advance_to(rig, START + STALE_AFTER)
    assert open_kinds(rig) == ["stale_schedule"]


def test_r6_sleeping_and_waking_without_a_backup_changes_nothing() -> None:
    rig = sleeping_laptop()
    for day in range(1, 9):
        advance_to(rig, START + day * DAY)
        session = f"d{day}"
        rig.publish(hello(session=session, connection=day + 1), synced(session=session))
        rig.advance(30 * MINUTE)
        rig.publish(offline(rig.now, session=session))
    assert len(raised(rig)) == 1
    assert resolved(rig) == []
