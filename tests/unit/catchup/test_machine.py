"""R11-R16 on the real machine: arms, lists, requests, redelivery."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from libs.common.clock import TICK
from libs.common.errors import HostNotFound
from libs.common.events.catchup import (
    CatchupArmed,
    CatchupFinished,
    CatchupRequested,
    CatchupSkipped,
    SkipReason,
)
from libs.common.events.host import CatchUp, HostRemoved
from libs.common.events.job import JobStatus
from libs.common.testing.rig import START
from tests.unit.catchup.world import (
    DAILY,
    HOME,
    LONG_AGO,
    MAIL,
    SECOND,
    SETTLE,
    change,
    dispatched,
    enroll,
    finished,
    foreign_success,
    hello,
    interrupted,
    offline,
    record,
    rig,
    set_mode,
    synced,
    undeliverable,
    wake,
)

BOTH = DAILY.model_copy(update={"source_group_ids": ("g1", "g2")})


def reasons(fleet) -> list[SkipReason]:
    return [event.reason for event in fleet.of(CatchupSkipped)]


def test_r11_armed_by_hello_and_due_after_the_settle() -> None:
    fleet = rig()
    enroll(fleet)
    assert fleet.ask("get_arm", host_id="h1") is None
    wake(fleet)
    assert fleet.last(CatchupArmed).due_at == START + SETTLE
    assert fleet.ask("get_arm", host_id="h1") == {
        "state": "settling", "due_at": "2026-06-15T09:01:00Z", "place": None,
        "starts_at": None, "reason": None,
    }  # fmt: skip
    fleet.advance(SETTLE - TICK)
    assert not fleet.of(CatchupRequested)
    fleet.advance(TICK)
    request = fleet.last(CatchupRequested)
    assert (request.arm_id, request.source_group_id) == ("S1", "g1")
    assert request.fire_time == START.replace(hour=2)
    assert fleet.ask("get_arm", host_id="h1")["state"] == "running"


def test_r11_an_always_on_host_is_not_armed() -> None:
    fleet = rig()
    enroll(fleet, record(always_on=True))
    wake(fleet)
    set_mode(fleet, record(version=2))
    fleet.advance(timedelta(hours=1))
    assert not fleet.of(CatchupArmed)
    wake(fleet, session="S2")
    assert len(fleet.of(CatchupArmed)) == 1


def test_r11_a_new_hello_arms_again_the_same_does_not() -> None:
    fleet = rig()
    enroll(fleet)
    wake(fleet, connection=1)
    fleet.advance(SETTLE / 2)
    fleet.redeliver([hello(connection=1)])
    assert len(fleet.of(CatchupArmed)) == 1
    wake(fleet, session="S2", connection=2)
    fleet.redeliver([hello(connection=1), hello(session="S0", connection=0)])
    assert [arm.arm_id for arm in fleet.of(CatchupArmed)] == ["S1", "S2"]
    assert reasons(fleet) == [SkipReason.REARMED]
    fleet.advance(SETTLE - TICK)
    assert not fleet.of(CatchupRequested)
    fleet.advance(TICK)
    assert [request.arm_id for request in fleet.of(CatchupRequested)] == ["S2"]


def test_r11_the_same_hello_after_the_catch_up_is_done_does_not_arm() -> None:
    fleet = rig()
    enroll(fleet)
    wake(fleet)
    fleet.advance(SETTLE)
    fleet.publish(finished(fleet, fleet.last(CatchupRequested)))
    fleet.redeliver([hello(), synced()])
    fleet.advance(timedelta(days=3))
    assert len(fleet.of(CatchupRequested)) == len(fleet.of(CatchupArmed)) == 1


def test_r12_dropped_when_offline_and_armed_by_the_next_hello() -> None:
    fleet = rig()
    enroll(fleet)
    wake(fleet)
    fleet.publish(offline(fleet))
    fleet.advance(SETTLE)
    assert reasons(fleet) == [SkipReason.WENT_OFFLINE]
    assert fleet.ask("get_arm", host_id="h1") is None
    wake(fleet, session="S2")
    fleet.redeliver([offline(fleet, session="S1")])
    fleet.advance(SETTLE)
    assert fleet.last(CatchupRequested).arm_id == "S2"


def test_r12_dropped_when_always_on_by_now() -> None:
    fleet = rig()
    enroll(fleet)
    wake(fleet)
    set_mode(fleet, record(always_on=True, version=2))
    fleet.advance(SETTLE - TICK)
    assert not fleet.of(CatchupSkipped)
    fleet.advance(TICK)
    assert reasons(fleet) == [SkipReason.ALWAYS_ON]


def test_r12_the_hello_of_a_host_that_is_always_on_by_now_drops_it_at_once() -> None:
    fleet = rig()
    enroll(fleet)
    wake(fleet)
    set_mode(fleet, record(always_on=True, version=2))
    wake(fleet, session="S2")
    assert reasons(fleet) == [SkipReason.ALWAYS_ON]
    assert fleet.ask("get_arm", host_id="h1") is None


def test_r12_a_toggle_and_back_before_due_changes_nothing() -> None:
    fleet = rig()
    enroll(fleet)
    wake(fleet)
    set_mode(fleet, record(always_on=True, version=2))
    set_mode(fleet, record(version=3))
    set_mode(fleet, record(always_on=True, version=2))  # An old record, again.
    fleet.advance(SETTLE)
    assert len(fleet.of(CatchupRequested)) == 1


def test_r12_waits_for_the_reports() -> None:
    fleet = rig()
    enroll(fleet)
    fleet.publish(hello())
    fleet.advance(timedelta(hours=2))
    assert fleet.ask("get_arm", host_id="h1")["state"] == "waiting"
    fleet.publish(synced(session="S0"))
    assert not fleet.of(CatchupRequested)
    fleet.publish(synced())
    assert len(fleet.of(CatchupRequested)) == 1


def test_r12_waits_while_a_job_runs() -> None:
    fleet = rig()
    enroll(fleet)
    wake(fleet, running=("manual-1",))
    fleet.advance(timedelta(minutes=30))
    assert fleet.ask("get_arm", host_id="h1")["state"] == "waiting"
    fleet.publish(foreign_success(fleet, group="g2"))
    assert len(fleet.of(CatchupRequested)) == 1


def test_r13_a_success_later_than_the_arm_covers() -> None:
    fleet = rig()
    enroll(fleet, record(schedules=(BOTH,)))
    wake(fleet, running=("manual-1",))
    fleet.advance(timedelta(minutes=30))
    fleet.publish(foreign_success(fleet))
    assert fleet.last(CatchupRequested).source_group_id == "g2"
    fleet.publish(finished(fleet, fleet.last(CatchupRequested)))
    skipped = fleet.last(CatchupSkipped)
    assert (skipped.reason, skipped.detail) == (SkipReason.COVERED_BY, "job manual-1")
    assert (fleet.last(CatchupFinished).runs, fleet.last(CatchupFinished).succeeded) == (1, 1)


@pytest.mark.parametrize("status", [JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED])
def test_r13_one_at_a_time_each_once_whatever_its_result(status: JobStatus) -> None:
    fleet = rig()
    enroll(fleet, record(schedules=(BOTH,)))
    wake(fleet)
    fleet.advance(SETTLE)
    first = fleet.last(CatchupRequested)
    fleet.publish(dispatched(fleet, first))
    fleet.advance(timedelta(hours=5))
    assert len(fleet.of(CatchupRequested)) == 1
    end = finished(fleet, first, status=status)
    fleet.publish(end)
    second = fleet.last(CatchupRequested)
    assert (first.source_group_id, second.source_group_id) == ("g1", "g2")
    fleet.redeliver([dispatched(fleet, first), end])
    assert len(fleet.of(CatchupRequested)) == 2
    fleet.publish(finished(fleet, second))
    assert fleet.last(CatchupFinished).runs == 2
    assert fleet.last(CatchupFinished).succeeded == (2 if status is JobStatus.SUCCEEDED else 1)
    fleet.advance(timedelta(hours=10))
    assert len(fleet.of(CatchupRequested)) == 2


def test_r13_a_failure_that_will_be_tried_again_keeps_the_run() -> None:
    fleet = rig()
    enroll(fleet, record(schedules=(BOTH,)))
    wake(fleet)
    fleet.advance(SETTLE)
    request = fleet.last(CatchupRequested)
    fleet.publish(finished(fleet, request, status=JobStatus.FAILED, last=False))
    assert len(fleet.of(CatchupRequested)) == 1
    fleet.publish(dispatched(fleet, request, attempt=2))
    fleet.publish(finished(fleet, request, attempt=2))
    assert len(fleet.of(CatchupRequested)) == 2


def test_r13_the_list_is_judged_again_before_each() -> None:
    fleet = rig()
    second = DAILY.model_copy(update={"id": "s2", "source_group_ids": ("g2",)})
    enroll(fleet, record(schedules=(DAILY, second)))
    wake(fleet)
    fleet.advance(SETTLE)
    off = second.model_copy(update={"enabled": False})
    change(fleet, record(schedules=(DAILY, off), version=2))
    fleet.publish(finished(fleet, fleet.last(CatchupRequested)))
    assert reasons(fleet) == [SkipReason.SWITCHED_OFF]
    assert fleet.last(CatchupFinished).runs == 1


def test_r13_a_group_that_is_gone_is_skipped_the_rest_goes_on() -> None:
    fleet = rig()
    enroll(fleet, record(schedules=(BOTH,), source_groups=(MAIL,)))
    wake(fleet)
    fleet.advance(SETTLE)
    assert reasons(fleet) == [SkipReason.GROUP_GONE]
    assert fleet.last(CatchupRequested).source_group_id == "g2"
    assert "catchup_pair_skipped" in fleet.decisions("catchup", "h1")


@pytest.mark.parametrize(
    "schedule",
    [
        pytest.param(DAILY.model_copy(update={"enabled": False}), id="disabled"),
        pytest.param(DAILY.model_copy(update={"source_group_ids": ()}), id="no group"),
        pytest.param(DAILY.model_copy(update={"cron": "not a cron"}), id="no cron"),
        pytest.param(DAILY.model_copy(update={"catch_up": CatchUp.OFF}), id="catch-up off"),
    ],
)
def test_r13_never(schedule) -> None:
    fleet = rig()
    enroll(fleet, record(schedules=(schedule,)))
    wake(fleet)
    fleet.advance(SETTLE)
    assert reasons(fleet) == [SkipReason.NOTHING_OVERDUE]
    assert not fleet.of(CatchupRequested)


def test_r13_two_schedules_of_one_group_make_one_run() -> None:
    fleet = rig()
    weekly = DAILY.model_copy(update={"id": "s2", "cron": "0 3 * * 1"})
    enroll(fleet, record(schedules=(DAILY, weekly)))
    wake(fleet)
    fleet.advance(SETTLE)
    fleet.publish(finished(fleet, fleet.last(CatchupRequested)))
    assert len(fleet.of(CatchupRequested)) == 1
    assert reasons(fleet) == [SkipReason.COVERED_BY]


def test_r14_many_missed_windows_are_one_run() -> None:
    fleet = rig()
    enroll(fleet)
    fleet.publish(foreign_success(fleet, at=START - timedelta(days=3)))
    wake(fleet)
    fleet.advance(SETTLE)
    assert fleet.last(CatchupRequested).missed == 3
    texts = fleet.db.execute("SELECT text FROM decision WHERE what = 'catchup_requested'")
    assert texts.fetchone()[0] == "home: 1 run for 3 missed fires"


def test_r14_nothing_overdue() -> None:
    fleet = rig()
    enroll(fleet)
    fleet.publish(foreign_success(fleet, at=START - timedelta(hours=1)))
    wake(fleet)
    fleet.advance(SETTLE)
    assert reasons(fleet) == [SkipReason.NOTHING_OVERDUE]


def test_no_repository_ends_the_whole_arm() -> None:
    fleet = rig()
    enroll(fleet, record(schedules=(BOTH,), repository_id=None))
    wake(fleet)
    fleet.advance(SETTLE)
    assert reasons(fleet) == [SkipReason.NO_REPOSITORY]
    assert fleet.ask("get_arm", host_id="h1") is None


def test_r15_a_success_of_the_run_by_someone_else_ends_the_request() -> None:
    fleet = rig()
    enroll(fleet)
    wake(fleet)
    fleet.advance(SETTLE)
    by_agent = finished(fleet, fleet.last(CatchupRequested)).model_copy(update={"arm_id": None})
    fleet.publish(by_agent)
    assert fleet.last(CatchupFinished).succeeded == 1


def test_r15_a_failure_of_an_earlier_attempt_does_not_end_the_request() -> None:
    fleet = rig()
    enroll(fleet)
    wake(fleet)
    fleet.advance(SETTLE)
    request = fleet.last(CatchupRequested)
    earlier = finished(fleet, request, status=JobStatus.FAILED)
    fleet.publish(earlier.model_copy(update={"arm_id": "S0"}))
    assert not fleet.of(CatchupFinished)
    fleet.publish(finished(fleet, request, attempt=2))
    assert fleet.last(CatchupFinished).succeeded == 1


def test_r16_undeliverable_waits_for_the_next_hello() -> None:
    fleet = rig()
    enroll(fleet, record(schedules=(BOTH,)))
    wake(fleet)
    fleet.advance(SETTLE)
    request = fleet.last(CatchupRequested)
    failed = undeliverable(fleet, request)
    fleet.publish(failed)
    fleet.advance(timedelta(hours=1))
    assert fleet.ask("get_arm", host_id="h1")["state"] == "waiting"
    assert len(fleet.of(CatchupRequested)) == 1
    wake(fleet, session="S2")
    fleet.advance(SETTLE)
    again = fleet.last(CatchupRequested)
    assert (again.arm_id, again.source_group_id) == ("S2", "g1")
    fleet.redeliver([failed])
    fleet.publish(finished(fleet, again))
    assert fleet.last(CatchupRequested).source_group_id == "g2"


def test_r16_offline_amid_the_list_and_back() -> None:
    fleet = rig()
    enroll(fleet, record(schedules=(BOTH,)))
    wake(fleet)
    fleet.advance(SETTLE)
    first = fleet.last(CatchupRequested)
    fleet.publish(dispatched(fleet, first), offline(fleet))
    assert reasons(fleet) == [SkipReason.WENT_OFFLINE]
    fleet.advance(timedelta(hours=8))
    fleet.publish(hello(session="S2"), interrupted(fleet, first), synced(session="S2"))
    fleet.advance(SETTLE)
    assert [request.source_group_id for request in fleet.of(CatchupRequested)] == ["g1", "g1"]
    assert fleet.last(CatchupRequested).arm_id == "S2"


def test_r12_a_run_that_survived_a_bounce_is_waited_for_and_covers() -> None:
    fleet = rig()
    enroll(fleet)
    wake(fleet, connection=1)
    fleet.advance(SETTLE)
    first = fleet.last(CatchupRequested)
    taken = dispatched(fleet, first)
    fleet.publish(taken)
    wake(fleet, session="S2", connection=2, running=(taken.job_id,))
    fleet.advance(SETTLE * 2)
    assert fleet.ask("get_arm", host_id="h1")["state"] == "waiting"
    fleet.publish(finished(fleet, first))
    assert len(fleet.of(CatchupRequested)) == 1
    assert reasons(fleet) == [SkipReason.REARMED, SkipReason.COVERED_BY]


def test_a_late_started_of_an_ended_job_keeps_nobody_busy() -> None:
    fleet = rig()
    enroll(fleet)
    wake(fleet)
    fleet.advance(SETTLE)
    first = fleet.last(CatchupRequested)
    late = dispatched(fleet, first)
    fleet.publish(late, finished(fleet, first, status=JobStatus.FAILED))
    wake(fleet, session="S2")
    fleet.redeliver([late])
    fleet.advance(SETTLE)
    assert fleet.last(CatchupRequested).arm_id == "S2"


def test_a_hello_that_lists_a_job_whose_end_is_known_keeps_nobody_busy() -> None:
    """Only the acknowledgement of its end was lost; the end will not be told again."""
    fleet = rig()
    enroll(fleet)
    fleet.publish(foreign_success(fleet, at=LONG_AGO))
    wake(fleet, running=("manual-1",))
    fleet.advance(SETTLE)
    assert len(fleet.of(CatchupRequested)) == 1


def test_a_late_report_of_an_older_success_does_not_make_a_pair_overdue() -> None:
    fleet = rig()
    enroll(fleet)
    fleet.publish(foreign_success(fleet, at=START - timedelta(hours=1), job="new"))
    fleet.publish(foreign_success(fleet, at=LONG_AGO, job="old"))
    wake(fleet)
    fleet.advance(SETTLE)
    assert reasons(fleet) == [SkipReason.NOTHING_OVERDUE]


def test_r11_an_arm_outlives_a_late_reader() -> None:
    """Due while nobody looked: decided at once, but only with all that happened since."""
    fleet = rig()
    enroll(fleet)
    fleet.publish(hello(), synced())
    fleet.clock.advance(timedelta(hours=3))
    fleet.publish(offline(fleet))
    assert reasons(fleet) == [SkipReason.WENT_OFFLINE]
    assert not fleet.of(CatchupRequested)


def sessions(session: str, status: str = "online") -> dict[str, dict[str, bytes]]:
    """Bucket `sessions`, as presence put it."""
    value = {"host_id": "h1", "status": status, "session": session, "connection": 7}
    return {"sessions": {"h1": json.dumps(value).encode()}}


def test_r11_a_hello_that_was_lost_with_the_log_arms() -> None:
    fleet = rig()
    enroll(fleet)
    wake(fleet)
    fleet.advance(SETTLE)
    assert len(fleet.of(CatchupRequested)) == 1
    fleet.lose_log("catchup", sessions("S2"))
    fleet.lose_log("catchup", sessions("S2"))
    assert [arm.arm_id for arm in fleet.of(CatchupArmed)] == ["S1", "S2"]
    fleet.advance(SETTLE)
    assert fleet.last(CatchupRequested).arm_id == "S2", "nobody waits for a lost `synced`"


def test_r11_a_hello_that_the_bucket_named_first_arms_once() -> None:
    fleet = rig()
    enroll(fleet)
    wake(fleet)
    fleet.lose_log("catchup", sessions("S2"))
    fleet.publish(hello(session="S2", connection=7))
    assert [arm.arm_id for arm in fleet.of(CatchupArmed)] == ["S1", "S2"]
    fleet.advance(SETTLE)
    assert not fleet.of(CatchupRequested), "its reports are not in"
    fleet.publish(synced(session="S2"))
    assert fleet.last(CatchupRequested).arm_id == "S2"


def test_a_session_that_we_know_is_known_better_than_by_its_bucket() -> None:
    fleet = rig()
    enroll(fleet)
    wake(fleet)
    fleet.publish(offline(fleet))
    fleet.lose_log("catchup", sessions("S1"))
    fleet.lose_log("catchup", sessions("S2", "offline"))
    fleet.advance(SETTLE)
    assert reasons(fleet) == [SkipReason.WENT_OFFLINE]
    assert len(fleet.of(CatchupArmed)) == 1


def test_r11_at_a_first_start_the_hello_arms_that_the_bucket_knows_already() -> None:
    """Presence may have put the session before we read its hello."""
    fleet = rig()
    enroll(fleet)
    fleet.lose_log("catchup", sessions("S1"))
    fleet.advance(SETTLE)
    assert not fleet.of(CatchupArmed)
    wake(fleet, connection=7)
    assert fleet.last(CatchupArmed).arm_id == "S1"


def test_removed_host() -> None:
    fleet = rig()
    enroll(fleet)
    wake(fleet)
    gone = HostRemoved(host_id="h1", record=record(version=2, removed=True))
    fleet.publish(gone, gone)
    assert reasons(fleet) == [SkipReason.REMOVED]
    wake(fleet, session="S2")
    fleet.advance(timedelta(days=1))
    assert not fleet.of(CatchupRequested)
    with pytest.raises(HostNotFound):
        fleet.ask("get_arm", host_id="h1")


def test_unknown_hosts_are_ignored() -> None:
    fleet = rig()
    wake(fleet, "nobody")
    fleet.publish(offline(fleet, "nobody"), foreign_success(fleet, "nobody"))
    assert not fleet.of(CatchupArmed)
    with pytest.raises(HostNotFound):
        fleet.ask("get_arm", host_id="nobody")


def test_every_decision_is_explained() -> None:
    fleet = rig()
    enroll(fleet, record(source_groups=(HOME,)))
    wake(fleet)
    fleet.advance(SETTLE)
    fleet.publish(finished(fleet, fleet.last(CatchupRequested)))
    assert fleet.decisions("catchup", "h1") == [
        "catchup_armed", "catchup_listed", "catchup_requested", "catchup_finished",
    ]  # fmt: skip
    assert fleet.now - START == SETTLE
    assert SECOND < SETTLE


def test_r12_a_retry_that_its_host_slept_through_keeps_no_later_catch_up_waiting() -> None:
    """The first attempt failed, and the lid closed within the pause before the second one."""
    fleet = rig()
    enroll(fleet)
    wake(fleet)
    fleet.advance(SETTLE)
    request = fleet.last(CatchupRequested)
    fleet.publish(dispatched(fleet, request))
    fleet.publish(finished(fleet, request, status=JobStatus.FAILED, last=False))
    fleet.publish(offline(fleet))
    wake(fleet, session="S2")
    fleet.advance(SETTLE)
    assert fleet.last(CatchupRequested).arm_id == "S2"


def test_r12_a_failure_that_a_later_arm_waited_for_keeps_it_waiting_no_longer() -> None:
    """The run of the first arm failed in the second one's session: its next attempt goes only when
    that asks for it."""
    fleet = rig()
    enroll(fleet)
    wake(fleet, connection=1)
    fleet.advance(SETTLE)
    first = fleet.last(CatchupRequested)
    taken = dispatched(fleet, first)
    fleet.publish(taken)
    wake(fleet, session="S2", connection=2, running=(taken.job_id,))
    fleet.advance(SETTLE * 2)
    fleet.publish(finished(fleet, first, status=JobStatus.FAILED, last=False))
    assert fleet.last(CatchupRequested).arm_id == "S2"


def test_r11_the_settle_begins_when_we_heard_of_it_however_fast_the_gateways_clock_is() -> None:
    fleet = rig()
    enroll(fleet)
    fleet.publish(hello(), synced(), ahead=timedelta(hours=1))
    assert fleet.last(CatchupArmed).due_at == START + SETTLE
