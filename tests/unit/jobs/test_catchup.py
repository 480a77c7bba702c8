"""R13-R16 from the side of jobs: how a catch-up's request is met."""

from __future__ import annotations

from datetime import timedelta

import pytest

from libs.common.events.catchup import CatchupFinished, CatchupSkipped, SkipReason
from libs.common.events.job import (
    JobAbandoned,
    JobDispatched,
    JobFinished,
    JobInterrupted,
    JobOrigin,
    JobRequested,
    JobUndeliverable,
)
from tests.unit.jobs.world import HOME, MINUTE, NINE, World, attempt_id, record

FIRST, SECOND_TRY, THIRD = (attempt_id(number) for number in (1, 2, 3))
HOUR = timedelta(hours=1)


def laptop(**changes: object) -> World:
    world = World(record(always_on=False, **changes))
    world.connect()
    return world


def test_a_request_is_attempt_one_of_the_latest_fire() -> None:
    world = laptop()
    world.request()
    requested = world.last(JobRequested)
    assert (requested.job_id, requested.origin, requested.arm_id) == (
        FIRST, JobOrigin.CATCHUP, "S1",
    )  # fmt: skip
    assert world.run_ids() == [FIRST]
    world.run_to_end(FIRST)
    assert world.last(JobDispatched).arm_id == world.last(JobFinished).arm_id == "S1"


def test_the_same_request_again_at_any_time_is_no_further_attempt() -> None:
    world = laptop()
    world.request()
    world.run_to_end(FIRST, "failed")
    world.request("S1")
    world.advance(HOUR)
    assert world.run_ids() == [FIRST]
    world.connect("S2")
    world.request()
    assert world.run_ids() == [FIRST, SECOND_TRY], "one per arm"


def test_what_could_not_reach_its_repository_is_asked_for_again_and_nobody_is_alarmed() -> None:
    world = laptop()
    world.request()
    world.run_to_end(FIRST, "failed", reason="repository_unreachable")
    end = world.last(JobFinished)
    assert (end.reason, end.last_attempt) == ("repository_unreachable", False)
    assert world.job(FIRST)["reason"] == "repository_unreachable"
    world.request(put_off=0)
    world.advance(HOUR)
    assert world.run_ids() == [FIRST], "the same request again"
    world.request(put_off=1)
    world.request(put_off=1)
    assert world.run_ids() == [FIRST, SECOND_TRY]
    world.run_to_end(SECOND_TRY, "failed", reason="wrong_password")
    assert world.last(JobFinished).last_attempt is True


def test_a_scheduled_run_that_could_not_reach_its_repository_has_failed() -> None:
    world = laptop()
    world.fire()
    world.run_to_end(FIRST, "failed", reason="repository_unreachable")
    end = world.last(JobFinished)
    assert (end.reason, end.last_attempt) == ("repository_unreachable", True)


def test_outside_the_limits_of_retries_and_interruptions() -> None:
    world = laptop()
    for number in range(1, 8):
        world.connect(f"S{number}")
        world.request()
        world.run_to_end(attempt_id(number), "failed")
        assert world.last(JobFinished).last_attempt is True
    assert len(world.run_ids()) == 7


def test_r15_a_run_that_succeeded_gets_no_attempt_and_the_arm_hears_of_it() -> None:
    world = laptop()
    world.fire()
    world.run_to_end(FIRST)
    world.request()
    assert world.run_ids() == [FIRST]
    restated = world.last(JobFinished)
    assert (restated.job_id, restated.arm_id) == (FIRST, "S1")


def test_r15_a_run_that_the_hello_listed_by_its_id_alone_is_joined() -> None:
    """The agent began it alone; the request was on its way when the agent came back."""
    world = laptop()
    world.hello("S2", running=(FIRST,))
    world.request("S1")
    world.synced()
    assert world.run_ids() == []
    world.finish(FIRST)
    finished = world.last(JobFinished)
    assert (finished.job_id, finished.arm_id, finished.attempt) == (FIRST, "S1", 1)
    assert finished.source_group_id == "g1"


def test_r15_an_attempt_under_way_is_joined() -> None:
    world = laptop()
    world.fire()
    world.accept(FIRST)
    world.request()
    assert world.run_ids() == [FIRST]
    world.finish(FIRST)
    assert world.last(JobFinished).arm_id == "S1"


def test_a_waiting_attempt_is_taken_over_without_a_pause() -> None:
    world = laptop(source_groups=(HOME.model_copy(update={"retry_max": 3}),))
    world.fire()
    world.run_to_end(FIRST, "failed")
    world.request()
    assert world.run_ids() == [FIRST, SECOND_TRY]
    assert world.status(SECOND_TRY) == "requested"


def test_r16_a_request_of_a_session_that_is_gone_is_undeliverable_and_taken_over_later() -> None:
    world = laptop()
    world.offline()
    world.request("S1")
    failed = world.last(JobUndeliverable)
    assert (failed.job_id, failed.arm_id, failed.session) == (FIRST, "S1", "S1")
    world.connect("S2")
    world.advance(HOUR)
    assert world.run_ids() == [], "it waits for the settle and a slot"
    world.request("S2")
    assert world.run_ids() == [FIRST]
    world.run_to_end(FIRST)
    assert world.last(JobFinished).arm_id == "S2"


def test_r16_the_session_ends_before_the_agent_accepts() -> None:
    world = laptop()
    world.request()
    world.written()
    world.offline()
    assert [event.arm_id for event in world.of(JobUndeliverable)] == ["S1"]
    world.connect("S2")
    world.request("S2")
    world.offline()
    assert [event.arm_id for event in world.of(JobUndeliverable)] == ["S1", "S2"]
    assert world.job(FIRST)["attempt"] == 1


def test_r16_undeliverable_is_told_once_per_session() -> None:
    world = laptop()
    world.request()
    world.answer(ok=False, reason="not_connected")
    world.offline()
    assert [event.arm_id for event in world.of(JobUndeliverable)] == ["S1"]


def test_a_host_that_is_always_on_by_now_gets_it_at_its_hello() -> None:
    world = laptop()
    world.request()
    world.offline()
    world.change(always_on=True)
    world.connect("S2")
    assert world.run_ids() == [FIRST, FIRST]


def test_the_next_attempt_of_an_interrupted_catch_up_waits_for_its_arm() -> None:
    world = laptop()
    world.request()
    world.accept(FIRST)
    world.start(FIRST)
    world.offline()
    world.connect("S2")
    assert world.last(JobInterrupted).last_attempt is False
    world.advance(HOUR / 2)
    assert world.run_ids() == [FIRST]
    world.request("S2")
    assert world.run_ids() == [FIRST, SECOND_TRY]


@pytest.mark.parametrize("reason", [SkipReason.COVERED_BY, SkipReason.NOT_OVERDUE])
def test_what_the_next_arm_does_not_need_is_withdrawn(reason: SkipReason) -> None:
    world = laptop()
    world.request()
    world.offline()
    world.connect("S2")
    skipped = CatchupSkipped(
        host_id="h1", arm_id="S2", reason=reason, schedule_id="s1", source_group_id="g1"
    )
    world.publish(skipped.model_copy(update={"source_group_id": "g2"}))
    assert world.status(FIRST) == "requested"
    world.publish(skipped)
    assert world.status(FIRST) == "abandoned"
    assert world.last(JobAbandoned).loud is False


def test_an_arm_that_is_done_withdraws_what_earlier_ones_left() -> None:
    world = laptop()
    world.request()
    world.offline()
    world.connect("S2")
    world.request("S2", group="g2")
    world.publish(CatchupFinished(host_id="h1", arm_id="S2", runs=0, succeeded=0))
    assert world.status(FIRST) == "abandoned"
    assert world.status(attempt_id(group="g2")) == "requested"


def test_an_arm_that_is_done_leaves_what_its_own_interrupted_run_needs_next() -> None:
    world = laptop()
    world.request()
    world.run_to_end(FIRST, "interrupted")
    world.publish(CatchupFinished(host_id="h1", arm_id="S1", runs=1, succeeded=0))
    assert world.status(SECOND_TRY) == "requested"
    world.connect("S2")
    world.request("S2")
    assert world.run_ids() == [FIRST, SECOND_TRY]


def test_an_arm_that_is_dropped_leaves_it_waiting() -> None:
    world = laptop()
    world.request()
    world.offline()
    world.publish(
        CatchupSkipped(host_id="h1", arm_id="S1", reason=SkipReason.WENT_OFFLINE),
        CatchupSkipped(host_id="h1", arm_id="S2", reason=SkipReason.REARMED),
    )
    assert world.status(FIRST) == "requested"


def test_a_newer_fire_supersedes_a_waiting_catch_up_and_its_arm_hears_of_it() -> None:
    world = laptop()
    world.request()
    world.decline(FIRST)
    world.advance(HOUR)
    world.decline(FIRST)
    world.fire(NINE + HOUR)
    gone = world.last(JobAbandoned)
    assert (gone.job_id, gone.arm_id, gone.loud) == (FIRST, "S1", False)
    assert world.run_ids()[-1] == attempt_id(fire=NINE + HOUR)


def test_a_busy_host_gets_it_when_it_is_free() -> None:
    world = laptop()
    world.fire(group="g2")
    world.accept(attempt_id(group="g2"))
    world.request()
    assert FIRST not in world.run_ids()
    world.advance(MINUTE)
    world.finish(attempt_id(group="g2"))
    assert world.run_ids()[-1] == FIRST


def test_a_request_for_a_host_that_is_gone_is_ignored() -> None:
    world = World()
    world.publish()
    world.request("S9")
    assert world.last(JobUndeliverable).arm_id == "S9"
