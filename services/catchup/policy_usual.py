"""What is usual, learned from one time after the other: pure."""

from __future__ import annotations

from datetime import timedelta

OF_FLEET = 0.1
OF_HOST = 0.5
"""How much one more time changes what is usual: slowly for the runs of a whole fleet, half way for
one host, whose habits change with the season."""


def learn(usual: timedelta | None, took: timedelta, weight: float) -> timedelta:
    """Return what is usual, now that it was `took` once more; `usual` None: it is the first."""
    return took if usual is None else usual + (took - usual) * weight
