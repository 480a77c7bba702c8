"""The agent as the process that is always there: without Typer, so that it stays small."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from libs.common.errors import DormiceError


def run(state: Path | None, config: Path | None) -> None:
    """Run the agent until SIGTERM or Ctrl-C. Raises: SettingsError, NotEnrolled, AgentRunning,
    StateUnusable."""
    from agent.app import Agent
    from agent.settings import AgentSettings
    from agent.state import StateDirectory
    from libs.common import logging

    settings = AgentSettings.load(config, state=state)
    files = StateDirectory(settings.state)
    files.prepare()
    logging.configure(level=settings.log_level, form=settings.log_form, file=files.log)
    asyncio.run(Agent(settings).run())


def main(words: list[str]) -> int:
    """`python -m agent run [--state DIR] [--config FILE]`; return the exit code."""
    parser = argparse.ArgumentParser(
        "python -m agent run", description="Run the agent until SIGTERM or Ctrl-C."
    )
    parser.add_argument("--state", type=Path, help="Directory of the agent's state.")
    parser.add_argument("--config", type=Path, help="TOML file, table [agent].")
    given = parser.parse_args(words)
    try:
        run(given.state, given.config)
    except DormiceError as error:
        sys.stderr.write(f"error: {error.message}\n")
        return 1
    return 0
