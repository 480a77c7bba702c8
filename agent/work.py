"""A job on its way through an engine: what is to be done, what is told meanwhile, how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol

from libs.common.protocol import FailureReason, RepositoryConfig, RunStatus, SourceGroupConfig


@dataclass(frozen=True, slots=True)
class Work:
    """A job to be done, with everything that an engine needs.

    `timeout`: after it the job is stopped and has failed. `attempt` above 1: an earlier one was
    cut off or failed, and may have left locks.
    """

    job_id: str
    group: SourceGroupConfig | None
    repository: RepositoryConfig | None
    kind: str = "backup"
    arguments: Mapping[str, Any] = field(default_factory=dict)
    attempt: int = 1
    timeout: timedelta | None = None

    @property
    def source(self) -> SourceGroupConfig:
        """The source group of a job that needs one: none without is accepted."""
        assert self.group is not None
        return self.group


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a job ended. `error` and `log_tail` hold no secret; `reason` is for programs."""

    status: RunStatus
    exit_code: int | None = None
    error: str | None = None
    reason: FailureReason | None = None
    stats: dict[str, Any] | None = None
    log_tail: str | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is."""

    percent: float | None = None
    bytes_done: int | None = None
    bytes_total: int | None = None
    files_done: int | None = None
    seconds_left: float | None = None


class Listener(Protocol):
    """Who hears of a job while it runs."""

    def on_progress(self, progress: Progress) -> None: ...

    def on_log(self, line: str) -> None: ...


class Process(Protocol):
    """How an engine runs programs: stoppable from outside, in its own process group."""

    async def run(
        self,
        argv: list[str],
        environment: Mapping[str, str],
        on_line: OnLine,
        *,
        even_if_stopped: bool = False,
    ) -> int:
        """Run `argv` to its end, telling each line of its output; return the exit code.

        `even_if_stopped`: what must be done after a job that was told to end; it gets the grace
        time for it.

        Raises:
            FileNotFoundError: there is no such program.
            Stopped: the job is to end; nothing was started.
        """
        ...

    async def rest(self, pause: timedelta) -> None:
        """Do nothing for a while. Raises: Stopped, as soon as the job is to end."""
        ...


class OnLine(Protocol):
    def __call__(self, stream: str, line: str, /) -> None:
        """Take one line of `stdout` or `stderr`, without its end."""


class Stopped(Exception):
    """The job was asked to end before this program was started."""


class Engine(Protocol):
    """What does the jobs of some kinds."""

    @property
    def kinds(self) -> frozenset[str]: ...

    async def perform(self, work: Work, process: Process, listener: Listener) -> Outcome: ...
