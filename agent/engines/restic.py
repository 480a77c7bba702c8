"""The real thing: `restic backup`, with nothing secret in an argument.

Password and repository reach restic by files (RESTIC_PASSWORD_FILE, RESTIC_REPOSITORY_FILE, mode
0600), cloud keys by its environment. The first backup into an empty place makes the repository;
once this agent has used a repository, one that is gone is an error, not made again: more likely
a disk is not mounted.
"""

from __future__ import annotations

import hashlib
import json
from collections import deque
from pathlib import Path
from typing import Any

from agent.engines.environment import plain_environment
from agent.engines.includes import split_by_presence, tell_missing
from agent.engines.secrets import Cleaner
from agent.files import make_private_directory, write_private
from agent.work import Listener, Outcome, Process, Progress, Stopped, Work
from libs.common.protocol import RepositoryConfig, RunStatus

INCOMPLETE = 3
NO_REPOSITORY = 10
LOCKED = 11
WRONG_PASSWORD = 12
OURS = ("RESTIC_PASSWORD", "RESTIC_REPOSITORY", "LD_", "DYLD_", "PATH")
STATS = (
    "snapshot_id", "files_new", "files_changed", "files_unmodified", "dirs_new", "dirs_changed",
    "data_added", "total_files_processed", "total_bytes_processed", "total_duration",
)  # fmt: skip


class ResticEngine:
    """Runs restic for one agent; `state` is where the secret files lie."""

    def __init__(self, program: str, state: Path, hostname: str) -> None:
        self._program = program
        self._folder = state / "restic"
        self._hostname = hostname

    async def backup(self, work: Work, process: Process, listener: Listener) -> Outcome:
        """Back up the group's folders into the repository, which is made if it is a first."""
        if work.repository is None:
            return _failed("no repository is configured for this host")
        cleaner = Cleaner(work.repository)
        present, missing = split_by_presence(work.group.includes)
        if not present:
            return _failed(cleaner.clean(f"nothing to back up: {tell_missing(missing)}"))
        try:
            environment = self._environment(work.repository)
            attempt = _Attempt(process, environment, listener, cleaner)
            return await self._backup(work, attempt, present, missing)
        except FileNotFoundError:
            return _failed(f"{self._program} is not installed here; Debian's package is: restic")
        except PermissionError:
            return _failed(f"{self._program} may not be executed by this user")
        except Stopped:
            return Outcome(RunStatus.CANCELLED, error="stopped before restic was started")

    async def _backup(
        self, work: Work, attempt: _Attempt, present: list[str], missing: list[str]
    ) -> Outcome:
        assert work.repository is not None
        argv = self._backup_arguments(work, present)
        for path in missing:
            attempt.note(f"{path} does not exist")
        code = await attempt.run(argv)
        if attempt.has_no_repository(code):
            if self._was_used(work.repository):
                return attempt.failed(code, "the repository is gone; is its disk mounted?")
            code = await attempt.run([self._program, "init"])
            if code != 0 and not attempt.was_made_meanwhile():
                return attempt.failed(code, f"cannot make the repository: {attempt.last_words()}")
            attempt.note("made the repository")
            code = await attempt.run(argv)
        if code in (0, INCOMPLETE) and attempt.summary is not None:
            self._mark_used(work.repository)
        return attempt.outcome(code, missing)

    def _backup_arguments(self, work: Work, present: list[str]) -> list[str]:
        group = work.group
        excludes = [f"--exclude={pattern}" for pattern in group.excludes]
        return [
            self._program, "backup", "--json", f"--tag={group.name}", f"--host={self._hostname}",
            *excludes, "--", *present,
        ]  # fmt: skip

    def _environment(self, repository: RepositoryConfig) -> dict[str, str]:
        make_private_directory(self._folder)
        files = {
            "RESTIC_PASSWORD_FILE": (self._folder / "password", repository.password),
            "RESTIC_REPOSITORY_FILE": (self._folder / "repository", repository.url),
        }
        environment = plain_environment()
        given = repository.environment.items()
        environment |= {name: value for name, value in given if not name.upper().startswith(OURS)}
        for name, (path, text) in files.items():
            write_private(path, text)
            environment[name] = str(path)
        if not {"HOME", "XDG_CACHE_HOME", "RESTIC_CACHE_DIR"} & environment.keys():
            environment["RESTIC_CACHE_DIR"] = str(self._folder / "cache")
        return environment | {"RESTIC_PROGRESS_FPS": "1"}

    def _was_used(self, repository: RepositoryConfig) -> bool:
        return self._marker(repository).exists()

    def _mark_used(self, repository: RepositoryConfig) -> None:
        if not self._was_used(repository):
            write_private(self._marker(repository), "a backup into this repository succeeded\n")

    def _marker(self, repository: RepositoryConfig) -> Path:
        name = hashlib.sha256(repository.url.encode()).hexdigest()[:32]
        return self._folder / f"used-{name}"


class _Attempt:
    """What restic said during one job."""

    def __init__(
        self,
        process: Process,
        environment: dict[str, str],
        listener: Listener,
        cleaner: Cleaner,
    ) -> None:
        self._process = process
        self._environment = environment
        self._listener = listener
        self._cleaner = cleaner
        self._complaints: deque[str] = deque(maxlen=20)
        self.summary: dict[str, Any] | None = None

    async def run(self, argv: list[str]) -> int:
        self._complaints.clear()
        return await self._process.run(argv, self._environment, self._on_line)

    def note(self, line: str) -> None:
        self._listener.on_log(self._cleaner.clean(line))

    def last_words(self) -> str:
        """Return the last line of what restic complained about, secrets cut out."""
        return self._complaints[-1] if self._complaints else "restic said nothing"

    def has_no_repository(self, code: int) -> bool:
        """Before 0.17 restic exits 1 and only says so."""
        said = " ".join(self._complaints).lower()
        asks = "is there a repository at the following location" in said
        absent = any(sign in said for sign in ("no such file", "not exist", "not found"))
        return code == NO_REPOSITORY or (code == 1 and asks and absent)

    def was_made_meanwhile(self) -> bool:
        """Say whether `init` failed because another host that shares it was faster."""
        return any("already" in line for line in self._complaints)

    def failed(self, code: int, error: str) -> Outcome:
        return Outcome(RunStatus.FAILED, exit_code=code, error=self._cleaner.clean(error))

    def outcome(self, code: int, missing: list[str]) -> Outcome:
        if code == 0 and not missing:
            return Outcome(RunStatus.SUCCEEDED, exit_code=code, stats=self.summary)
        if code in (0, INCOMPLETE) and self.summary is not None:
            error = tell_missing(missing) if missing else self.last_words()
            return Outcome(
                RunStatus.SUCCEEDED_WITH_WARNINGS,
                exit_code=code,
                error=self._cleaner.clean(error),
                stats=self.summary,
            )
        return self.failed(code, self._reason(code))

    def _reason(self, code: int) -> str:
        said = " ".join(self._complaints).lower()
        if code == WRONG_PASSWORD or "wrong password or no key found" in said:
            return "wrong repository password, or the repository has no key for it"
        if code == LOCKED or "unable to create lock" in said:
            holder = next((line for line in self._complaints if "locked" in line), "")
            return f"the repository is locked: {holder or self.last_words()}"
        return self.last_words()

    def _on_line(self, stream: str, line: str) -> None:
        message = _json_of(line)
        kind = message.get("message_type") if message else None
        if message is not None and kind == "status":
            self._listener.on_progress(_progress_of(message))
        elif message is not None and kind == "summary":
            self.summary = {key: message[key] for key in STATS if key in message}
            self.note(f"snapshot {message.get('snapshot_id', '?')} saved")
        elif message is not None and kind in ("error", "exit_error"):
            self._complain(_error_of(message))
        elif line.strip() and stream == "stderr":
            self._complain(line.strip())
        elif line.strip() and message is None:
            self.note(line.strip())

    def _complain(self, line: str) -> None:
        clean = self._cleaner.clean(line)
        self._listener.on_log(clean)
        self._complaints.append(clean)


def _json_of(line: str) -> dict[str, Any] | None:
    if not line.startswith("{"):
        return None
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return message if isinstance(message, dict) else None


def _progress_of(message: dict[str, Any]) -> Progress:
    share = _number(message, "percent_done")
    return Progress(
        percent=None if share is None else min(max(share * 100, 0.0), 100.0),
        bytes_done=_count(message, "bytes_done"),
        bytes_total=_count(message, "total_bytes"),
        files_done=_count(message, "files_done"),
        seconds_left=_number(message, "seconds_remaining"),
    )


def _number(message: dict[str, Any], key: str) -> float | None:
    value = message.get(key)
    return float(value) if isinstance(value, (int, float)) and value >= 0 else None


def _count(message: dict[str, Any], key: str) -> int | None:
    value = _number(message, key)
    return None if value is None else int(value)


def _error_of(message: dict[str, Any]) -> str:
    error = message.get("error")
    text = error.get("message") or error.get("Err") if isinstance(error, dict) else error
    said = text or message.get("message") or "an error without a text"
    item = message.get("item")
    return f"{said} ({item})" if item and str(item) not in str(said) else str(said)


def _failed(error: str) -> Outcome:
    return Outcome(RunStatus.FAILED, error=error)
