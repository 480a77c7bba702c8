"""`dormice agent install`: writes what starts the agent with the machine."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from agent import host
from agent.errors import InstallRefused
from agent.install import Installation, installation
from agent.settings import AgentSettings
from agent.state import StateDirectory

MODE = 0o644


def own_command(settings: AgentSettings, config: Path | None) -> list[str]:
    """Return the command that runs this agent, whatever the folder and the environment."""
    command = [sys.executable, "-P", "-m", "agent", "run", "--state", str(settings.state.resolve())]
    return command if config is None else [*command, "--config", str(config.resolve())]


def plan(settings: AgentSettings, config: Path | None, *, user: bool) -> Installation:
    """Say what would be written. `user`: for this user alone, as it is for who is not root."""
    home = Path.home() if user or not _is_root() else None
    return installation(host.system(), own_command(settings, config), home=home)


def install(settings: AgentSettings, wanted: Installation) -> str:
    """Write it, and say what was done. Raises: NotEnrolled, InstallRefused."""
    StateDirectory(settings.state).get_identity()
    if wanted.path is None:
        raise InstallRefused("nothing to write on this system: use --print, and type what it says")
    try:
        before = wanted.path.read_text("utf-8") if wanted.path.exists() else None
        if before == wanted.text:
            return f"{wanted.path} is as it should be"
        wanted.path.parent.mkdir(parents=True, exist_ok=True)
        wanted.path.write_text(wanted.text, "utf-8")
        wanted.path.chmod(MODE)
    except (OSError, UnicodeDecodeError) as error:
        said = getattr(error, "strerror", None) or error
        raise InstallRefused(f"cannot write {wanted.path}: {said}") from None
    return f"{'wrote' if before is None else 'replaced'} {wanted.path}"


def _is_root() -> bool:
    return os.name == "nt" or os.geteuid() == 0
