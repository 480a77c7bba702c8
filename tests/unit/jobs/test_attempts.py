"""R15 and reconciliation: ends, next attempts, runs of an agent alone, redelivery."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from libs.common.clock import to_rfc3339
from libs.common.events.agent import AgentHello, AgentSynced
from libs.common.events.host import HostEnrolled, HostRemoved
from libs.common.events.job import (
    JobAbandoned,
    JobFinished,
    JobInterrupted,
    JobOrigin,
    JobRequested,
    JobStarted,
    JobStatus,
)
from libs.common.protocol import RunStatus
from tests.unit.jobs.world import HOME, MAIL, MINUTE, NINE, SECOND, World, attempt_id, record

FIRST, SECOND_TRY, THIRD, FOURTH = (attempt_id(number) for number in (1, 2, 3, 4))
HOUR = timedelta(hours=1)
IDENTITY = {"schedule_id": "s1", "source_group_id": "g1", "fire_time": NINE, "attempt": 1}


def running_world() -> World:
    world = World()
    world.connect()
    world.fire()
    world.accept(FIRST)
    world.start(FIRST)
    return world


# -- interrupted -----------------------------------------------------------------------------------


def test_reconciliation_waits_for_the_reports() -> None:
    world = running_world()
    world.offline()
    world.hello("S2")
    assert world.status(FIRST) == "running"
    assert not world.of(JobInterrupted)
    world.synced()
    assert world.status(FIRST) == "interrupted"
    assert world.last(JobInterrupted).last_attempt is False
    assert world.run_ids() == [FIRST, SECOND_TRY]
    world.publish(AgentSynced(host_id="h1", session="S2"))
    assert len(world.of(JobInterrupted)) == 1


def test_a_report_among_the_kept_ones_is_its_end() -> None:
    world = running_world()
    world.offline()
    world.hello("S2")
    world.finish(FIRST)
    world.synced()
    assert world.status(FIRST) == "succeeded"
    assert not world.of(JobInterrupted)


def test_interrupted_three_attempts_then_it_is_the_last() -> None:
    world = running_world()
    for number in (2, 3, 4):
        world.offline()
        world.connect(f"S{number}")
        if number < 4:
            world.accept(attempt_id(number))
            world.start(attempt_id(number))
    assert [event.last_attempt for event in world.of(JobInterrupted)] == [False, False, True]
    assert world.run_ids() == [FIRST, SECOND_TRY, THIRD]
    world.advance(HOUR / 2)
    world.connect("S9")
    assert world.run_ids() == [FIRST, SECOND_TRY, THIRD]


def test_reported_interrupted_in_a_live_session_waits_for_a_reconnect() -> None:
    world = running_world()
    world.finish(FIRST, "interrupted")
    world.advance(HOUR / 2)
    assert world.run_ids() == [FIRST]
    world.connect("S2")
    assert world.run_ids() == [FIRST, SECOND_TRY]


def test_killed_and_reported_after_its_restart_runs_again_at_once() -> None:
    world = running_world()
    world.offline()
    world.hello("S2")
    world.finish(FIRST, "interrupted")
    world.synced()
    assert world.run_ids() == [FIRST, SECOND_TRY]


def test_a_job_that_the_hello_lists_is_running_whatever_the_ledger_said() -> None:
    world = running_world()
    world.offline()
    world.connect("S2")
    assert world.status(FIRST) == "interrupted"
    world.offline()
    world.connect("S3", running=(FIRST,))
    assert world.status(FIRST) == "running"
    assert world.run_ids() == [FIRST, SECOND_TRY], "nothing is sent while it runs"
    world.finish(FIRST)
    assert world.status(FIRST) == "succeeded"
    assert world.status(SECOND_TRY) == "abandoned"
    assert world.last(JobAbandoned).loud is False
    world.advance(HOUR / 2)
    assert world.run_ids() == [FIRST, SECOND_TRY]


def test_interrupted_gives_way_to_a_reported_end_and_its_next_attempt_is_withdrawn() -> None:
    world = running_world()
    world.finish(FIRST, "interrupted")
    late = world.finished(FIRST, "succeeded")
    world.publish(late)
    assert world.status(FIRST) == "succeeded"
    assert world.status(SECOND_TRY) == "abandoned"
    world.connect("S2")
    assert world.run_ids() == [FIRST]
    world.publish(late)
    assert len(world.of(JobFinished)) == 1


def test_a_withdrawn_attempt_that_is_accepted_after_all_is_cancelled_there() -> None:
    world = running_world()
    world.offline()
    world.connect("S2")
    world.written()
    world.finish(FIRST, "succeeded")
    world.accept(SECOND_TRY)
    assert world.status(SECOND_TRY) == "abandoned"
    assert world.commands("cancel")[-1]["job_id"] == SECOND_TRY
    world.advance(HOUR)
    world.fire(NINE + HOUR)
    assert attempt_id(fire=NINE + HOUR) not in world.run_ids(), "its host is not free yet"
    world.finish(SECOND_TRY, "cancelled")
    assert world.run_ids()[-1] == attempt_id(fire=NINE + HOUR)


def test_abandoned_stands_against_a_started_and_gives_way_to_a_reported_end() -> None:
    world = World(record(source_groups=(HOME, MAIL)))
    world.connect()
    world.fire()
    world.decline(FIRST)
    world.change(source_groups=(MAIL,))
    assert world.status(FIRST) == "abandoned"
    world.start(FIRST)
    assert world.status(FIRST) == "abandoned"
    assert not world.of(JobStarted)
    world.finish(FIRST)
    assert world.status(FIRST) == "succeeded"
    assert world.last(JobFinished).job_id == FIRST


def test_terminal_states_stand_against_a_later_started() -> None:
    world = running_world()
    started = world.started(FIRST)
    world.finish(FIRST, "failed")
    world.publish(started)
    assert world.status(FIRST) == "failed"
    world.advance(HOUR)
    world.fire(NINE + HOUR)
    assert world.run_ids()[-1] == attempt_id(fire=NINE + HOUR), "and its host is free"


def test_a_late_started_of_an_interrupted_job_keeps_nobody_busy() -> None:
    world = World()
    world.connect()
    world.fire()
    world.accept(FIRST)
    late = world.started(FIRST)
    world.offline()
    world.advance(MINUTE)
    world.connect("S2")
    world.publish(late)
    assert world.status(FIRST) == "interrupted"
    world.decline(SECOND_TRY)
    world.advance(30 * SECOND)
    assert world.run_ids() == [FIRST, SECOND_TRY, SECOND_TRY]


def test_a_lost_acknowledgement_of_an_end_blocks_nobody() -> None:
    """The hello lists a job whose end we have: it will not be reported again."""
    world = running_world()
    world.finish(FIRST)
    world.connect("S2", running=(FIRST,))
    assert world.status(FIRST) == "succeeded"
    world.advance(HOUR)
    world.fire(NINE + HOUR)
    assert world.run_ids() == [FIRST, attempt_id(fire=NINE + HOUR)]


# -- failed ----------------------------------------------------------------------------------------


def test_failed_without_retries_is_the_last() -> None:
    world = running_world()
    world.finish(FIRST, "failed", exit_code=1, error="no space")
    end = world.last(JobFinished)
    assert (end.last_attempt, end.exit_code, end.error) == (True, 1, "no space")
    world.advance(HOUR)
    assert world.run_ids() == [FIRST]


def test_failed_is_tried_again_after_a_minute_doubling() -> None:
    group = HOME.model_copy(update={"retry_max": 2})
    world = World(record(source_groups=(group,)))
    world.connect()
    world.fire()
    world.run_to_end(FIRST, "failed")
    assert world.last(JobFinished).last_attempt is False
    world.advance(MINUTE - SECOND)
    world.connect("S2")
    assert world.run_ids() == [FIRST], "a hello does not end this pause"
    world.advance(SECOND)
    assert world.run_ids() == [FIRST, SECOND_TRY]
    world.run_to_end(SECOND_TRY, "failed")
    world.advance(2 * MINUTE - SECOND)
    assert len(world.run_ids()) == 2
    world.advance(SECOND)
    world.run_to_end(THIRD, "failed")
    assert world.last(JobFinished).last_attempt is True
    world.advance(HOUR / 2)
    assert world.run_ids() == [FIRST, SECOND_TRY, THIRD]


def test_r15_no_attempt_after_a_success() -> None:
    group = HOME.model_copy(update={"retry_max": 2})
    world = World(record(source_groups=(group,)))
    world.connect()
    world.fire()
    failed = world.finished(FIRST, "failed")
    world.accept(FIRST)
    world.publish(failed)
    world.advance(MINUTE)
    world.run_to_end(SECOND_TRY)
    world.publish(failed)
    world.fire()
    world.connect("S2")
    world.advance(HOUR / 2)
    assert world.run_ids() == [FIRST, SECOND_TRY]


@pytest.mark.parametrize("status", list(RunStatus))
def test_the_first_end_stands_whatever_is_delivered_again(status: RunStatus) -> None:
    world = running_world()
    end = world.finished(FIRST, status.value)
    world.publish(end)
    before = len(world.log)
    world.advance(HOUR)
    world.fire(NINE + HOUR)
    world.run_to_end(attempt_id(fire=NINE + HOUR))
    moved = len(world.log)
    world.publish(end)
    assert len(world.log) == moved + 1
    assert moved > before
    assert world.status(FIRST) == status.value


# -- alone -----------------------------------------------------------------------------------------


def test_a_run_of_an_agent_alone_is_an_entry_of_origin_agent() -> None:
    world = World()
    world.connect()
    world.start(FIRST, **IDENTITY)
    world.finish(FIRST, stats={"files": 3}, **IDENTITY)
    job = world.job(FIRST)
    assert (job["origin"], job["status"], job["stats"]) == ("agent", "succeeded", {"files": 3})
    assert not world.of(JobRequested)
    world.fire()
    assert world.commands() == [], "its fire, reported late, needs no run"


def test_a_run_alone_is_known_by_its_fire() -> None:
    world = World()
    world.hello()
    world.fire(NINE - HOUR)
    alone = attempt_id(fire=NINE - HOUR)
    world.finish(alone)
    assert world.last(JobFinished).source_group_id == "g1"
    assert world.last(JobFinished).origin is JobOrigin.AGENT


def test_an_agent_that_starts_what_we_wanted_to_send() -> None:
    world = World()
    world.connect()
    world.fire()
    world.start(FIRST)
    assert world.status(FIRST) == "running"
    assert world.job(FIRST)["origin"] == "schedule"
    world.finish(FIRST)
    assert world.run_ids() == [FIRST]


def test_a_failed_run_alone_is_tried_again_by_us() -> None:
    group = HOME.model_copy(update={"retry_max": 1})
    world = World(record(source_groups=(group,)))
    world.connect()
    world.finish(FIRST, "failed", **IDENTITY)
    world.advance(MINUTE)
    assert world.run_ids() == [SECOND_TRY]


def test_r18_a_run_alone_counts_though_its_fire_time_was_not_believed() -> None:
    """The agent's clock is far ahead: the gateway leaves the time out, the backup was made."""
    world = World()
    world.connect()
    world.start("alone", schedule_id="s1", source_group_id="g1")
    world.finish("alone", schedule_id="s1", source_group_id="g1")
    job = world.job("alone")
    assert (job["origin"], job["status"]) == ("agent", "succeeded")
    assert world.last(JobFinished).source_group_id == "g1"


def test_reports_about_nothing_we_know_are_decisions() -> None:
    world = World()
    world.connect()
    world.start("what")
    world.finish("what")
    world.accept("what")
    world.decline("what")
    assert world.decisions("jobs", "h1") == ["unknown_job"] * 3
    assert not world.of(JobFinished)


def test_an_unknown_job_in_a_hello_keeps_its_host_busy_until_it_ends() -> None:
    world = World()
    world.connect(running=("what",))
    assert world.last(JobStarted).job_id == "what"
    world.fire()
    assert world.run_ids() == []
    assert world.commands("hold")[0]["job_id"] == FIRST
    world.finish("what")
    assert world.run_ids() == [FIRST]


def test_a_job_id_that_is_not_that_runs_belongs_to_no_run() -> None:
    world = World()
    world.connect()
    world.finish("forged", **IDENTITY)
    end = world.last(JobFinished)
    assert (end.run_id, end.source_group_id) == (None, "g1")
    world.fire()
    assert world.run_ids() == [FIRST]


def test_a_host_cannot_end_the_job_of_another() -> None:
    world = running_world()
    world.publish(HostEnrolled(host_id="h2", record=record(id="h2")))
    for event in (world.started(FIRST), world.finished(FIRST)):
        world.publish(event.model_copy(update={"host_id": "h2"}))
    assert world.status(FIRST) == "running"


def test_a_host_cannot_list_the_job_of_another() -> None:
    world = running_world()
    world.connect("S2")
    world.publish(
        HostEnrolled(host_id="h2", record=record(id="h2")),
        AgentHello(host_id="h2", session="S9", gateway="gw-1", running=(FIRST,)),
    )
    assert world.status(FIRST) == "interrupted"


# -- times and the bucket --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reported", "believed"),
    [
        pytest.param(5 * SECOND, 5 * SECOND, id="within"),
        pytest.param(-HOUR, SECOND, id="before it was accepted"),
        pytest.param(365 * 24 * HOUR, 9 * SECOND, id="a clock a year ahead"),
    ],
)
def test_a_live_end_lies_within_dispatch_and_receipt(
    reported: timedelta, believed: timedelta
) -> None:
    world = World()
    world.connect()
    world.fire()
    world.advance(SECOND)
    world.accept(FIRST)
    world.advance(8 * SECOND)
    world.finish(FIRST, at=NINE + reported)
    assert world.last(JobFinished).finished_at == NINE + believed


def test_no_end_lies_in_the_future_however_fast_the_gateways_clock_is() -> None:
    """Else a failure after it would count as older than this success (R9)."""
    world, fast = running_world(), timedelta(hours=1)
    end = world.finished(FIRST, at=world.now + fast)
    late = end.model_copy(update={"received_at": world.now + fast})
    world.publish(late, ahead=fast)
    assert world.job(FIRST)["finished_at"] == to_rfc3339(world.now)


def test_an_end_that_was_kept_counts_when_it_was() -> None:
    world = running_world()
    world.offline()
    world.advance(10 * HOUR)
    world.hello("S2")
    world.finish(FIRST, at=NINE + MINUTE)
    assert world.last(JobFinished).finished_at == NINE + MINUTE


def test_r9_the_bucket_knows_last_success_and_last_run() -> None:
    world = running_world()
    world.advance(MINUTE)
    world.finish(FIRST, "succeeded_with_warnings", exit_code=3)
    success = to_rfc3339(NINE + MINUTE)
    value = json.loads(world.buckets["backups"]["h1.g1"])
    assert value == {
        "host_id": "h1", "source_group_id": "g1", "last_success_at": success,
        "last_success_job_id": FIRST, "last_run_at": success,
        "last_run_status": "succeeded_with_warnings", "version": 1,
    }  # fmt: skip
    world.advance(HOUR)
    later = attempt_id(fire=NINE + HOUR)
    world.fire(NINE + HOUR)
    world.run_to_end(later, "failed")
    value = json.loads(world.buckets["backups"]["h1.g1"])
    assert (value["last_success_job_id"], value["last_run_status"]) == (FIRST, "failed")
    assert value["version"] == 2


def test_r9_a_late_report_of_an_older_success_moves_nothing_back() -> None:
    world = World()
    world.connect()
    earlier = {**IDENTITY, "fire_time": NINE - HOUR}
    world.finish(FIRST, **IDENTITY)
    world.finish(attempt_id(fire=NINE - HOUR), "failed", at=NINE - HOUR, **earlier)
    before = json.loads(world.buckets["backups"]["h1.g1"])
    world.finish(attempt_id(2, NINE - HOUR), at=NINE - HOUR / 2, **earlier | {"attempt": 2})
    after = json.loads(world.buckets["backups"]["h1.g1"])
    assert after == before | {"version": 3}
    assert after["last_success_job_id"] == FIRST


def test_a_start_is_told_once() -> None:
    world = running_world()
    world.advance(MINUTE)
    world.start(FIRST)
    assert len(world.of(JobStarted)) == 1


def test_the_bucket_is_put_before_the_event() -> None:
    world = running_world()
    core = world.cores["jobs"]
    data = world.finished(FIRST)
    rows: list[str] = []

    def note(tx) -> None:
        core.machine.handlers[type(data)](tx, data)
        rows.extend(row.message.bucket or row.message.subject for row in tx.rows[-2:])

    world.input("jobs", note)
    assert rows == ["backups", "dormice.job.h1.finished"]


def test_a_removed_host_cancels_its_jobs() -> None:
    world = running_world()
    world.fire(group="g2")
    gone = record(version=9, removed=True)
    world.publish(HostRemoved(host_id="h1", record=gone), HostRemoved(host_id="h1", record=gone))
    ends = {event.job_id: event.status for event in world.of(JobFinished)}
    assert ends == {FIRST: JobStatus.CANCELLED, attempt_id(group="g2"): JobStatus.CANCELLED}
    assert world.buckets.get("backups", {}) == {}
    world.connect("S2")
    world.fire(NINE + HOUR)
    world.finish(FIRST)
    world.advance(HOUR)
    assert world.run_ids() == [FIRST]
    assert len(world.of(JobFinished)) == 2


def test_an_answer_with_an_end_whose_report_never_comes() -> None:
    world = World()
    world.connect()
    world.fire()
    world.accept(FIRST, "succeeded")
    assert world.status(FIRST) == "dispatched"
    world.advance(30 * SECOND)
    assert world.status(FIRST) == "succeeded"
    assert world.last(JobFinished).finished_at == NINE


def test_what_happened_is_kept_a_while_only() -> None:
    world = running_world()
    world.finish(FIRST, log_tail="done\n")
    world.advance(timedelta(days=31))
    assert world.ask("log", job_id=FIRST)["text"] == ""
    assert world.status(FIRST) == "succeeded"
    world.advance(timedelta(days=15))
    assert world.db.execute("SELECT count(*) FROM fire").fetchone()[0] == 0
