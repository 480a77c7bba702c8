"""Inputs that say what became of effects; those that come together may be decided together.

One that was dropped or replaced meanwhile is ignored.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from libs.common.loop.machine import Machine
from libs.common.loop.step import Ended, Work
from libs.common.loop.tx import Tx


@dataclass(frozen=True, slots=True)
class Outcome:
    """The input that ends one effect."""

    machine: Machine
    ended: Ended

    @property
    def kind(self) -> str:
        return self.ended.effect.kind

    def __call__(self, tx: Tx) -> None:
        effect = self.ended.effect
        gone = tx.db.execute("DELETE FROM effect WHERE row_id = ?", (effect.row_id,))
        if gone.rowcount:
            self.machine.outcomes[effect.kind](tx, effect.key, effect.payload, self.ended.outcome)


@dataclass(frozen=True, slots=True)
class Outcomes:
    """The same for several effects of a kind, in the order in which they ended."""

    machine: Machine
    kind: str
    ended: Sequence[Ended]

    def __call__(self, tx: Tx) -> None:
        first = {one.effect.row_id: one for one in reversed(self.ended)}
        gone = tx.db.execute(
            "DELETE FROM effect WHERE row_id IN (SELECT value FROM json_each(?)) RETURNING row_id",
            (json.dumps(list(first)),),
        )
        rows = {row_id for (row_id,) in gone}
        there = [one for row_id, one in reversed(first.items()) if row_id in rows]
        if there:
            self.machine.outcomes_of_many[self.kind](tx, there)


def in_parts(inputs: Sequence[Work]) -> Iterator[tuple[Work | None, Sequence[Work]]]:
    """Cut inputs, in order, into what can be decided at once (None: nothing can) and its parts."""
    for kind, run in groupby(inputs, key=_kind_of_many):
        works = list(run)
        outcomes = [work for work in works if isinstance(work, Outcome)]
        if kind and len(works) > 1:
            ended = [work.ended for work in outcomes]
            yield Outcomes(outcomes[0].machine, kind, ended), works
        else:
            yield None, works


def _kind_of_many(work: Work) -> str:
    """Return the kind of an effect that is decided together with others; else nothing."""
    if isinstance(work, Outcome) and work.kind in work.machine.outcomes_of_many:
        return work.kind
    return ""
