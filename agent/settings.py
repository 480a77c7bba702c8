"""The agent's settings: variables DORMICE_AGENT_…, or the table [agent] of a TOML file."""

from __future__ import annotations

import os
import shlex
from datetime import timedelta
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, model_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from libs.common.settings import DormiceSettings, Duration


def _split(value: object) -> object:
    return shlex.split(value) if isinstance(value, str) else value


def _numbers(value: object) -> object:
    return [int(part) for part in value.split(",")] if isinstance(value, str) else value


Argv = Annotated[list[str], NoDecode, BeforeValidator(_split)]
ExitCodes = Annotated[list[int], NoDecode, BeforeValidator(_numbers)]


def default_state_directory() -> Path:
    """Return where the agent keeps its state: the system's place for root, else the user's."""
    if os.name == "nt":
        return Path(os.environ.get("PROGRAMDATA", "C:/ProgramData")) / "dormice-agent"
    if os.geteuid() == 0:
        return Path("/var/lib/dormice-agent")
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "dormice-agent"


class AgentSettings(DormiceSettings):
    """How one agent behaves. The times are the contract's; tests and the demo shorten them."""

    model_config = SettingsConfigDict(env_prefix="DORMICE_AGENT_")
    config_section: ClassVar[str | None] = "agent"

    state: Path = Field(default_factory=default_state_directory)
    gateway: str | None = None  # Instead of the URL stored at enrollment.
    ca: Path | None = None  # Certificates to trust instead of the system's.
    log_level: str = "info"
    log_form: Literal["auto", "json", "console"] = "auto"

    engine: Literal["restic", "command"] = "restic"
    restic: str = "restic"
    command: Argv = Field(default_factory=list)
    command_warnings: ExitCodes = Field(
        default_factory=list
    )  # Exit codes that mean "done, with warnings".
    target: Path | None = None  # Where {target} of the command lies; default STATE/archives.

    backoff_min: Duration = timedelta(seconds=1)
    backoff_max: Duration = timedelta(seconds=60)
    open_timeout: Duration = timedelta(seconds=60)
    token_retry: Duration = timedelta(minutes=5)  # After 4401 and 4426: slowly, for ever.
    silence_intervals: float = 2.5  # Heartbeat intervals without a frame before the agent hangs up.

    autonomy_after: Duration = timedelta(seconds=60)
    awake_tolerance: Duration = timedelta(seconds=60)
    clock_slice: Duration = timedelta(seconds=15)
    clock_gap: Duration = timedelta(seconds=30)  # A longer jump of the clock was sleep.
    stop_grace: Duration = timedelta(seconds=5)  # For restic to end by itself when asked to.
    job_timeout: Duration = timedelta(days=3)  # Of a job for which the server names none.
    lock_patience: Duration = timedelta(minutes=5)  # For a repository that another has locked.

    spool_bytes: Annotated[int, Field(ge=4096)] = 16 * 1024 * 1024
    in_flight: Annotated[int, Field(ge=1, le=100)] = 100
    keep_ids: Duration = timedelta(days=45)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.engine == "command" and not self.command:
            raise ValueError(
                "DORMICE_AGENT_COMMAND must be set for engine command, such as"
                " `tar -czf {target}.tar.gz {includes}`"
            )
        if self.backoff_min > self.backoff_max or self.backoff_min <= timedelta():
            raise ValueError("DORMICE_AGENT_BACKOFF_MIN must be above 0 and at most BACKOFF_MAX")
        return self
