"""What an operator can set of jobs, and what is fixed."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from pydantic import field_validator, model_validator

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


class JobsSettings(DormiceSettings):
    """DORMICE_PENDING_RETRY, DORMICE_PENDING_RETRY_CAP, DORMICE_DATA."""

    data: Path = Path("dormice-data")
    pending_retry: Duration = timedelta(seconds=30)
    pending_retry_cap: Duration = timedelta(minutes=30)

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
