"""What restic means by its exit code and its last lines. Pure.

Before 0.17 nearly everything is exit code 1, and only the text says what it was.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Sequence

NO_REPOSITORY = 10
LOCKED = 11
WRONG_PASSWORD = 12
OLDEST = (0, 11)
"""The first version that takes the repository's address from a file."""

_VERSION = re.compile(r"restic (\d+)\.(\d+)")
_ABSENT = ("no such file", "not exist", "not found")
_NO_ROOM = ("no space left on device", "disk quota exceeded", "not enough space")
_DAMAGED = (
    "repository contains errors",
    "ciphertext verification failed",
    "invalid data returned",
    "unable to load index",
    "load(<index/",
)


def version_of(said: str) -> tuple[int, int] | None:
    """Return the version that `restic version` says, None if it is not told."""
    found = _VERSION.match(said)
    return (int(found[1]), int(found[2])) if found else None


def find_version_problem(version: tuple[int, int] | None) -> str | None:
    """Say why this restic cannot be used; one that does not say its version is believed."""
    if version is None or version >= OLDEST:
        return None
    have, need = (".".join(map(str, one)) for one in (version, OLDEST))
    return f"restic {have} is too old: Dormice needs {need} or later"


def is_locked(code: int, complaints: Sequence[str]) -> bool:
    return code == LOCKED or (code != 0 and "unable to create lock" in _joined(complaints))


def has_no_repository(code: int, complaints: Sequence[str]) -> bool:
    said = _joined(complaints)
    asks = "is there a repository at the following location" in said
    absent = any(sign in said for sign in _ABSENT)
    return code == NO_REPOSITORY or (code == 1 and asks and absent)


def has_lost_lock(code: int, complaints: Sequence[str]) -> bool:
    """Say whether restic gave up because its lock had gone stale: the machine slept, say."""
    said = _joined(complaints)
    return code != 0 and ("failed to refresh lock in time" in said or "lock was removed" in said)


def reason(code: int, complaints: Sequence[str]) -> str:
    """Return in one line why restic failed."""
    said = _joined(complaints)
    last = complaints[-1] if complaints else ""
    if code == WRONG_PASSWORD or "wrong password or no key found" in said:
        return "wrong repository password, or the repository has no key for it"
    if is_locked(code, complaints):
        holder = next((line for line in complaints if "locked" in line), last)
        return f"the repository is locked: {holder or 'by another'}"
    if any(sign in said for sign in _NO_ROOM):
        return f"no space left: {_first_with(complaints, _NO_ROOM)}"
    if any(sign in said for sign in _DAMAGED):
        return f"the repository is damaged: {_first_with(complaints, _DAMAGED)}"
    if code < 0:
        return f"restic was ended by signal {_signal_name(-code)}" + (f": {last}" if last else "")
    return last or f"restic exited with {code} and said nothing"


def _joined(complaints: Sequence[str]) -> str:
    return " ".join(complaints).lower()


def _first_with(complaints: Sequence[str], signs: Sequence[str]) -> str:
    """Return the first line that says it; what led to it stands before."""
    telling = (line for line in complaints if any(sign in line.lower() for sign in signs))
    return next(telling, complaints[0])


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)
