"""A source group's hooks: commands around its backup, to stop a database and start it again, say.

`before` runs first; if it fails there is no backup, and the job has failed. `after` runs last,
whatever happened, a cancelled backup included; if it fails, a backup that succeeded has warnings.
A list is an argument vector; a text goes through the system's shell. Both get DORMICE_JOB_ID,
DORMICE_GROUP and, after, DORMICE_STATUS; nothing of the repository.
"""

from __future__ import annotations

import os
from collections import deque
from dataclasses import replace
from typing import Any

from agent.engines.environment import plain_environment
from agent.engines.secrets import Cleaner
from agent.work import Engine, Listener, Outcome, Process, Stopped, Work
from libs.common.protocol import HOOKS, FailureReason, RunStatus

BEFORE, AFTER = HOOKS
CANNOT_START = 127  # As a shell says it.


class HookedEngine:
    """Another engine, with the hooks of each group around it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @property
    def kinds(self) -> frozenset[str]:
        return self._engine.kinds

    async def perform(self, work: Work, process: Process, listener: Listener) -> Outcome:
        """Only a backup has hooks: they make ready what is backed up."""
        if work.kind != "backup":
            return await self._engine.perform(work, process, listener)
        hooks = work.source.hooks or {}
        try:
            said = await _run(BEFORE, hooks, work, process, listener)
        except Stopped:
            outcome = Outcome(RunStatus.CANCELLED, error="stopped in the hook `before`")
        else:
            outcome = (
                await self._engine.perform(work, process, listener)
                if said is None
                else Outcome(RunStatus.FAILED, error=said, reason=FailureReason.HOOK_FAILED)
            )
        said = await _run(AFTER, hooks, work, process, listener, status=outcome.status)
        if said is not None and outcome.status is RunStatus.SUCCEEDED:
            return replace(outcome, status=RunStatus.SUCCEEDED_WITH_WARNINGS, error=said)
        return outcome


async def _run(
    name: str,
    hooks: dict[str, Any],
    work: Work,
    process: Process,
    listener: Listener,
    *,
    status: RunStatus | None = None,
) -> str | None:
    """Run the hook, if there is one; return why it failed, or None."""
    if name not in hooks:
        return None
    cleaner = Cleaner(work.repository)
    last: deque[str] = deque(maxlen=1)

    def on_line(_stream: str, line: str) -> None:
        clean = cleaner.clean(line)
        listener.on_log(f"{name}: {clean}")
        if clean.strip():
            last.append(clean.strip())

    facts = {"DORMICE_JOB_ID": work.job_id, "DORMICE_GROUP": work.source.name}
    if status is not None:
        facts["DORMICE_STATUS"] = status.value
    environment = plain_environment() | facts
    try:
        code = await process.run(
            _argv(hooks[name]), environment, on_line, even_if_stopped=name == AFTER
        )
    except OSError as error:
        last.append(str(error.strerror))
        code = CANNOT_START
    if code == 0:
        return None
    return f"the hook `{name}` exited with {code}" + (f": {last[0]}" if last else "")


def _argv(command: Any) -> list[str]:
    if isinstance(command, list):
        return [str(word) for word in command]
    shell = ["cmd", "/c"] if os.name == "nt" else ["/bin/sh", "-c"]
    return [*shell, str(command)]
