"""The real thing: restic, with nothing secret in an argument.

Password and repository reach restic by files (RESTIC_PASSWORD_FILE, RESTIC_REPOSITORY_FILE, mode
0600), cloud keys by its environment. What is done for each kind of job is in `restic_kinds`.
"""

from __future__ import annotations

import hashlib
from datetime import timedelta
from pathlib import Path

from agent.engines import restic_reasons as reasons
from agent.engines.environment import plain_environment
from agent.engines.restic_kinds import KINDS, Task
from agent.engines.restic_voice import Restic
from agent.engines.secrets import Cleaner
from agent.files import make_private_directory, write_private
from agent.work import Listener, Outcome, Process, Stopped, Work
from libs.common.errors import BadInput
from libs.common.protocol import FailureReason, RepositoryConfig, RunStatus

OURS = ("RESTIC_PASSWORD", "RESTIC_REPOSITORY", "LD_", "DYLD_", "PATH")


class ResticEngine:
    """Runs restic for one agent; `state` is where the secret files lie.

    `patience`: how long a job waits for a repository that another has locked.
    """

    kinds = frozenset(KINDS)

    def __init__(
        self, program: str, state: Path, hostname: str, patience: timedelta = timedelta()
    ) -> None:
        self._program = program
        self._folder = state / "restic"
        self._hostname = hostname
        self._patience = patience
        self._version: tuple[int, int] | None = None
        self._is_looked_at = False

    async def perform(self, work: Work, process: Process, listener: Listener) -> Outcome:
        if work.repository is None:
            said = "no repository is configured for this host"
            return _failed(said, FailureReason.REPOSITORY_ABSENT)
        try:
            return await self._perform(work, work.repository, process, listener)
        except BadInput as error:
            return _failed(error.message)
        except FileNotFoundError:
            said = f"{self._program} is not installed here; Debian's package is: restic"
            return _failed(said, FailureReason.PROGRAM_MISSING)
        except PermissionError:
            said = f"{self._program} may not be executed by this user"
            return _failed(said, FailureReason.PROGRAM_MISSING)
        except Stopped:
            return Outcome(RunStatus.CANCELLED, error="stopped before restic was started")

    async def _perform(
        self, work: Work, repository: RepositoryConfig, process: Process, listener: Listener
    ) -> Outcome:
        environment = self._environment(repository)
        restic = Restic(self._program, process, environment, listener, Cleaner(repository))
        problem = await self._find_problem(restic)
        if problem is not None:
            return restic.refused(problem, reason=FailureReason.PROGRAM_TOO_OLD)
        if work.attempt > 1:
            await restic.remove_stale_locks()
        task = Task(
            work, restic, self._hostname, self._patience, self._version, self._marker(repository)
        )
        return await KINDS[work.kind](task)

    async def _find_problem(self, restic: Restic) -> str | None:
        """Look once whether this restic is new enough; what was fine stays so."""
        if not self._is_looked_at:
            _, lines = await restic.read("version")
            self._version = reasons.version_of(lines[0]) if lines else None
            problem = reasons.find_version_problem(self._version)
            self._is_looked_at = problem is None
            return problem
        return None

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

    def _marker(self, repository: RepositoryConfig) -> Path:
        """Its presence says that this agent has used the repository."""
        name = hashlib.sha256(repository.url.encode()).hexdigest()[:32]
        return self._folder / f"used-{name}"


def _failed(error: str, reason: FailureReason | None = None) -> Outcome:
    return Outcome(RunStatus.FAILED, error=error, reason=reason)
