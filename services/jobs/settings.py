"""What an operator can set of jobs, and what is fixed."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, field_validator, model_validator
from pydantic_settings import NoDecode

from libs.common.events.job import JobKind
from libs.common.settings import DormiceSettings, Duration

MAX_TRIES = 10
MAX_ATTEMPTS = 3  # of a run that is interrupted; what a catch-up asks for comes on top
RETRY_FIRST = timedelta(minutes=1)
RETRY_CAP = timedelta(hours=12)
ANSWER_TIMEOUT = timedelta(seconds=10)
STATED_GRACE = timedelta(seconds=30)  # for the report of an end that an answer told
UNKNOWN_PAUSE = timedelta(seconds=1)  # after a command that itself timed out
LIVE_FIRE = timedelta(seconds=60)
FUTURE_FIRE = timedelta(minutes=5)
HOLD_FOR = timedelta(minutes=10)
HOLD_RENEWED = timedelta(minutes=2)  # before its end
LOG_BYTES = 2 * 1024 * 1024
TAIL_BYTES = 256 * 1024  # of them kept free for the tail that comes with the report
KEEP_MEMORY = timedelta(days=45)
KEEP_LOGS = timedelta(days=30)
KEEP_JOBS = timedelta(days=400)
LOGS_PER_HOST = 100


DEFAULT_TIMEOUTS = {
    JobKind.BACKUP: timedelta(days=3),
    JobKind.RESTORE: timedelta(days=3),
    JobKind.CHECK: timedelta(days=2),
    JobKind.PRUNE: timedelta(days=2),
    JobKind.FORGET: timedelta(hours=6),
    JobKind.UNLOCK: timedelta(hours=1),
    JobKind.INIT: timedelta(hours=1),
    JobKind.SNAPSHOTS: timedelta(hours=1),
}


def _read_timeouts(value: object) -> object:
    """`backup=1d,check=12h`, or a table of the file; a kind that is not named keeps its own."""
    if isinstance(value, str):
        pairs = [part.partition("=") for part in value.split(",") if part.strip()]
        value = {kind.strip(): text.strip() for kind, _, text in pairs}
    if not isinstance(value, dict):
        raise ValueError("is written backup=1d,check=12h")
    unknown = set(value) - set(JobKind)
    if unknown:
        raise ValueError(f"{min(unknown)!r} is no kind of job; they are {', '.join(JobKind)}")
    return DEFAULT_TIMEOUTS | {JobKind(kind): span for kind, span in value.items()}


Timeouts = Annotated[dict[JobKind, Duration], NoDecode, BeforeValidator(_read_timeouts)]


class JobsSettings(DormiceSettings):
    """DORMICE_PENDING_RETRY, DORMICE_PENDING_RETRY_CAP, DORMICE_JOB_TIMEOUTS, DORMICE_DATA."""

    data: Path = Path("dormice-data")
    pending_retry: Duration = timedelta(seconds=30)
    pending_retry_cap: Duration = timedelta(minutes=30)
    job_timeouts: Timeouts = Field(default_factory=lambda: dict(DEFAULT_TIMEOUTS))

    @field_validator("job_timeouts")
    @classmethod
    def _are_positive(cls, value: dict[JobKind, timedelta]) -> dict[JobKind, timedelta]:
        for kind, span in value.items():
            if span <= timedelta():
                raise ValueError(f"{kind} must be more than 0s")
        return value

    @field_validator("pending_retry", "pending_retry_cap")
    @classmethod
    def _is_positive(cls, value: timedelta) -> timedelta:
        if value <= timedelta():
            raise ValueError("must be more than 0s")
        return value

    @model_validator(mode="after")
    def _cap_fits(self) -> JobsSettings:
        if self.pending_retry_cap < self.pending_retry:
            raise ValueError("DORMICE_PENDING_RETRY_CAP must not be below DORMICE_PENDING_RETRY")
        return self

    @property
    def database_path(self) -> Path:
        return self.data / "jobs.db"
