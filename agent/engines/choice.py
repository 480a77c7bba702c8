"""Which engine the settings name, and the end of what an earlier agent left running."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

from agent import host
from agent.engines.command import CommandEngine
from agent.engines.hooks import HookedEngine
from agent.engines.process import KILL, find_leftover, forget_leftover
from agent.engines.restic import ResticEngine
from agent.settings import AgentSettings
from agent.state import StateDirectory
from agent.work import Engine
from libs.common.logging import get_logger

log = get_logger("agent")


def engine_of(settings: AgentSettings, files: StateDirectory) -> Engine:
    """Return the engine that does the jobs of this machine."""
    return HookedEngine(_bare_engine_of(settings, files))


def _bare_engine_of(settings: AgentSettings, files: StateDirectory) -> Engine:
    if settings.engine == "restic":
        patience = settings.lock_patience
        return ResticEngine(settings.restic, files.root, host.hostname(), patience)
    target = settings.target or files.archives
    return CommandEngine(settings.command, target, host.hostname(), settings.command_warnings)


async def end_leftover(note: Path, settings: AgentSettings) -> None:
    """End what a killed agent left running, and return when it is gone: nothing may run beside it.

    Its job is reported as interrupted.
    """
    leftover = find_leftover(note)
    if leftover is not None and leftover.signal(signal.SIGINT):
        log.warning("leftover_program_ended", pid=leftover.pid)
        try:
            async with asyncio.timeout(settings.stop_grace.total_seconds()):
                await leftover.gone()
        except TimeoutError:
            leftover.signal(KILL)
    forget_leftover(note)  # Not before: this agent may be killed, too.
