"""A real healthchecks where there is one.

It is no package, so nobody has it by accident: DORMICE_BENCH_HEALTHCHECKS names a folder with its
source and, in `.venv`, what its `requirements.txt` lists and uWSGI.
"""

from __future__ import annotations

import asyncio
import os
from asyncio.subprocess import PIPE
from pathlib import Path

VARIABLE = "DORMICE_BENCH_HEALTHCHECKS"
SETTINGS = {
    "DEBUG": "False", "SECRET_KEY": "bench", "ALLOWED_HOSTS": "*", "PYTHONUNBUFFERED": "1",
    "INTEGRATIONS_ALLOW_PRIVATE_IPS": "True",
}  # fmt: skip
MAKE_CHECKS = """
from django.contrib.auth.models import User
from hc.accounts.models import Project
from hc.api.models import Check
owner = User.objects.create(username="bench", email="bench@example.org")
project = Project.objects.create(owner=owner)
checks = [Check.objects.create(project=project) for _ in range({count})]
print(*(check.code for check in checks))
"""


def source() -> Path | None:
    """Return the folder that has it, None where nobody named one."""
    named = os.environ.get(VARIABLE)
    return Path(named).absolute() if named else None


class Healthchecks:
    """One with an empty SQLite database in `folder`."""

    def __init__(self, code: Path, folder: Path) -> None:
        self.code = code
        self.environment = {**os.environ, **SETTINGS, "DB_NAME": str(folder / "hc.sqlite")}
        self.manage = (code / ".venv/bin/python3", "manage.py")

    async def make_checks(self, count: int, more: str = "") -> list[str]:
        """Make the database and so many checks, and run `more` of `project` and `checks`; return
        the codes of the checks. Raises: RuntimeError."""
        await self._run("migrate", "-v0")
        script = MAKE_CHECKS.format(count=count) + more
        codes = (await self._run("shell", "-v0", told=script)).split()
        assert len(codes) == count, codes
        return codes

    async def _run(self, *words: str, told: str = "") -> str:
        """Run one of its management commands."""
        process = await asyncio.create_subprocess_exec(
            *self.manage, *words,
            cwd=self.code, env=self.environment, stdin=PIPE, stdout=PIPE, stderr=PIPE,
        )  # fmt: skip
        out, error = await process.communicate(told.encode())
        if process.returncode:
            raise RuntimeError(f"healthchecks' {words[0]} failed: {error.decode()[-500:]}")
        return out.decode()
