"""Copies of the source tree in which mutants are tried. The checkout itself is never touched."""

from __future__ import annotations

import os
import re
import shutil
import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from importlib.util import cache_from_source
from pathlib import Path

from tests.mutants.forked import FORKS, run_pytest
from tests.mutants.mutant import Mutant

ROOT = Path(__file__).parents[2]
COPIED = ("libs", "services", "agent", "cli", "tests", "pyproject.toml")
SECONDS_PER_MUTANT = 90.0
SECONDS_FOR_ALL_GUARDS = 600.0

_PASSED, _FAILED = 0, 1  # pytest's exit codes; others mean that it could not run the tests
_FAILED_LINE = re.compile(r"^FAILED (.+?)(?: - .*)?$", re.MULTILINE)


class Verdict(Enum):
    """What the guards made of a mutant."""

    FOUND = "a test failed"
    SURVIVED = "every guard passed: a test is missing"
    HUNG = "the guards came to no end"
    BROKEN = "the tests could not be run: that proves nothing"


@dataclass(frozen=True, slots=True)
class Ran:
    """How pytest ended: its exit code (None: it had to be killed), and what it said."""

    code: int | None
    output: str
    seconds: float

    @property
    def passed(self) -> bool:
        return self.code == _PASSED


@dataclass(frozen=True, slots=True)
class Result:
    """A mutant's fate. `found_by` is the first test that failed."""

    mutant: Mutant
    verdict: Verdict
    seconds: float
    found_by: str = ""
    output: str = ""

    @property
    def found(self) -> bool:
        hung = self.verdict is Verdict.HUNG and self.mutant.may_hang
        return hung or self.verdict is Verdict.FOUND


class Workshop:
    """One copy of the tree, in a folder of its own that the caller removes."""

    def __init__(self, folder: Path, source: Path = ROOT) -> None:
        """`source`: the checkout, or the copy of another workshop, with what it has compiled."""
        self.tree = folder / "tree"
        self._temporary = folder / "tmp"
        self._output = folder / "output"
        ignored = shutil.ignore_patterns(".*") if source != ROOT else _not_source
        for name in COPIED:
            if (source / name).is_dir():
                shutil.copytree(source / name, self.tree / name, ignore=ignored)
            else:
                shutil.copy2(source / name, self.tree / name)

    def attempt(self, mutant: Mutant, seconds: float = SECONDS_PER_MUTANT) -> Result:
        """Break the copy, ask the guards, mend it. Raises: StaleMutant, SyntaxError."""
        file = self.tree / mutant.file
        text = file.read_text()
        self._write(file, mutant.apply(text))
        try:
            ran = self.run(mutant.guard_ids, seconds)
        finally:
            self._write(file, text)
        return judge(mutant, ran)

    def run(self, guards: Iterable[str], seconds: float) -> Ran:
        """Run tests in the copy until one fails."""
        arguments = [f"--basetemp={self._temporary}", *guards]
        child = FORKS.Process(target=run_pytest, args=(self.tree, arguments, self._output))
        self._output.write_text("")  # Nothing of an earlier run is taken for this one's.
        started = time.monotonic()
        child.start()
        child.join(seconds)
        code = child.exitcode
        if code is None and child.pid is not None:
            os.killpg(child.pid, signal.SIGKILL)
            child.join()
        output = self._output.read_text(errors="replace")
        return Ran(code, output, time.monotonic() - started)

    def _write(self, file: Path, text: str) -> None:
        """A compiled file counts as current if time and size agree, which they may by chance."""
        Path(cache_from_source(str(file))).unlink(missing_ok=True)
        file.write_text(text)


def judge(mutant: Mutant, ran: Ran) -> Result:
    """Say what a run of the guards means. Only a test that failed has found anything."""
    failed = _FAILED_LINE.search(ran.output)
    if ran.code is None:
        verdict = Verdict.HUNG
    elif ran.code == _PASSED:
        verdict = Verdict.SURVIVED
    else:
        verdict = Verdict.FOUND if ran.code == _FAILED and failed else Verdict.BROKEN
    found_by = failed[1] if failed and verdict is Verdict.FOUND else ""
    return Result(mutant, verdict, ran.seconds, found_by, ran.output)


def _not_source(folder: str, names: list[str]) -> set[str]:
    return {name for name in names if name == "__pycache__" or name.startswith(".")}
