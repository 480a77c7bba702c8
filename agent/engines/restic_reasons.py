"""What restic means by its exit code and its last lines. Pure.

Before 0.17 nearly everything is exit code 1, and only the text says what it was.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Sequence

from libs.common.protocol import FailureReason

NO_REPOSITORY = 10
LOCKED = 11
WRONG_PASSWORD = 12
OLDEST = (0, 11)
"""The first version that takes the repository's address from a file."""

_VERSION = re.compile(r"restic (\d+)\.(\d+)")
_ABSENT = ("no such file", "not exist", "not found")
_NO_ROOM = ("no space left on device", "disk quota exceeded", "not enough space")
_DAMAGED = ("repository contains errors", "ciphertext verification failed", "invalid data returned")
_UNREADABLE = ("unable to load index", "load(<index/")
"""Damage, or a server that went away meanwhile."""

_UNREACHABLE = (
    "connection refused", "connection reset by peer", "connection timed out", "no such host",
    "no route to host", "host is down", "network is down", "network is unreachable", "i/o timeout",
    "tls handshake timeout", "client.timeout exceeded", "could not resolve hostname",
    "temporary failure in name resolution", "server misbehaving", "502 bad gateway",
    "503 service unavailable", "504 gateway timeout",
)  # fmt: skip
_SCHEME = re.compile(r"(?!local:)[a-z0-9]{2,}:")


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


def is_local(url: str) -> bool:
    """Say whether a repository lies on a path of this machine."""
    return _SCHEME.match(url) is None


def is_unreachable(code: int, complaints: Sequence[str]) -> bool:
    """Say whether nobody answered at the repository's address, from the start or in the end.

    Damage that was seen, and a full disk, are worse than a line that broke as well.
    """
    said = _joined(complaints)
    if code == 0 or any(sign in said for sign in (*_DAMAGED, *_NO_ROOM)):
        return False
    return any(sign in said for sign in _UNREACHABLE)


def is_locked(code: int, complaints: Sequence[str]) -> bool:
    """Say whether another holds the repository; a lock that no server took is none of another."""
    if code == LOCKED:
        return True
    cannot = code != 0 and "unable to create lock" in _joined(complaints)
    return cannot and not is_unreachable(code, complaints)


def has_no_repository(code: int, complaints: Sequence[str]) -> bool:
    said = _joined(complaints)
    asks = "is there a repository at the following location" in said
    absent = any(sign in said for sign in _ABSENT)
    return code == NO_REPOSITORY or (code == 1 and asks and absent)


def has_lost_lock(code: int, complaints: Sequence[str]) -> bool:
    """Say whether restic gave up because its lock had gone stale: the machine slept, say."""
    said = _joined(complaints)
    return code != 0 and ("failed to refresh lock in time" in said or "lock was removed" in said)


def find_reason(code: int, complaints: Sequence[str]) -> FailureReason | None:
    """Return why restic failed, if that is one of the reasons that have a name."""
    said = _joined(complaints)
    if code == WRONG_PASSWORD or "wrong password or no key found" in said:
        return FailureReason.WRONG_PASSWORD
    if is_locked(code, complaints):
        return FailureReason.REPOSITORY_LOCKED
    if is_unreachable(code, complaints):
        return FailureReason.REPOSITORY_UNREACHABLE
    if any(sign in said for sign in _NO_ROOM):
        return FailureReason.NO_SPACE
    if any(sign in said for sign in (*_DAMAGED, *_UNREADABLE)):
        return FailureReason.REPOSITORY_DAMAGED
    if has_no_repository(code, complaints):
        return FailureReason.REPOSITORY_ABSENT
    return FailureReason.PROGRAM_KILLED if code < 0 else None


def tell(code: int, complaints: Sequence[str]) -> str:
    """Return in one line why restic failed."""
    last = complaints[-1] if complaints else ""
    match find_reason(code, complaints):
        case FailureReason.WRONG_PASSWORD:
            return "wrong repository password, or the repository has no key for it"
        case FailureReason.REPOSITORY_LOCKED:
            holder = next((line for line in complaints if "locked" in line), last)
            return f"the repository is locked: {holder or 'by another'}"
        case FailureReason.REPOSITORY_UNREACHABLE:
            return f"the repository cannot be reached: {_first_with(complaints, _UNREACHABLE)}"
        case FailureReason.NO_SPACE:
            return f"no space left: {_first_with(complaints, _NO_ROOM)}"
        case FailureReason.REPOSITORY_DAMAGED:
            signs = (*_DAMAGED, *_UNREADABLE)
            return f"the repository is damaged: {_first_with(complaints, signs)}"
        case FailureReason.PROGRAM_KILLED:
            said = f"restic was ended by signal {_signal_name(-code)}"
            return said + (f": {last}" if last else "")
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
