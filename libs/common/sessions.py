"""Which of a host's sessions is the newer one (R3): pure, and the same for all who read hellos.

The gateway decides it too, where hellos come in (`services/gateway/policy.py`): there a hello may
have come before a session that is already known.
"""

from __future__ import annotations

from enum import Enum


class HelloVerdict(Enum):
    """What a hello means for its host."""

    NEWER = "the first session, or a newer one"
    KNOWN = "this session has said hello before"
    OLDER = "an older connection came late, or its counter is taken"


def assess_hello(current: int | None, connection: int | None, *, known: bool) -> HelloVerdict:
    """Say whether a hello with `connection` opens a newer session than that of `current`.

    The larger counter is newer, and the first to use one has it; if either has none, or there was
    no session yet (`current` None), the order in the log decides. `known`: this session said hello
    before, so that order says nothing about it.
    """
    if known:
        return HelloVerdict.KNOWN
    if current is not None and connection is not None and connection <= current:
        return HelloVerdict.OLDER
    return HelloVerdict.NEWER
