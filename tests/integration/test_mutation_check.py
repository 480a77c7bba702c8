"""The mutation check itself: what it calls found, and that it mends what it breaks."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.mutants.mutant import Mutant, StaleMutant
from tests.mutants.workshop import ROOT, Verdict, Workshop

FILE = "libs/common/runs.py"
RANDOM = Mutant(
    "random",
    "R15",
    FILE,
    "    return str(uuid5(NAMESPACE_OID, name))\n",
    "    return str(__import__('uuid').uuid1())\n",
    "unit/test_runs.py",
)
ENDLESS = replace(RANDOM, name="endless", new="    while True:\n        pass\n")
LONG_ENOUGH = 60.0


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    return Workshop(tmp_path_factory.mktemp("mutants"))


@pytest.mark.parametrize(
    ("mutant", "verdict"),
    [
        pytest.param(RANDOM, Verdict.FOUND, id="a rule is broken"),
        pytest.param(
            replace(RANDOM, old="import NAMESPACE_OID", new="import NOTHING, NAMESPACE_OID"),
            Verdict.BROKEN, id="nothing can be imported",
        ),
        pytest.param(
            replace(RANDOM, guards="unit/test_runs.py::test_of_nothing"), Verdict.BROKEN,
            id="the guard is gone",
        ),
        pytest.param(
            replace(RANDOM, old="from uuid import", new="from uuid  import"), Verdict.SURVIVED,
            id="nothing is changed, nor left of the breakages before",
        ),
    ],
)  # fmt: skip
def test_what_counts_as_found(workshop: Workshop, mutant: Mutant, verdict: Verdict) -> None:
    result = workshop.attempt(mutant, LONG_ENOUGH)
    assert result.verdict is verdict, result.output
    assert result.found == (verdict is Verdict.FOUND)
    assert result.found_by.startswith("tests/unit/test_runs.py::test_r15_") == result.found
    assert_mended(workshop)


@pytest.mark.parametrize("may_hang", [True, False])
def test_no_end_counts_only_where_it_is_said_so(workshop: Workshop, may_hang: bool) -> None:
    result = workshop.attempt(replace(ENDLESS, may_hang=may_hang), seconds=3.0)
    assert (result.verdict, result.found) == (Verdict.HUNG, may_hang)
    assert_mended(workshop)


@pytest.mark.parametrize(
    ("mutant", "error"),
    [
        pytest.param(replace(RANDOM, old="no such text"), StaleMutant, id="its text is gone"),
        pytest.param(replace(RANDOM, old="run"), StaleMutant, id="its text stands there twice"),
        pytest.param(replace(RANDOM, new="    return (\n"), SyntaxError, id="no program"),
    ],
)
def test_a_mutant_that_does_not_fit_is_an_error(
    workshop: Workshop, mutant: Mutant, error: type[Exception]
) -> None:
    with pytest.raises(error):
        workshop.attempt(mutant)
    assert_mended(workshop)


def assert_mended(workshop: Workshop) -> None:
    assert (workshop.tree / FILE).read_text() == (ROOT / FILE).read_text()
