"""Finds the shortest beginning of a world's troubles with which it still fails."""

from __future__ import annotations

from dataclasses import replace

from cli.simulator.play import Plan, Result, play


def shrink(failed: Result, plan: Plan) -> tuple[Plan, Result]:
    """Return the plan with the fewest troubles that still fails, and what it came to.

    Assumes that a failure stays one when more goes wrong; where that is not so, the answer still
    fails, but may not be the shortest.
    """
    low, high = 0, len(failed.troubles)
    found, result = replace(plan, limit=high), failed
    while low < high:
        middle = (low + high) // 2
        shorter = replace(plan, limit=middle)
        tried = play(failed.seed, shorter)
        if tried.failure:
            high, found, result = middle, shorter, tried
        else:
            low = middle + 1
    return found, result
