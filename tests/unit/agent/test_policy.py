"""The agent's decisions, case by case."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from agent import policy
from agent.backoff import Backoff
from agent.ledger import Job, Waiting
from agent.policy import FireVerdict, RunVerdict, Situation
from agent.schedule import Fire
from libs.common.clock import TICK
from libs.common.protocol import (
    Config,
    RepositoryConfig,
    Run,
    ScheduleConfig,
    SourceGroupConfig,
)

NOW = datetime(2026, 6, 15, 2, 0, 30, tzinfo=UTC)
FIRE = datetime(2026, 6, 15, 2, 0, tzinfo=UTC)
CONFIG = Config(
    version=5,
    source_groups=[SourceGroupConfig(id="g", name="docs", includes=["/home"])],
    schedules=[ScheduleConfig(id="s", name="n", cron="0 2 * * *", source_group_ids=["g"])],
    repository=RepositoryConfig(url="/repo", password="x"),
)
IDLE = Situation(CONFIG, busy=False, spool_full=False, stopping=False, needs_repository=True)
RUN = Run(job_id="j", source_group_id="g", config_version=5)
KNOWN = Job("j", None, 1, None, "g", None, alone=False, state="running")


@pytest.mark.parametrize(
    ("run", "known", "succeeded", "situation", "verdict"),
    [
        pytest.param(RUN, None, False, IDLE, RunVerdict.ACCEPT, id="idle"),
        pytest.param(RUN, KNOWN, False, IDLE, RunVerdict.KNOWN, id="accepted before"),
        pytest.param(
            RUN, KNOWN, True, replace(IDLE, busy=True, config=None), RunVerdict.KNOWN,
            id="accepted before, whatever else",
        ),
        pytest.param(RUN, None, True, IDLE, RunVerdict.ALREADY_SUCCEEDED, id="run done already"),
        pytest.param(
            RUN.model_copy(update={"config_version": 6}), None, False, IDLE,
            RunVerdict.STALE_CONFIG, id="newer configuration",
        ),
        pytest.param(
            RUN.model_copy(update={"config_version": 4}), None, False, IDLE, RunVerdict.ACCEPT,
            id="older configuration",
        ),
        pytest.param(
            RUN, None, False, replace(IDLE, config=None), RunVerdict.STALE_CONFIG,
            id="no configuration yet",
        ),
        pytest.param(RUN, None, False, replace(IDLE, busy=True), RunVerdict.BUSY, id="busy"),
        pytest.param(
            RUN, None, False, replace(IDLE, stopping=True), RunVerdict.STOPPING, id="stopping"
        ),
        pytest.param(
            RUN, None, False, replace(IDLE, spool_full=True), RunVerdict.SPOOL_FULL, id="full"
        ),
        pytest.param(
            RUN.model_copy(update={"kind": "prune"}), None, False, IDLE,
            RunVerdict.UNSUPPORTED_KIND, id="another kind",
        ),
        pytest.param(
            RUN.model_copy(update={"source_group_id": None}), None, False, IDLE,
            RunVerdict.UNKNOWN_GROUP, id="no group",
        ),
        pytest.param(
            RUN, None, False,
            replace(IDLE, config=CONFIG.model_copy(update={"repository": None})),
            RunVerdict.NO_REPOSITORY, id="no repository",
        ),
        pytest.param(
            RUN, None, False,
            replace(
                IDLE, config=CONFIG.model_copy(update={"repository": None}),
                needs_repository=False,
            ),
            RunVerdict.ACCEPT, id="an engine without repository",
        ),
    ],
)  # fmt: skip
def test_r15_a_run_is_started_or_declined(
    run: Run, known: Job | None, succeeded: bool, situation: Situation, verdict: RunVerdict
) -> None:
    found = policy.assess_run(run, known, run_succeeded=succeeded, situation=situation)
    assert found is verdict


def waiting(due_at: datetime = NOW, fire_time: datetime = FIRE, group: str = "g") -> Waiting:
    return Waiting(f"run-{fire_time}", Fire("s", group, fire_time), 1, due_at)


LATER_FIRE = FIRE + timedelta(minutes=1)


@pytest.mark.parametrize(
    ("fire", "others", "situation", "verdict"),
    [
        pytest.param(waiting(), [], IDLE, FireVerdict.RUN, id="exactly due"),
        pytest.param(waiting(NOW + TICK), [], IDLE, FireVerdict.WAIT, id="one tick early"),
        pytest.param(waiting(NOW - TICK), [], IDLE, FireVerdict.RUN, id="one tick late"),
        pytest.param(
            waiting(NOW + timedelta(days=1)), [], IDLE, FireVerdict.WAIT, id="clock set back"
        ),
        pytest.param(waiting(), [], replace(IDLE, busy=True), FireVerdict.BLOCKED, id="busy"),
        pytest.param(waiting(), [], replace(IDLE, spool_full=True), FireVerdict.BLOCKED, id="full"),
        pytest.param(waiting(), [], replace(IDLE, stopping=True), FireVerdict.BLOCKED, id="stop"),
        pytest.param(waiting(), [], replace(IDLE, config=None), FireVerdict.GONE, id="no config"),
        pytest.param(waiting(group="x"), [], IDLE, FireVerdict.GONE, id="group gone"),
        pytest.param(
            waiting(), [waiting(NOW, LATER_FIRE)], IDLE, FireVerdict.SUPERSEDED,
            id="a newer one is due too",
        ),
        pytest.param(
            waiting(), [waiting(NOW + TICK, LATER_FIRE)], IDLE, FireVerdict.RUN,
            id="a newer one is not due yet",
        ),
        pytest.param(
            waiting(NOW, LATER_FIRE), [waiting()], IDLE, FireVerdict.RUN, id="the newer itself"
        ),
    ],
)  # fmt: skip
def test_r15_an_unanswered_fire(
    fire: Waiting, others: list[Waiting], situation: Situation, verdict: FireVerdict
) -> None:
    assert policy.assess_fire(fire, [fire, *others], situation, NOW) is verdict


def test_a_disabled_schedule_fires_no_more() -> None:
    disabled = CONFIG.schedules[0].model_copy(update={"enabled": False})
    situation = replace(IDLE, config=CONFIG.model_copy(update={"schedules": [disabled]}))
    assert policy.assess_fire(waiting(), [], situation, NOW) is FireVerdict.GONE


def test_a_hold_counts_on_the_servers_clock_and_ends_within_a_day() -> None:
    year = timedelta(days=365)
    until = NOW + year + timedelta(minutes=10)
    held = policy.hold_until(until, server_offset=year, now=NOW)
    assert held == NOW + timedelta(minutes=10)
    assert policy.hold_until(until, server_offset=timedelta(), now=NOW) == NOW + timedelta(days=1)


def test_after_a_sleep_the_server_gets_its_time_again() -> None:
    minute = timedelta(minutes=1)
    assert policy.due_after_wake(FIRE, NOW, minute) == NOW + minute
    assert policy.due_after_wake(NOW + 2 * minute, NOW, minute) == NOW + 2 * minute


def test_backoff_doubles_to_the_cap_with_full_jitter() -> None:
    second = timedelta(seconds=1)
    backoff = Backoff(second, 60 * second, Random(7))
    waits = [backoff.next_wait() for _ in range(1000)]
    for number, wait in enumerate(waits):
        assert timedelta() <= wait <= min(second * 2 ** min(number, 6), 60 * second)
    assert max(waits) > 55 * second
    backoff.session_lasted(second)  # Broke at once: no fresh start.
    assert max(backoff.next_wait() for _ in range(100)) > 10 * second
    backoff.session_lasted(10 * second)
    assert backoff.next_wait() <= second
