"""Ids: unique for ever, sortable by time. The one place that makes them."""

from __future__ import annotations

import secrets
from datetime import datetime
from random import Random

from ulid import ULID

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]
_SHIFTS = range(120, -10, -10)
_RANDOM_BITS = 80


def new_id() -> str:
    """Return a new ULID."""
    return str(ULID())


def new_secret() -> str:
    """Return 256 random bits, URL-safe: the form of every token."""
    return secrets.token_urlsafe(32)


_SYSTEM = secrets.SystemRandom()


class IdSource:
    """ULIDs from a given random source, so that a simulation repeats exactly."""

    def __init__(self, random: Random | None = None) -> None:
        self._random = random

    def next(self, now: datetime) -> str:
        """Return an id that carries `now`."""
        source = self._random or _SYSTEM
        value = int(now.timestamp() * 1000) << _RANDOM_BITS | source.getrandbits(_RANDOM_BITS)
        return "".join([_PAIRS[value >> shift & 1023] for shift in _SHIFTS])
