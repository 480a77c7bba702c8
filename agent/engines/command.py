"""Any other program: an argv template such as `tar -czf {target}.tar.gz {includes}`.

`{includes}` and `{excludes}` standing alone become as many arguments as there are; `{target}`,
`{group}`, `{host}`, `{job_id}` are replaced inside an argument. No shell is involved. Nothing of
a repository is passed on.
"""

from __future__ import annotations

import os
from collections import deque
from pathlib import Path

from agent.engines.includes import split_by_presence, tell_missing
from agent.files import make_private_directory
from agent.work import Listener, Outcome, Process, Stopped, Work
from libs.common.protocol import FailureReason, RunStatus


class CommandEngine:
    """Runs one program per backup. Exit code 0 is success, `warnings` success with warnings."""

    kinds = frozenset({"backup"})

    def __init__(
        self, template: list[str], target: Path, hostname: str, warnings: list[int]
    ) -> None:
        self._template = template
        self._target = target
        self._hostname = hostname
        self._warnings = warnings

    async def perform(self, work: Work, process: Process, listener: Listener) -> Outcome:
        present, missing = split_by_presence(work.source.includes)
        if not present:
            error = f"nothing to back up: {tell_missing(missing)}"
            return _failed(None, error, FailureReason.NOTHING_TO_BACK_UP)
        make_private_directory(self._target)
        said: deque[str] = deque(maxlen=1)

        def on_line(stream: str, line: str) -> None:
            listener.on_log(line)
            if stream == "stderr" and line.strip():
                said.append(line.strip())

        try:
            code = await process.run(self._argv(work, present), _environment(), on_line)
        except FileNotFoundError:
            error = f"{self._template[0]} is not installed here"
            return _failed(None, error, FailureReason.PROGRAM_MISSING)
        except PermissionError:
            error = f"{self._template[0]} may not be executed by this user"
            return _failed(None, error, FailureReason.PROGRAM_MISSING)
        except Stopped:
            return Outcome(RunStatus.CANCELLED, error="stopped before the command was started")
        last_words = said[-1] if said else f"{self._template[0]} exited with {code}"
        if code != 0 and code not in self._warnings:
            return _failed(code, last_words)
        if code == 0 and not missing:
            return Outcome(RunStatus.SUCCEEDED, exit_code=code)
        error = tell_missing(missing) if missing else last_words
        return Outcome(RunStatus.SUCCEEDED_WITH_WARNINGS, exit_code=code, error=error)

    def _argv(self, work: Work, present: list[str]) -> list[str]:
        lists = {"{includes}": present, "{excludes}": work.source.excludes}
        words = {
            "{target}": str(self._target / f"{_file_name(work.source.name)}-{work.job_id}"),
            "{group}": work.source.name,
            "{host}": self._hostname,
            "{job_id}": work.job_id,
        }
        argv: list[str] = []
        for part in self._template:
            argv += lists[part] if part in lists else [_filled(part, words)]
        return argv


def _environment() -> dict[str, str]:
    """Ours without our own variables: tokens may be among them."""
    return {name: value for name, value in os.environ.items() if not name.startswith("DORMICE_")}


def _filled(part: str, words: dict[str, str]) -> str:
    for word, value in words.items():
        part = part.replace(word, value)
    return part


def _file_name(name: str) -> str:
    kept = "".join(char if char.isalnum() or char in "._-" else "-" for char in name)
    return kept.lstrip(".-")[:64] or "group"


def _failed(code: int | None, error: str, reason: FailureReason | None = None) -> Outcome:
    return Outcome(RunStatus.FAILED, exit_code=code, error=error, reason=reason)
