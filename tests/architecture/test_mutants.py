"""The list of deliberate breakages fits the code and the tests as they are now."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.mutants.catalogue import MUTANTS
from tests.mutants.mutant import IDEAS, RULES, Mutant
from tests.mutants.workshop import COPIED, ROOT, Ran, Verdict, judge


def name_of(mutant: Mutant) -> str:
    return mutant.name


@pytest.mark.parametrize("mutant", MUTANTS, ids=name_of)
def test_a_mutant_fits_its_file(mutant: Mutant) -> None:
    """Its text stands there exactly once, and what it becomes is a program, another one."""
    assert mutant.file.partition("/")[0] in COPIED
    text = (ROOT / mutant.file).read_text()
    assert mutant.apply(text) != text


def test_no_mutant_names_what_is_not_there(tmp_path: Path) -> None:
    """That would turn tests red without breaking the rule."""
    for mutant in MUTANTS:
        broken = mutant.apply((ROOT / mutant.file).read_text())
        (tmp_path / mutant.name).with_suffix(".py").write_text(broken)
    look = [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "F821", str(tmp_path)]
    found = subprocess.run(look, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout


@pytest.mark.parametrize("mutant", MUTANTS, ids=name_of)
def test_a_mutant_has_guards_that_exist(mutant: Mutant) -> None:
    assert mutant.guard_ids
    for guard in mutant.guard_ids:
        path, _, test = guard.partition("::")
        assert test.partition("[")[0] in defined_in(path), guard


@cache
def defined_in(path: str) -> frozenset[str]:
    """Return the names of a file's tests; that of the whole file is empty."""
    return frozenset({"", *_functions(ROOT / path)})


def _functions(path: Path) -> Iterator[str]:
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name


def test_every_rule_and_idea_is_broken_once() -> None:
    assert frozenset[str]().union(*(mutant.broken for mutant in MUTANTS)) == {*RULES, *IDEAS}
    names = [mutant.name for mutant in MUTANTS]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("code", "output", "verdict"),
    [
        pytest.param(1, "FAILED tests/a.py::test_b[c d] - no", Verdict.FOUND, id="a test failed"),
        pytest.param(0, "1 passed", Verdict.SURVIVED, id="nobody noticed"),
        pytest.param(1, "ERROR tests/a.py::test_b - no", Verdict.BROKEN, id="no test failed"),
        pytest.param(2, "FAILED tests/a.py::test_b", Verdict.BROKEN, id="pytest was interrupted"),
        pytest.param(4, "no such file", Verdict.BROKEN, id="the guard does not exist"),
        pytest.param(-9, "", Verdict.BROKEN, id="pytest was killed by someone else"),
        pytest.param(None, "", Verdict.HUNG, id="out of time"),
    ],
)
def test_only_a_test_that_failed_has_found_something(
    code: int | None, output: str, verdict: Verdict
) -> None:
    result = judge(MUTANTS[0], Ran(code, output, 1.0))
    assert result.verdict is verdict
    assert result.found == (verdict is Verdict.FOUND)
    assert result.found_by == ("tests/a.py::test_b[c d]" if result.found else "")
