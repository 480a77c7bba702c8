"""The mutation check: breaks the code on purpose, one rule at a time; the tests must notice.

    python -m tests.mutants              every mutant
    python -m tests.mutants NAME…        these
    python -m tests.mutants --list       what there is

Exit 0: all were found. 1: one was not, so a test is missing. 2: nothing was proved (a guard fails
without any mutant, or a mutant no longer fits the code).
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory

from tests.mutants import report
from tests.mutants.catalogue import MUTANTS
from tests.mutants.mutant import Mutant, StaleMutant
from tests.mutants.workshop import (
    ROOT,
    SECONDS_FOR_ALL_GUARDS,
    Result,
    Verdict,
    Workshop,
)

ALL_FOUND, SURVIVOR, NOTHING_PROVED = 0, 1, 2


def main() -> int:
    options = _options()
    by_name = {mutant.name: mutant for mutant in MUTANTS}
    unknown = [name for name in options.names if name not in by_name]
    if unknown:
        print(f"no mutant is called {', '.join(unknown)}; see --list", file=sys.stderr)
        return NOTHING_PROVED
    chosen = [by_name[name] for name in options.names] or list(MUTANTS)
    if options.list:
        print("\n".join(report.listed(mutant) for mutant in chosen))
        return ALL_FOUND
    try:
        for mutant in chosen:
            mutant.apply((ROOT / mutant.file).read_text())
    except (StaleMutant, SyntaxError) as error:
        print(error, file=sys.stderr)
        return NOTHING_PROVED
    with TemporaryDirectory(prefix="dormice-mutants-") as folder:
        return _check(chosen, Path(folder), options)


def _options() -> argparse.Namespace:
    as_written = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("tests.mutants", None, __doc__, formatter_class=as_written)
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these")
    parser.add_argument("--list", action="store_true", help="show the mutants, try none")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result there, too")
    parser.add_argument("--jobs", type=int, choices=(1, 2), default=2, help="at once (default 2)")
    return parser.parse_args()


def _check(chosen: Sequence[Mutant], folder: Path, options: argparse.Namespace) -> int:
    started = time.monotonic()
    first = Workshop(folder / "0")
    guards = list(dict.fromkeys(guard for mutant in chosen for guard in mutant.guard_ids))
    ran = first.run(guards, SECONDS_FOR_ALL_GUARDS)
    if not ran.passed:
        print(f"the guards fail without any mutant:\n{report.last_lines(ran.output)}")
        return NOTHING_PROVED
    print(f"the guards pass without any mutant, in {ran.seconds:.0f} s\n\n{report.head()}")
    others = [Workshop(folder / str(n), first.tree) for n in range(1, options.jobs)]
    results = []
    for result in _try_all(chosen, [first, *others]):
        results.append(result)
        print(report.line(result), flush=True)
        if result.verdict is Verdict.BROKEN:
            print(report.last_lines(result.output))
    return _conclude(chosen, results, time.monotonic() - started, options.json)


def _try_all(chosen: Sequence[Mutant], workshops: Sequence[Workshop]) -> Iterator[Result]:
    free: SimpleQueue[Workshop] = SimpleQueue()
    for workshop in workshops:
        free.put(workshop)

    def attempt(mutant: Mutant) -> Result:
        workshop = free.get()
        try:
            return workshop.attempt(mutant)
        finally:
            free.put(workshop)

    with ThreadPoolExecutor(len(workshops)) as pool:
        for future in as_completed([pool.submit(attempt, mutant) for mutant in chosen]):
            yield future.result()


def _conclude(
    chosen: Sequence[Mutant], results: Sequence[Result], seconds: float, path: Path | None
) -> int:
    order = {mutant.name: place for place, mutant in enumerate(chosen)}
    results = sorted(results, key=lambda result: order[result.mutant.name])
    print(f"\n{report.total(results, seconds)}")
    for result in results:
        if not result.found:
            print(
                f"not found: {result.mutant.name} ({result.mutant.breaks}), {result.verdict.value}"
            )
    if path is not None:
        report.write_json(path, results, seconds)
    if any(result.verdict is Verdict.BROKEN for result in results):
        return NOTHING_PROVED
    return ALL_FOUND if all(result.found for result in results) else SURVIVOR


if __name__ == "__main__":
    sys.exit(main())
