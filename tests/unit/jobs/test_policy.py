"""Tables of the pure rules of jobs: R15, R17, ends, sending."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from libs.common.clock import TICK
from libs.common.events.job import JobKind, JobOrigin, JobStatus
from libs.common.protocol import FailureReason
from services.jobs import policy, policy_sending
from services.jobs.policy import CatchupMove, FireVerdict, Listed, Next
from services.jobs.policy_sending import AfterTry, Keep, Ready, Try
from services.jobs.records import Cause, Job
from tests.unit.jobs.world import HOURLY, MINUTE, NINE, SECOND, record

JOB = Job(
    job_id="j1", host_id="h1", origin=JobOrigin.SCHEDULE, cause=Cause.FIRE,
    status=JobStatus.REQUESTED, created_at=NINE, run_id="r1", schedule_id="s1",
    source_group_id="g1", fire_time=NINE,
)  # fmt: skip
CATCHUP = replace(JOB, origin=JobOrigin.CATCHUP, cause=Cause.ARM, arm_id="S1")
MANUAL = replace(
    JOB, origin=JobOrigin.MANUAL, cause=Cause.MANUAL, run_id=None, schedule_id=None, fire_time=None
)


def attempt(number: int, status: JobStatus, cause: Cause = Cause.FIRE, **changes: object) -> Job:
    return replace(JOB, job_id=f"j{number}", attempt=number, status=status, cause=cause, **changes)


@pytest.mark.parametrize(
    ("job", "listed"),
    [
        pytest.param(JOB, Listed.RUNNING, id="requested"),
        pytest.param(replace(JOB, status=JobStatus.INTERRUPTED), Listed.RUNNING, id="interrupted"),
        pytest.param(replace(JOB, status=JobStatus.ABANDONED), Listed.RUNNING, id="abandoned"),
        pytest.param(
            replace(JOB, status=JobStatus.CANCELLED), Listed.CANCEL_AGAIN, id="cancelled here"
        ),
        pytest.param(
            replace(JOB, status=JobStatus.FAILED, end_reported=True), Listed.END_KNOWN, id="ended"
        ),
    ],
)
def test_listed(job: Job, listed: Listed) -> None:
    assert policy.assess_listed(job) is listed


@pytest.mark.parametrize(
    ("changes", "listed", "lost"),
    [
        pytest.param({}, (), True, id="neither listed nor told of"),
        pytest.param({}, ("j1",), False, id="listed"),
        pytest.param({"seen_session": "S2", "dispatched_at": NINE}, (), False, id="taken since"),
        pytest.param(
            {"seen_session": "S2", "dispatched_at": NINE - TICK}, (), True, id="taken before"
        ),
        pytest.param(
            {"seen_session": "S2", "started_at": NINE, "start_reported": True}, (), False,
            id="began since",
        ),
        pytest.param(
            {"seen_session": "S1", "started_at": NINE, "start_reported": True}, (), True,
            id="told in an older session",
        ),
    ],
)  # fmt: skip
def test_lost(changes: dict, listed: tuple[str, ...], lost: bool) -> None:
    job = replace(JOB, status=JobStatus.RUNNING, **changes)
    assert policy.is_lost(job, session="S2", hello_at=NINE, listed=listed) is lost


@pytest.mark.parametrize(
    ("received", "verdict"),
    [
        pytest.param(NINE, FireVerdict.RUN, id="at once"),
        pytest.param(NINE + MINUTE, FireVerdict.RUN, id="60 s"),
        pytest.param(NINE + MINUTE + TICK, FireVerdict.LATE, id="just over 60 s"),
        pytest.param(NINE - 5 * MINUTE, FireVerdict.RUN, id="5 min ahead"),
        pytest.param(NINE - 5 * MINUTE - TICK, FireVerdict.FUTURE, id="more than 5 min ahead"),
    ],
)
def test_r17_fire(received: datetime, verdict: FireVerdict) -> None:
    found = policy.assess_fire(record(), "s1", "g1", fire_time=NINE, received_at=received)
    assert found is verdict


@pytest.mark.parametrize(
    ("host", "group"),
    [
        pytest.param(record(), "g9", id="no such group"),
        pytest.param(record(schedules=()), "g1", id="no such schedule"),
        pytest.param(
            record(schedules=(HOURLY.model_copy(update={"enabled": False}),)), "g1", id="disabled"
        ),
        pytest.param(
            record(schedules=(HOURLY.model_copy(update={"source_group_ids": ()}),)), "g1",
            id="unlinked",
        ),
    ],
)  # fmt: skip
def test_a_fire_nobody_wants(host: object, group: str) -> None:
    found = policy.assess_fire(host, "s1", group, fire_time=NINE, received_at=NINE)
    assert found is FireVerdict.UNWANTED


@pytest.mark.parametrize(
    ("job", "newest", "keep"),
    [
        pytest.param(JOB, NINE, Keep.KEEP, id="its own fire"),
        pytest.param(JOB, NINE + MINUTE, Keep.SUPERSEDED, id="a newer one"),
        pytest.param(JOB, None, Keep.KEEP, id="none known"),
        pytest.param(MANUAL, NINE, Keep.KEEP, id="a manual job has no fire"),
        pytest.param(replace(JOB, source_group_id="g9"), NINE, Keep.UNWANTED, id="group gone"),
        pytest.param(replace(MANUAL, source_group_id="g9"), None, Keep.UNWANTED, id="manual, gone"),
    ],
)
def test_r17_waiting(job: Job, newest: datetime | None, keep: Keep) -> None:
    assert policy_sending.assess_waiting(job, record(), newest) is keep


@pytest.mark.parametrize(
    ("job", "always_on", "ready"),
    [
        pytest.param(JOB, False, Ready.NOW, id="a scheduled job"),
        pytest.param(replace(JOB, next_try_at=NINE), False, Ready.NOW, id="pause just over"),
        pytest.param(replace(JOB, next_try_at=NINE + TICK), False, Ready.LATER, id="pausing"),
        pytest.param(replace(JOB, not_before=NINE + TICK), True, Ready.LATER, id="after a failure"),
        pytest.param(replace(JOB, not_in_session="S1"), True, Ready.OTHER_SESSION, id="reconnect"),
        pytest.param(replace(JOB, not_in_session="S0"), False, Ready.NOW, id="reconnected"),
        pytest.param(CATCHUP, False, Ready.NOW, id="a catch-up in its arm's session"),
        pytest.param(replace(CATCHUP, arm_id="S0"), False, Ready.ITS_ARM, id="of an older arm"),
        pytest.param(replace(CATCHUP, arm_id="S0"), True, Ready.NOW, id="always on by now"),
    ],
)
def test_ready(job: Job, always_on: bool, ready: Ready) -> None:
    found = policy_sending.assess_ready(job, session="S1", always_on=always_on, now=NINE)
    assert found is ready


def test_order_of_sending() -> None:
    older = replace(JOB, job_id="a", created_at=NINE - MINUTE)
    options = {"session": "S1", "always_on": True, "now": NINE}
    assert policy_sending.next_to_send([JOB, older], **options) == older
    assert policy_sending.next_to_send([JOB, older, MANUAL], **options) == MANUAL
    assert policy_sending.next_to_send([], **options) is None
    later = replace(JOB, next_try_at=NINE + MINUTE)
    assert policy_sending.next_to_send([later], **options) is None
    assert policy_sending.next_look([later], **options) == NINE + MINUTE
    assert policy_sending.next_look([], **options) is None


@pytest.mark.parametrize(
    ("why", "tries", "after"),
    [
        pytest.param(Try.DECLINED, 1, AfterTry.BACK_OFF, id="declined"),
        pytest.param(Try.NOT_ACCEPTING, 1, AfterTry.BACK_OFF, id="not accepting"),
        pytest.param(Try.NO_ANSWER, 1, AfterTry.AGAIN_NOW, id="silence is unknown"),
        pytest.param(Try.NO_ANSWER, 2, AfterTry.BACK_OFF, id="silence again"),
        pytest.param(Try.DECLINED, 9, AfterTry.BACK_OFF, id="the ninth"),
        pytest.param(Try.DECLINED, 10, AfterTry.ABANDON, id="the tenth"),
        pytest.param(Try.NO_ANSWER, 10, AfterTry.ABANDON, id="the tenth silence"),
    ],
)
def test_r17_after_a_try(why: Try, tries: int, after: AfterTry) -> None:
    assert policy_sending.decide_after_try(why, tries) is after


@pytest.mark.parametrize(
    ("tries", "seconds"), [(1, 30), (2, 60), (3, 120), (6, 960), (7, 1800), (9, 1800), (500, 1800)]
)
def test_r17_backoff(tries: int, seconds: int) -> None:
    pause = policy.backoff(tries, first=30 * SECOND, cap=30 * MINUTE)
    assert pause == seconds * SECOND


FIRED = attempt(1, JobStatus.INTERRUPTED)
AGAIN = attempt(2, JobStatus.INTERRUPTED, Cause.RECONNECT)
THIRD = attempt(3, JobStatus.INTERRUPTED, Cause.RECONNECT)
ASKED = attempt(4, JobStatus.INTERRUPTED, Cause.ARM)
FAILED = attempt(1, JobStatus.FAILED)
RETRIED = attempt(2, JobStatus.FAILED, Cause.RETRY)
WITHDRAWN = attempt(2, JobStatus.ABANDONED, Cause.RETRY)


@pytest.mark.parametrize(
    ("run", "retry_max", "following"),
    [
        pytest.param([FIRED], 0, Next.RECONNECT, id="interrupted once"),
        pytest.param([FIRED, AGAIN], 0, Next.RECONNECT, id="twice"),
        pytest.param([FIRED, AGAIN, THIRD], 0, Next.NOTHING, id="three times"),
        pytest.param([FIRED, AGAIN, ASKED], 0, Next.RECONNECT, id="an arm's does not count"),
        pytest.param(
            [FAILED, RETRIED, attempt(3, JobStatus.INTERRUPTED, Cause.RETRY)], 9, Next.RECONNECT,
            id="a failed one's next does not count",
        ),
        pytest.param([FAILED], 0, Next.NOTHING, id="failed, no retries"),
        pytest.param([FAILED], 1, Next.RETRY, id="failed, one retry"),
        pytest.param([FAILED, RETRIED], 1, Next.NOTHING, id="retries used up"),
        pytest.param([FAILED, RETRIED], 2, Next.RETRY, id="one left"),
        pytest.param([WITHDRAWN, FAILED], 1, Next.RETRY, id="a withdrawn retry was none"),
        pytest.param([attempt(1, JobStatus.CANCELLED)], 9, Next.NOTHING, id="cancelled"),
        pytest.param(
            [attempt(2, JobStatus.SUCCEEDED), FAILED], 9, Next.SUCCEEDED, id="another succeeded"
        ),
        pytest.param(
            [attempt(2, JobStatus.RUNNING), FAILED], 9, Next.UNDER_WAY, id="another is under way"
        ),
        pytest.param(
            [attempt(1, JobStatus.INTERRUPTED, cancel_wanted=True)], 9, Next.NOTHING,
            id="interrupted on the way to be cancelled",
        ),
        pytest.param(
            [attempt(1, JobStatus.FAILED, kind=JobKind.PRUNE)], 9, Next.NOTHING, id="no backup"
        ),
    ],
)  # fmt: skip
def test_r15_next_attempt(run: list[Job], retry_max: int, following: Next) -> None:
    job = run[-1]
    assert (
        policy.decide_next(job, job.status, run, retry_max=retry_max, always_on=False) is following
    )


@pytest.mark.parametrize(
    ("changes", "always_on", "following"),
    [
        pytest.param({}, False, Next.PUT_OFF, id="asked for by a catch-up"),
        pytest.param({}, True, Next.RETRY, id="its host is always on by now"),
        pytest.param({"arm_id": None}, False, Next.RETRY, id="a scheduled run failed"),
        pytest.param({"reason": "wrong_password"}, False, Next.RETRY, id="reached, but no use"),
        pytest.param({"status": JobStatus.INTERRUPTED}, False, Next.RECONNECT, id="cut off"),
        pytest.param({"cancel_wanted": True}, False, Next.NOTHING, id="nobody wants it"),
    ],
)
def test_an_unreachable_repository_puts_a_catch_up_off(
    changes: dict[str, object],
    always_on: bool,
    following: Next,
) -> None:
    reason = FailureReason.REPOSITORY_UNREACHABLE
    job = replace(attempt(1, JobStatus.FAILED, Cause.ARM, arm_id="S1", reason=reason), **changes)
    found = policy.decide_next(job, job.status, [job], retry_max=1, always_on=always_on)
    assert found is following
    assert policy.is_last(job, job.status, found) is (following is Next.NOTHING)


@pytest.mark.parametrize(
    ("status", "following", "last"),
    [
        pytest.param(JobStatus.FAILED, Next.NOTHING, True, id="failed"),
        pytest.param(JobStatus.INTERRUPTED, Next.NOTHING, False, id="interrupted: nobody is told"),
    ],
)
def test_a_manual_job_has_one_attempt(status: JobStatus, following: Next, last: bool) -> None:
    assert policy.decide_next(MANUAL, status, [], retry_max=9, always_on=False) is following
    assert policy.is_last(MANUAL, status, following) is last


@pytest.mark.parametrize(
    ("at", "dispatched", "believed"),
    [
        pytest.param(NINE, None, NINE, id="as reported"),
        pytest.param(NINE + MINUTE, None, NINE, id="not later than its receipt"),
        pytest.param(NINE - MINUTE, NINE - SECOND, NINE - SECOND, id="not before its dispatch"),
        pytest.param(NINE, NINE + MINUTE, NINE, id="receipt wins over a skewed dispatch"),
    ],
)
def test_bounded_end(at: datetime, dispatched: datetime | None, believed: datetime) -> None:
    assert policy.bounded_end(at, received_at=NINE, dispatched_at=dispatched) == believed


@pytest.mark.parametrize(
    ("run", "move"),
    [
        pytest.param([], CatchupMove.NEW_ATTEMPT, id="the first"),
        pytest.param([FAILED], CatchupMove.NEW_ATTEMPT, id="after a failure"),
        pytest.param([FIRED, AGAIN, THIRD], CatchupMove.NEW_ATTEMPT, id="beyond the limit"),
        pytest.param([WITHDRAWN], CatchupMove.NEW_ATTEMPT, id="after a withdrawn one"),
        pytest.param([FAILED, attempt(2, JobStatus.REQUESTED)], CatchupMove.TAKE_OVER, id="waits"),
        pytest.param([attempt(1, JobStatus.RUNNING)], CatchupMove.JOIN, id="under way"),
        pytest.param([attempt(1, JobStatus.DISPATCHED)], CatchupMove.JOIN, id="accepted"),
        pytest.param([FAILED, attempt(2, JobStatus.SUCCEEDED)], CatchupMove.RESTATE, id="done"),
    ],
)
def test_r15_catchup(run: list[Job], move: CatchupMove) -> None:
    assert policy.decide_catchup(run)[0] is move


def test_retry_pause_doubles() -> None:
    assert [policy.retry_pause(number) for number in (0, 1, 2)] == [MINUTE, 2 * MINUTE, 4 * MINUTE]
    assert policy.retry_pause(60) == timedelta(hours=12)
