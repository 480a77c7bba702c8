"""What may be sent to a host, and what follows a send that was not accepted: pure decisions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import Enum

from libs.common.events.host import HostRecord
from libs.common.events.job import JobOrigin
from services.jobs.policy import is_wanted
from services.jobs.records import Job
from services.jobs.settings import MAX_TRIES


class Keep(Enum):
    """Whether a waiting job still deserves to be sent."""

    KEEP = "it waits"
    SUPERSEDED = "superseded"
    UNWANTED = "its schedule or source group is gone or switched off"


def assess_waiting(job: Job, record: HostRecord, newest_fire: datetime | None) -> Keep:
    """Say whether a job that waits to be sent is still wanted (R17)."""
    if job.fire_time is not None and newest_fire is not None and newest_fire > job.fire_time:
        return Keep.SUPERSEDED
    if not is_wanted(record, job.schedule_id, job.source_group_id):
        return Keep.UNWANTED
    return Keep.KEEP


class Ready(Enum):
    """Whether a waiting job may be sent in the present session."""

    NOW = "it may be sent"
    LATER = "its pause is not over"
    OTHER_SESSION = "it waits for a reconnect"
    ITS_ARM = "it waits for the catch-up to ask for it"


def assess_ready(job: Job, *, session: str, always_on: bool, now: datetime) -> Ready:
    """A catch-up's job is sent while its own arm lasts; that of a host that no longer sleeps at
    any hello."""
    if job.not_in_session == session:
        return Ready.OTHER_SESSION
    if job.origin is JobOrigin.CATCHUP and not always_on and job.arm_id != session:
        return Ready.ITS_ARM
    return Ready.NOW if _due_at(job) <= now else Ready.LATER


def _due_at(job: Job) -> datetime:
    return max(job.not_before or job.created_at, job.next_try_at or job.created_at)


def next_to_send(
    waiting: Sequence[Job], *, session: str, always_on: bool, now: datetime
) -> Job | None:
    """Return the job to send to a free host: what a person asked for first, else the oldest."""
    ready = [
        job
        for job in waiting
        if assess_ready(job, session=session, always_on=always_on, now=now) is Ready.NOW
    ]
    return min(ready, key=_rank, default=None)


def _rank(job: Job) -> tuple[bool, datetime, datetime, str]:
    asked_by_hand = job.origin is JobOrigin.MANUAL
    return not asked_by_hand, job.created_at, job.fire_time or job.created_at, job.job_id


def next_look(
    waiting: Sequence[Job], *, session: str, always_on: bool, now: datetime
) -> datetime | None:
    """Return when the next waiting job's pause ends."""
    later = [
        _due_at(job)
        for job in waiting
        if assess_ready(job, session=session, always_on=always_on, now=now) is Ready.LATER
    ]
    return min(later, default=None)


class Try(Enum):
    """Why a send led to nothing, while the host stayed connected."""

    DECLINED = "the agent declined"
    UNABLE = "the agent cannot do this"
    NO_ANSWER = "no answer from the agent: unknown"
    NOT_ACCEPTING = "the connection takes nothing now"


class AfterTry(Enum):
    """What follows a send that was not accepted."""

    ABANDON = "the last try"
    AGAIN_NOW = "the same job id, at once"
    BACK_OFF = "the same job id, after a pause"


def why_declined(reason: str) -> Try:
    """An agent that is older than a kind of job will not learn it by being asked again."""
    return Try.UNABLE if reason == "unsupported_kind" else Try.DECLINED


def decide_after_try(why: Try, tries: int) -> AfterTry:
    """Decide after the `tries`-th send without success (R17). Silence is unknown, not a failure:
    the first time the same id is sent again at once."""
    if tries >= MAX_TRIES or why is Try.UNABLE:
        return AfterTry.ABANDON
    if why is Try.NO_ANSWER and tries == 1:
        return AfterTry.AGAIN_NOW
    return AfterTry.BACK_OFF
