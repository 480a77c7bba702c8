"""Carrying out one job at a time, and telling of it: progress, log lines, its end."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import timedelta
from pathlib import Path

from agent.engines.process import ControlledProcess
from agent.work import Engine, Outcome, Progress, Work
from libs.common.clock import monotonic_seconds
from libs.common.durations import format_duration
from libs.common.errors import DormiceError
from libs.common.logging import get_logger
from libs.common.protocol import (
    LOG_TAIL_BYTES,
    FailureReason,
    Frame,
    JobLog,
    JobProgress,
    RunStatus,
)

TAIL_BYTES = LOG_TAIL_BYTES
LONGEST_ERROR = 1000
SECONDS_BETWEEN_PROGRESS = 1.0

log = get_logger("agent")


class JobRunner:
    """Runs one `Work` in a task of its own.

    `on_started(job_id)` and `on_finished(job_id, outcome)` are called once each, in this order;
    `tell` gets frames that may be lost.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        note: Path,
        grace: timedelta,
        on_started: Callable[[str], None],
        on_finished: Callable[[str, Outcome], None],
        tell: Callable[[Frame], None],
    ) -> None:
        self._engine = engine
        self._note = note
        self._grace = grace
        self._on_started = on_started
        self._on_finished = on_finished
        self._tell = tell
        self._task: asyncio.Task[None] | None = None
        self._process: ControlledProcess | None = None
        self._job_id: str | None = None
        self._stopped_as: Outcome | None = None

    def start(self, work: Work) -> None:
        """Begin `work`; the caller made sure that nothing else runs."""
        self._job_id = work.job_id
        self._stopped_as = None
        self._process = ControlledProcess(self._note, grace=self._grace)
        self._task = asyncio.create_task(self._run(work, self._process), name="job")

    def cancel(self, job_id: str) -> None:
        """End this job; another id is no concern of ours."""
        if self._job_id == job_id:
            self._end_as(RunStatus.CANCELLED, "cancelled")

    def interrupt(self) -> None:
        """End whatever runs, as interrupted."""
        self._end_as(RunStatus.INTERRUPTED, "the agent was stopped")

    def _time_out(self, timeout: timedelta) -> None:
        said = f"stopped after {format_duration(timeout)}: it took too long"
        self._end_as(RunStatus.FAILED, said, FailureReason.TIMED_OUT)

    def _end_as(self, status: RunStatus, why: str, reason: FailureReason | None = None) -> None:
        """The first who ends a job says how it ended; asking again hurries nothing."""
        if self._process is not None:
            if self._stopped_as is None:
                self._stopped_as = Outcome(status, error=why, reason=reason)
            self._process.stop()

    async def stop(self) -> None:
        """End whatever runs, as interrupted, and wait until that is reported."""
        self.interrupt()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    def pause(self) -> None:
        if self._process is not None:
            self._process.pause()

    def resume(self) -> None:
        if self._process is not None:
            self._process.resume()

    async def _run(self, work: Work, process: ControlledProcess) -> None:
        voice = _Voice(work.job_id, self._tell)
        timer = self._timer_of(work)
        try:
            self._on_started(work.job_id)
            outcome = await self._engine.perform(work, process, voice)
        except DormiceError as error:
            outcome = Outcome(RunStatus.FAILED, error=error.message)
        except Exception as error:
            log.exception("engine_failed", job_id=work.job_id)
            outcome = Outcome(RunStatus.FAILED, error=f"the agent failed: {type(error).__name__}")
        if timer is not None:
            timer.cancel()
        self._process = self._job_id = None
        self._on_finished(work.job_id, self._judged(outcome, voice.tail()))

    def _timer_of(self, work: Work) -> asyncio.TimerHandle | None:
        if work.timeout is None:
            return None
        loop = asyncio.get_running_loop()
        return loop.call_later(work.timeout.total_seconds(), self._time_out, work.timeout)

    def _judged(self, outcome: Outcome, tail: str) -> Outcome:
        """A job that was stopped and did not succeed all the same ended as its stopper says."""
        end, error = outcome, outcome.error
        if self._stopped_as and outcome.status in (RunStatus.FAILED, RunStatus.CANCELLED):
            end, error = self._stopped_as, self._stopped_as.error
        return replace(
            outcome,
            status=end.status,
            error=_sendable(error[:LONGEST_ERROR]) if error else None,
            reason=end.reason,
            log_tail=tail or None,
        )


class _Voice:
    """Tells of a running job: progress at most once a second, log lines, and keeps the tail."""

    def __init__(self, job_id: str, tell: Callable[[Frame], None]) -> None:
        self._job_id = job_id
        self._tell = tell
        self._told_at: float | None = None
        self._offset = 0
        self._tail: deque[str] = deque()
        self._tail_bytes = 0

    def on_progress(self, progress: Progress) -> None:
        now = monotonic_seconds()
        if self._told_at is not None and now - self._told_at < SECONDS_BETWEEN_PROGRESS:
            return
        self._told_at = now
        self._tell(JobProgress(job_id=self._job_id, **asdict(progress)))

    def on_log(self, line: str) -> None:
        text = _sendable(line[:4096]) + "\n"
        self._tell(JobLog(job_id=self._job_id, offset=self._offset, text=text))
        size = len(text.encode())
        self._offset += size
        self._tail.append(text)
        self._tail_bytes += size
        while self._tail_bytes > TAIL_BYTES and len(self._tail) > 1:
            self._tail_bytes -= len(self._tail.popleft().encode())

    def tail(self) -> str:
        return "".join(self._tail)


_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))} | {
    ord("\n"): "\\n", ord("\r"): "\\r", ord("\t"): "\t"
}  # fmt: skip


def _sendable(text: str) -> str:
    """File names may hold bytes that are no text; a frame may not. Nor may they begin a line of
    their own, or move a terminal's cursor."""
    return text.encode("utf-8", "replace").decode("utf-8").translate(_CONTROLS)
