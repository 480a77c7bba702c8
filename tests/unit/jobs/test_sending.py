"""R15-R17: what is sent when, and what follows a send that leads to nothing."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from libs.common.clock import TICK
from libs.common.events.host import Audit
from libs.common.events.job import (
    JobAbandoned,
    JobDispatched,
    JobFinished,
    JobRequested,
    JobStarted,
    JobStatus,
    JobUndeliverable,
)
from tests.unit.jobs.world import HOURLY, MAIL, MINUTE, NINE, SECOND, World, attempt_id, record

FIRST, MAILS = attempt_id(), attempt_id(group="g2")
HOUR = timedelta(hours=1)
DECLINED_PAUSES = [30, 60, 120, 240, 480, 960, 1800, 1800, 1800]


def test_a_fire_is_answered_with_run_and_goes_its_way() -> None:
    world = World()
    world.connect()
    world.fire()
    (run,) = world.commands()
    assert run == {
        "type": "run", "job_id": FIRST, "kind": "backup", "schedule_id": "s1",
        "source_group_id": "g1", "fire_time": "2026-06-15T09:00:00Z", "config_version": 1,
        "attempt": 1, "timeout_seconds": 259_200.0,
    }  # fmt: skip
    world.written()
    world.run_to_end(FIRST)
    assert world.last(JobRequested).pending is False
    assert (world.last(JobDispatched).session, world.last(JobStarted).job_id) == ("S1", FIRST)
    end = world.last(JobFinished)
    assert (end.status, end.last_attempt, end.attempt) == (JobStatus.SUCCEEDED, True, 1)
    world.advance(timedelta(days=1))
    assert world.run_ids() == [FIRST]


def test_r19_each_step_of_a_job_is_explained_at_its_host() -> None:
    world = World()
    world.connect()
    world.fire()
    world.decline(FIRST)
    world.advance(30 * SECOND)
    world.run_to_end(FIRST)
    assert world.decisions("jobs", "h1") == [
        "job_sent", "job_not_accepted", "fire_held", "job_sent", "job_succeeded"
    ]  # fmt: skip


def test_commands_name_gateway_and_session() -> None:
    world = World()
    world.connect()
    world.fire()
    payload = world.effects["jobs"][0].payload
    assert (payload["gateway"], payload["host_id"], payload["session"]) == ("gw-1", "h1", "S1")


def test_r15_the_same_fire_twice_is_one_job_at_any_time() -> None:
    world = World()
    world.connect()
    world.fire()
    world.fire()
    world.run_to_end(FIRST)
    world.fire()
    world.fire(received=NINE + HOUR)
    assert world.run_ids() == [FIRST]
    assert len(world.of(JobRequested)) == 1


def test_one_running_job_per_host_the_other_fire_is_held_and_renewed() -> None:
    world = World()
    world.connect()
    world.fire()
    world.fire(group="g2")
    world.accept(FIRST)
    (hold,) = world.commands("hold")
    assert (hold["job_id"], hold["until"]) == (MAILS, "2026-06-15T09:10:00Z")
    assert hold["reason"] == "busy"
    world.advance(timedelta(minutes=25))
    assert len(world.commands("hold")) == 4, "renewed two minutes before its end"
    assert world.commands("hold")[-1]["until"] > "2026-06-15T09:25:00Z"
    world.finish(FIRST)
    assert world.run_ids() == [FIRST, MAILS]
    world.advance(MINUTE)
    world.accept(MAILS)
    world.advance(HOUR)
    assert len(world.commands("hold")) == 4


def test_nothing_is_sent_before_the_reports_are_in() -> None:
    world = World()
    world.hello()
    world.fire()
    assert world.commands() == []
    world.synced()
    assert world.run_ids() == [FIRST]


def test_no_answer_is_unknown_and_the_same_id_is_sent_again() -> None:
    world = World()
    world.connect()
    world.fire()
    world.written()
    world.advance(10 * SECOND - TICK)
    assert world.run_ids() == [FIRST]
    world.advance(TICK)
    assert world.run_ids() == [FIRST, FIRST]
    assert not world.of(JobUndeliverable)
    world.written()
    world.advance(9 * SECOND)
    world.accept(FIRST)
    world.advance(HOUR - MINUTE)
    assert world.run_ids() == [FIRST, FIRST]


def test_an_outcome_that_nobody_knows_is_no_failure() -> None:
    world = World()
    world.connect()
    world.fire()
    world.answer(reason="unknown")
    world.advance(SECOND)
    assert world.run_ids() == [FIRST, FIRST]
    assert world.status(FIRST) == "requested"


@pytest.mark.parametrize("reason", ["not_connected", "other_session"])
def test_r16_undeliverable_waits_for_the_next_hello_same_id(reason: str) -> None:
    world = World()
    world.connect()
    world.fire()
    world.answer(ok=False, reason=reason)
    failed = world.last(JobUndeliverable)
    assert (failed.job_id, failed.session, failed.reason) == (FIRST, "S1", reason)
    world.advance(50 * MINUTE)
    assert world.run_ids() == [FIRST]
    world.offline()
    world.connect("S2")
    assert world.run_ids() == [FIRST, FIRST]
    assert len(world.of(JobUndeliverable)) == 1
    assert world.job(FIRST)["attempt"] == 1


def test_undeliverable_when_the_session_ends_and_once() -> None:
    world = World()
    world.connect()
    world.fire()
    world.written()
    world.offline()
    world.offline()
    assert [event.session for event in world.of(JobUndeliverable)] == ["S1"]
    world.connect("S2")
    world.offline("S1")
    assert world.run_ids() == [FIRST, FIRST]
    assert [event.session for event in world.of(JobUndeliverable)] == ["S1"]


def test_undeliverable_when_a_newer_hello_replaces_the_session() -> None:
    world = World()
    world.connect(connection=1)
    world.fire()
    world.written()
    world.connect("S2", connection=2)
    assert world.last(JobUndeliverable).session == "S1"
    assert world.run_ids() == [FIRST, FIRST]
    world.hello("S1", connection=1)
    world.hello("S0", connection=0)
    world.session = "S1"
    world.accept(FIRST)
    assert world.status(FIRST) == "requested", "an older session's word about a job is not asked"


def test_r17_declined_backs_off_doubling_ten_tries_then_loud() -> None:
    world = World()
    world.connect()
    world.fire()
    for tries, pause in enumerate(DECLINED_PAUSES, start=1):
        world.decline(FIRST)
        world.advance(pause * SECOND - TICK)
        assert len(world.run_ids()) == tries
        world.advance(TICK)
        assert len(world.run_ids()) == tries + 1
    assert not world.of(JobAbandoned)
    world.decline(FIRST)
    end = world.last(JobAbandoned)
    assert (end.job_id, end.loud, end.tries) == (FIRST, True, 10)
    assert world.last(Audit).action == "job.abandoned"
    assert world.status(FIRST) == "abandoned"
    world.decline(FIRST)
    world.connect("S2")
    world.advance(timedelta(days=2))
    assert len(world.of(JobAbandoned)) == 1
    assert set(world.run_ids()) == {FIRST}
    assert len(world.run_ids()) == 10


def test_what_the_gateway_says_after_the_agents_answer_changes_nothing() -> None:
    world = World()
    world.connect()
    world.fire()
    world.decline(FIRST)
    (effect,) = (one for one in world.effects["jobs"] if one.key == FIRST)
    world.end_effect("jobs", effect, ok=False, reason="not_connected")
    assert not world.of(JobUndeliverable)
    world.advance(30 * SECOND)
    assert world.run_ids() == [FIRST]


def test_r17_an_agent_that_never_answers_is_given_up_loudly_too() -> None:
    world = World()
    world.connect()
    world.fire()
    for _ in range(10):
        world.written()
        world.advance(10 * SECOND)
        world.advance(timedelta(minutes=31))
    assert [event.loud for event in world.of(JobAbandoned)] == [True]
    assert len(world.run_ids()) == 10


def test_r17_time_away_counts_no_tries_and_a_hello_is_a_try() -> None:
    world = World()
    world.connect()
    world.fire()
    world.decline(FIRST)
    world.offline()
    world.advance(timedelta(minutes=50))
    assert len(world.run_ids()) == 1
    for number in range(2, 30):
        world.connect(f"S{number}")
        world.written()
        world.offline()
    assert len(world.run_ids()) == 29
    world.connect("S30")
    world.decline(FIRST)  # Only the second answer that leads to nothing.
    assert not world.of(JobAbandoned)


def test_r17_superseded_by_a_newer_fire_of_the_same_pair() -> None:
    world = World()
    world.connect()
    world.fire()
    world.decline(FIRST)
    world.offline()
    world.advance(HOUR)
    world.connect("S2")
    world.decline(FIRST)
    later = attempt_id(fire=NINE + HOUR)
    world.fire(NINE + HOUR)
    gone = world.last(JobAbandoned)
    assert (gone.job_id, gone.loud, gone.reason) == (FIRST, False, "superseded")
    assert world.run_ids()[-1] == later
    world.fire(group="g2", at=NINE + HOUR)
    assert len(world.of(JobAbandoned)) == 1, "another group is another pair"


def test_r17_what_is_on_its_way_is_not_superseded_before_its_answer() -> None:
    world = World()
    world.connect()
    world.fire()
    world.advance(HOUR)
    world.fire(NINE + HOUR)
    assert world.run_ids() == [FIRST]
    world.accept(FIRST)
    world.finish(FIRST)
    assert world.run_ids() == [FIRST, attempt_id(fire=NINE + HOUR)]
    assert not world.of(JobAbandoned)


def test_stale_config_is_sent_again_once_the_configuration_is_applied() -> None:
    world = World(record(config_version=5))
    world.connect()
    world.fire()
    world.decline(FIRST, "stale_config")
    assert len(world.run_ids()) == 1
    assert world.commands("hold")[0]["reason"] == "stale_config"
    world.config_applied(4)
    world.config_applied(5, error="cannot be read")
    assert len(world.run_ids()) == 1
    world.config_applied(5)
    assert world.run_ids() == [FIRST, FIRST]
    world.config_applied(5)
    assert len(world.run_ids()) == 2


def test_stale_config_is_sent_again_on_backoff_otherwise() -> None:
    world = World()
    world.connect()
    world.fire()
    world.decline(FIRST, "stale_config")
    world.advance(30 * SECOND)
    assert world.run_ids() == [FIRST, FIRST]


def test_a_waiting_job_whose_group_is_gone_is_withdrawn() -> None:
    world = World()
    world.connect()
    world.fire()
    world.decline(FIRST)
    world.change(source_groups=(MAIL,))
    assert world.last(JobAbandoned).loud is False
    world.advance(HOUR)
    assert world.run_ids() == [FIRST]


@pytest.mark.parametrize(
    "schedules", [(), (HOURLY.model_copy(update={"enabled": False}),)], ids=["gone", "disabled"]
)
def test_a_fire_of_a_schedule_that_is_not_wanted_is_ignored(schedules: tuple) -> None:
    world = World(record(schedules=schedules))
    world.connect()
    world.fire()
    assert world.commands() == []
    assert world.decisions("jobs", "h1") == ["fire_ignored"]


def test_a_late_fire_is_a_pending_run_once_the_reports_are_in() -> None:
    world = World()
    world.hello()
    world.fire(NINE - 2 * HOUR)
    world.fire(NINE - HOUR)
    assert not world.of(JobRequested)
    world.synced()
    latest = attempt_id(fire=NINE - HOUR)
    assert [(event.job_id, event.pending) for event in world.of(JobRequested)] == [(latest, True)]
    assert world.run_ids() == [latest]
    assert world.commands("hold") == []


def test_a_late_fire_that_the_agent_ran_itself_needs_no_run() -> None:
    world = World()
    world.hello()
    at = NINE - HOUR
    alone = attempt_id(fire=at)
    world.fire(at)
    world.start(alone, at + MINUTE)
    world.finish(alone, at=at + 2 * MINUTE)
    world.synced()
    assert world.commands() == []
    assert world.job(alone)["origin"] == "agent"
    assert world.last(JobFinished).run_id is not None


@pytest.mark.parametrize("late", [timedelta(), timedelta(minutes=3)], ids=["live", "late"])
def test_r15_a_fire_whose_run_the_hello_listed_is_that_run(late: timedelta) -> None:
    """An agent whose clock is ahead runs alone while its fire still looks fresh here."""
    world = World()
    world.hello(running=(attempt_id(),))
    world.fire(NINE, received=NINE + late)
    world.synced()
    assert world.commands() == []
    job = world.job(attempt_id())
    assert (job["id"], job["status"], job["schedule_id"]) == (attempt_id(), "running", "s1")
    assert job["fire_time"] is not None


@pytest.mark.parametrize(
    ("age", "pending"),
    [
        pytest.param(60 * SECOND, False, id="exactly 60 s"),
        pytest.param(60 * SECOND + TICK, True, id="a tick more"),
    ],
)
def test_a_fire_is_late_after_60_s(age: timedelta, pending: bool) -> None:
    world = World()
    world.connect()
    world.advance(age)
    world.fire(NINE)
    assert [event.pending for event in world.of(JobRequested)] == [pending]


def test_a_fire_far_ahead_is_refused() -> None:
    world = World()
    world.connect()
    world.fire(NINE + 6 * MINUTE)
    assert world.commands() == []
    assert world.decisions("jobs", "h1") == ["fire_refused"]


def test_a_fire_is_a_fire_whatever_its_seconds() -> None:
    world = World()
    world.connect()
    world.fire(NINE + 3 * SECOND)
    world.fire(NINE)
    assert world.run_ids() == [FIRST]


def test_a_restart_sends_the_same_command_again_under_the_same_id() -> None:
    world = World()
    world.connect()
    world.fire()
    step = world.cores["jobs"].restart()
    assert [effect.key for effect in step.effects] == [FIRST]
    world.accept(FIRST)
    assert world.cores["jobs"].restart().effects == []


def test_r17_tried_on_hello_whatever_the_backoff() -> None:
    world = World()
    world.connect()
    world.fire()
    for pause in DECLINED_PAUSES[:5]:
        world.decline(FIRST)
        world.advance(pause * SECOND)
    world.decline(FIRST)
    world.connect("S2")
    assert len(world.run_ids()) == 7


def test_r3_a_decline_of_an_older_session_says_nothing_about_the_newer() -> None:
    world = World()
    world.connect()
    world.fire()
    world.connect("S2")
    world.session = "S1"
    world.decline(FIRST)
    assert "job_not_accepted" not in world.decisions("jobs")


def test_r3_a_late_hello_of_an_older_connection_moves_nobody() -> None:
    world = World()
    world.connect("S2", connection=9)
    world.hello("S1", connection=5)
    world.session = "S2"
    world.fire()
    (sent,) = world.commands("run")
    assert sent["job_id"] == attempt_id()
    assert world.effects["jobs"][-1].payload["session"] == "S2"


def test_r3_a_hello_again_after_the_end_connects_nobody() -> None:
    world = World()
    world.connect()
    world.offline()
    world.connect()
    world.fire()
    assert world.commands() == []


def test_r3_the_end_of_an_older_session_ends_no_newer_one() -> None:
    world = World()
    world.connect()
    world.connect("S2")
    world.offline("S1")
    world.fire()
    assert world.run_ids() == [FIRST]


def test_an_ignored_fire_stays_ignored_when_it_is_told_again() -> None:
    disabled = HOURLY.model_copy(update={"enabled": False})
    world = World(record(schedules=(disabled,)))
    world.connect()
    world.fire()
    world.change(schedules=(HOURLY,))
    world.fire()
    assert world.commands() == []


def sessions(session: str) -> dict[str, dict[str, bytes]]:
    """Bucket `sessions`, as presence put it."""
    value = {
        "host_id": "h1", "status": "online", "session": session, "gateway": "gw-2", "connection": 7
    }  # fmt: skip
    return {"sessions": {"h1": json.dumps(value).encode()}}


def test_a_session_whose_hello_was_lost_with_the_log_is_served() -> None:
    world = World()
    world.connect()
    world.fire()
    world.written()
    world.lose_log("jobs", sessions("S2"))
    assert world.run_ids() == [FIRST, FIRST], "nobody waits for a lost `synced`"
    payload = world.effects["jobs"][-1].payload
    assert (payload["gateway"], payload["session"]) == ("gw-2", "S2")


def test_a_hello_that_the_bucket_named_first_counts() -> None:
    world = World()
    world.lose_log("jobs", sessions("S1"))
    world.hello("S1", running=("what",), connection=7)
    world.fire()
    assert world.commands() == [], "its reports are not in, and it is busy"
    world.synced()
    world.finish("what")
    assert world.run_ids() == [FIRST]
    assert not world.of(JobUndeliverable)
