"""restic within one job: runs it, tells the listener what it says, keeps what an outcome needs."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from agent.engines import restic_reasons as reasons
from agent.engines.secrets import Cleaner
from agent.work import Listener, Outcome, Process, Progress
from libs.common.clock import monotonic_seconds
from libs.common.protocol import FailureReason, RunStatus

COMPLAINTS_KEPT = 20
LOCK_PAUSE = timedelta(seconds=5)
STATS = (
    "snapshot_id", "files_new", "files_changed", "files_unmodified", "dirs_new", "dirs_changed",
    "data_added", "total_files_processed", "total_bytes_processed", "total_duration",
    "files_restored", "bytes_restored",
)  # fmt: skip


class Restic:
    """The program, with the secrets of one repository in its environment."""

    def __init__(
        self,
        program: str,
        process: Process,
        environment: Mapping[str, str],
        listener: Listener,
        cleaner: Cleaner,
    ) -> None:
        self._program = program
        self._process = process
        self._environment = environment
        self._listener = listener
        self._cleaner = cleaner
        self.complaints: deque[str] = deque(maxlen=COMPLAINTS_KEPT)
        self.summary: dict[str, Any] | None = None
        self._lines: list[str] | None = None
        self._see: Callable[[str], None] | None = None

    async def run(self, *arguments: str) -> int:
        """Run it; its lines are the job's log. Raises: FileNotFoundError, Stopped."""
        self.complaints.clear()
        argv = [self._program, *arguments]
        return await self._process.run(argv, self._environment, self._on_line)

    async def read(self, *arguments: str) -> tuple[int, list[str]]:
        """Run it for what it prints, which is not logged; return that by lines."""
        lines: list[str] = []
        self._lines = lines
        try:
            return await self.run(*arguments), lines
        finally:
            self._lines = None

    @contextmanager
    def watching(self, see: Callable[[str], None]) -> Iterator[None]:
        """Show each line of what it prints to `see`, too."""
        self._see = see
        try:
            yield
        finally:
            self._see = None

    async def run_unlocked(self, *arguments: str, patience: timedelta) -> int:
        """Run it; while another holds the repository, remove stale locks and try again.

        A lock is stale if its process is gone from this machine, or if it is half an hour old.
        """
        give_up_at = monotonic_seconds() + patience.total_seconds()
        code = await self.run(*arguments)
        while reasons.is_locked(code, self.complaints):
            held = reasons.tell(code, self.complaints)
            await self.remove_stale_locks()
            code = await self.run(*arguments)
            if not reasons.is_locked(code, self.complaints) or monotonic_seconds() >= give_up_at:
                break
            self.note(f"{held}: waiting")
            await self._process.rest(LOCK_PAUSE)
        return code

    async def remove_stale_locks(self) -> None:
        """What a killed restic left behind. If it cannot, the next command says why."""
        await self.run("unlock")

    def note(self, line: str) -> None:
        self._listener.on_log(self._cleaner.clean(line))

    # -- outcomes ----------------------------------------------------------------------------------

    def succeeded(self, stats: dict[str, Any] | None = None, code: int = 0) -> Outcome:
        return Outcome(RunStatus.SUCCEEDED, exit_code=code, stats=stats)

    def warned(self, error: str, code: int) -> Outcome:
        clean = self._cleaner.clean(error)
        return Outcome(
            RunStatus.SUCCEEDED_WITH_WARNINGS, exit_code=code, error=clean, stats=self.summary
        )

    def refused(
        self, error: str, code: int | None = None, *, reason: FailureReason | None = None
    ) -> Outcome:
        clean = self._cleaner.clean(error)
        return Outcome(RunStatus.FAILED, exit_code=code, error=clean, reason=reason)

    def failed(self, code: int) -> Outcome:
        """Return the end that its last run means; a lost lock is no failure but a cut."""
        if reasons.has_lost_lock(code, self.complaints):
            error = "restic lost its lock on the repository"
            return Outcome(RunStatus.INTERRUPTED, exit_code=code, error=error)
        return self.refused(reasons.tell(code, self.complaints), code, reason=self.reason(code))

    def reason(self, code: int) -> FailureReason | None:
        """Return what its last run failed by."""
        return reasons.find_reason(code, self.complaints)

    def last_words(self) -> str:
        """Return the last line of what restic complained about, secrets cut out."""
        return self.complaints[-1] if self.complaints else "restic said nothing"

    # -- lines -------------------------------------------------------------------------------------

    def _on_line(self, stream: str, line: str) -> None:
        if self._lines is not None and stream == "stdout":
            self._lines.append(line)
            return
        message = json_of(line)
        kind = message.get("message_type") if message else None
        if message is not None and kind == "status":
            self._listener.on_progress(progress_of(message))
        elif message is not None and kind == "summary":
            self.summary = {key: message[key] for key in STATS if key in message}
            if "snapshot_id" in message:
                self.note(f"snapshot {message['snapshot_id']} saved")
        elif message is not None and kind in ("error", "exit_error"):
            self._complain(_error_of(message))
        elif line.strip() and stream == "stderr":
            self._complain(line.strip())
        elif line.strip() and message is None:
            self.note(line.strip())
            if self._see is not None:
                self._see(line.strip())

    def _complain(self, line: str) -> None:
        clean = self._cleaner.clean(line)
        self._listener.on_log(clean)
        self.complaints.append(clean)


def json_of(line: str) -> dict[str, Any] | None:
    if not line.startswith("{"):
        return None
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return message if isinstance(message, dict) else None


def progress_of(message: dict[str, Any]) -> Progress:
    """Return how far a backup or a restore (from 0.17 on) is."""
    share = _number(message, "percent_done")
    return Progress(
        percent=None if share is None else min(max(share * 100, 0.0), 100.0),
        bytes_done=_count(message, "bytes_done", "bytes_restored"),
        bytes_total=_count(message, "total_bytes"),
        files_done=_count(message, "files_done", "files_restored"),
        seconds_left=_number(message, "seconds_remaining"),
    )


def _number(message: dict[str, Any], *keys: str) -> float | None:
    value = next((message[key] for key in keys if key in message), None)
    return float(value) if isinstance(value, (int, float)) and value >= 0 else None


def _count(message: dict[str, Any], *keys: str) -> int | None:
    value = _number(message, *keys)
    return None if value is None else int(value)


def _error_of(message: dict[str, Any]) -> str:
    error = message.get("error")
    text = error.get("message") or error.get("Err") if isinstance(error, dict) else error
    said = text or message.get("message") or "an error without a text"
    item = message.get("item")
    return f"{said} ({item})" if item and str(item) not in str(said) else str(said)
