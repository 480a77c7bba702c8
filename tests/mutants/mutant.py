"""A deliberate breakage of one rule or idea, and the tests that must notice it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

RULES = tuple(f"R{number}" for number in range(1, 21))

IDEAS = {
    "pure-core": "policies read no clock and do no I/O",
    "one-transaction": "state, emitted events and position are committed together",
    "outbox": "what was decided is sent, first-in first-out, once",
    "contiguity": "a reader that may have missed a message is dropped",
    "re-bootstrap": "a log that is not the one we knew is noticed",
    "deadlines": "what is due is decided only once the log has been read to its tail",
    "repositories": "one job at a time locks a repository, and no stale lock keeps another out",
    "silences": "who is silenced is told to nobody until no silence covers it, then once",
    "pace": "what a channel may not be told now is told in one message as soon as it may",
    "effects": "what happens outside is a row, carried out after the commit, once",
    "one-hop": "a batch is one hop to the database thread",
    "turns": "one step at a time in a process, those that somebody waits for first",
    "two-worlds": "the log in memory keeps the promises of the real one",
}
"""The ideas that carry the architecture, each as what a breakage of it would deny."""


class StaleMutant(Exception):
    """The text that a mutant replaces does not stand in its file exactly once."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """One breakage: `old`, which stands in `file` exactly once, becomes `new`.

    `breaks`: rules and ideas, separated by blanks. `guards`: the tests that must notice, as pytest
    names them, below `tests/`. `may_hang`: to come to no end is a way of noticing, too.
    """

    name: str
    breaks: str
    file: str
    old: str
    new: str
    guards: str
    may_hang: bool = False

    @property
    def broken(self) -> frozenset[str]:
        return frozenset(self.breaks.split())

    @property
    def guard_ids(self) -> tuple[str, ...]:
        return tuple(f"tests/{guard}" for guard in self.guards.split())

    def apply(self, text: str) -> str:
        """Return the file's text with the breakage in it. Raises: StaleMutant, SyntaxError."""
        found = text.count(self.old)
        if found != 1:
            raise StaleMutant(f"{self.name}: its text stands {found} times in {self.file}")
        broken = text.replace(self.old, self.new)
        if Path(self.file).suffix == ".py":
            compile(broken, self.file, "exec", dont_inherit=True)
        return broken
