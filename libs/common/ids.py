"""Ids: unique for ever, sortable by time. The one place that makes them."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from functools import lru_cache
from random import Random

from ulid import ULID

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]
_RANDOM_BITS = 80
_TIME_SHIFTS = range(40, -10, -10)
_RANDOM_SHIFTS = range(_RANDOM_BITS - 10, -10, -10)


def new_id() -> str:
    """Return a new ULID."""
    return str(ULID())


def time_of(any_id: str) -> datetime | None:
    """Return when a ULID was made, by its maker's clock; None if it is no ULID."""
    try:
        return ULID.from_str(any_id).datetime.astimezone(UTC)
    except ValueError:
        return None


def new_secret() -> str:
    """Return 256 random bits, URL-safe: the form of every token."""
    return secrets.token_urlsafe(32)


class IdSource:
    """ULIDs from a given random source, so that a simulation repeats exactly.

    Else from one of its own that the system seeds: such ids need be unique, not beyond guessing,
    and to ask the system for each is a call in which another thread takes over.
    """

    def __init__(self, random: Random | None = None) -> None:
        self._random = random or Random(secrets.randbits(256))  # noqa: S311  No secrets.

    def next(self, now: datetime) -> str:
        """Return an id that carries `now`."""
        value = self._random.getrandbits(_RANDOM_BITS)
        chars = [_PAIRS[value >> shift & 1023] for shift in _RANDOM_SHIFTS]
        return _time_part(now) + "".join(chars)


@lru_cache(maxsize=16)
def _time_part(now: datetime) -> str:
    """The first ten characters. A pass makes all its ids at one moment."""
    millis = int(now.timestamp() * 1000)
    return "".join([_PAIRS[millis >> shift & 1023] for shift in _TIME_SHIFTS])
