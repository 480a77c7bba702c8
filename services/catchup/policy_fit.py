"""Which overdue pair a host starts with, by what usually fits into its stays: pure.

A laptop that is open for a quarter of an hour at a time never ends a run of an hour, and what
stands behind that on its list would never be backed up. So if any run of the list usually does not
fit into the time that the host stays, the smallest goes first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from services.catchup.policy import Pair


@dataclass(frozen=True, slots=True)
class Habit:
    """How long a host usually stays online, and what a run of each source group usually takes.

    None, or no entry: nothing is known.
    """

    stay: timedelta | None
    runs: Mapping[str, timedelta]


def learn_cut(usual: timedelta | None, stay: timedelta) -> timedelta:
    """Return what a run usually takes, now that one was cut off: no less than the usual stay."""
    return stay if usual is None else max(usual, stay)


def fits(pair: Pair, habit: Habit, settle: timedelta) -> bool:
    """Say whether a run of the pair usually ends before its host leaves. Who is not known fits."""
    run = habit.runs.get(pair.source_group_id)
    return run is None or habit.stay is None or settle + run <= habit.stay


def order_by_fit(pairs: Sequence[Pair], habit: Habit, settle: timedelta) -> list[Pair]:
    """Return the pairs in the order in which they are asked for: as they are, if all fit; else the
    smallest first. One whose run was never seen may be small: it is tried before."""
    if all(fits(pair, habit, settle) for pair in pairs):
        return list(pairs)
    return sorted(pairs, key=lambda pair: habit.runs.get(pair.source_group_id, timedelta()))
