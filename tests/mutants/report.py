"""What a run of the mutation check tells: a line each, a total, and JSON beside it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from tests.mutants.catalogue import MUTANTS
from tests.mutants.mutant import Mutant
from tests.mutants.workshop import Result

NAME_WIDTH = max(len(mutant.name) for mutant in MUTANTS)
BREAKS_WIDTH = max(len(mutant.breaks) for mutant in MUTANTS)
LAST_LINES = 25


def head() -> str:
    return f"{'mutant':{NAME_WIDTH}}  {'breaks':{BREAKS_WIDTH}}  seconds  found by"


def line(result: Result) -> str:
    mutant = result.mutant
    how = result.found_by or f"{result.verdict.name}: {result.verdict.value}"
    return (
        f"{mutant.name:{NAME_WIDTH}}  {mutant.breaks:{BREAKS_WIDTH}}  {result.seconds:7.1f}  {how}"
    )


def listed(mutant: Mutant) -> str:
    return f"{mutant.name:{NAME_WIDTH}}  {mutant.breaks:{BREAKS_WIDTH}}  {mutant.file}"


def total(results: Sequence[Result], seconds: float) -> str:
    found = sum(result.found for result in results)
    return f"{found} of {len(results)} mutants found in {seconds:.0f} s"


def last_lines(output: str) -> str:
    return "\n".join(output.splitlines()[-LAST_LINES:])


def write_json(path: Path, results: Sequence[Result], seconds: float) -> None:
    body = {
        "found": sum(result.found for result in results),
        "total": len(results),
        "seconds": round(seconds, 1),
        "mutants": [
            {
                "name": result.mutant.name,
                "breaks": sorted(result.mutant.broken),
                "file": result.mutant.file,
                "verdict": result.verdict.name.lower(),
                "found": result.found,
                "found_by": result.found_by,
                "seconds": round(result.seconds, 1),
            }
            for result in results
        ],
    }
    path.write_text(json.dumps(body, indent=2) + "\n")
