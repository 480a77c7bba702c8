"""What the agent knows across restarts, besides its database: identity, configuration, status.

identity.json   host id, agent token, gateway       0600
config.json     the configuration applied last      0600: it holds the repository's password
status.json     what `dormice agent status` shows   no secret in it
agent.db        spool, jobs, fires (store.py)
agent.log       the log, JSON lines
lock            held while an agent runs
"""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import IO, Any, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from agent.errors import AgentRunning, DamagedFile, NotEnrolled, StateUnusable
from agent.files import make_private_directory, write_private
from libs.common.protocol import Config

Model = TypeVar("Model", bound=BaseModel)


class Identity(BaseModel):
    """Who this agent is, from its enrollment."""

    model_config = ConfigDict(frozen=True)

    host_id: str
    agent_token: str
    gateway: str


class AppliedConfig(BaseModel):
    """A configuration and since when it holds here: older fires are none of its business."""

    config: Config
    applied_at: AwareDatetime


class _Status(BaseModel):
    root: dict[str, Any]


WHAT_TO_DO: dict[type[BaseModel], str] = {
    Identity: "remove it and enroll again: dormice agent enroll URL",
    AppliedConfig: "the gateway sends it again when the agent connects",
    _Status: "the agent writes it again when it runs",
}


class StateDirectory:
    """The files of one agent."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.database = root / "agent.db"
        self.log = root / "agent.log"
        self.archives = root / "archives"
        self._lock: IO[str] | None = None

    def prepare(self) -> None:
        make_private_directory(self.root)

    def lock(self) -> None:
        """Claim the directory for this process, for its lifetime. Raises AgentRunning."""
        try:
            self._lock = (self.root / "lock").open("a+")
        except OSError as error:
            raise StateUnusable(f"cannot open {self.root / 'lock'}: {error.strerror}") from None
        if not _try_lock(self._lock):
            self.unlock()
            raise AgentRunning(f"another agent runs with {self.root}")

    def unlock(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def is_running(self) -> bool:
        """Say whether an agent holds this directory now."""
        try:
            with (self.root / "lock").open("r+") as file:
                return not _try_lock(file)
        except OSError:
            return False

    def get_identity(self) -> Identity:
        """Raises NotEnrolled, StateUnusable."""
        text = self._read("identity.json")
        if text is None:
            raise NotEnrolled(f"not enrolled ({self.root}); run: dormice agent enroll URL")
        return _parsed(Identity, text, self.root / "identity.json")

    def put_identity(self, identity: Identity) -> None:
        write_private(self.root / "identity.json", identity.model_dump_json())

    def find_config(self) -> AppliedConfig | None:
        """Raises DamagedFile, StateUnusable."""
        text = self._read("config.json")
        return None if text is None else _parsed(AppliedConfig, text, self.root / "config.json")

    def put_config(self, config: Config, now: datetime) -> None:
        applied = AppliedConfig(config=config, applied_at=now)
        write_private(self.root / "config.json", applied.model_dump_json())

    def forget_config(self) -> None:
        (self.root / "config.json").unlink(missing_ok=True)

    def find_status(self) -> dict[str, Any] | None:
        text = self._read("status.json")
        return None if text is None else _parsed(_Status, text, self.root / "status.json").root

    def put_status(self, status: dict[str, Any]) -> None:
        write_private(self.root / "status.json", _Status(root=status).model_dump_json())

    def _read(self, name: str) -> str | None:
        path = self.root / name
        try:
            return path.read_text("utf-8")
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StateUnusable(f"cannot read {path}: {error.strerror}") from None
        except UnicodeDecodeError:
            raise DamagedFile(f"{path} is damaged; it is not text") from None


def _parsed(model: type[Model], text: str, path: Path) -> Model:
    try:
        return model.model_validate_json(text)
    except ValidationError:
        raise DamagedFile(f"{path} is damaged; {WHAT_TO_DO[model]}") from None


def _try_lock(file: IO[str]) -> bool:
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
