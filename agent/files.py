"""Small files that are written whole or not at all, readable by their owner only."""

from __future__ import annotations

import os
from pathlib import Path

from agent.errors import StateUnusable


def write_private(path: Path, text: str) -> None:
    """Replace `path` by `text`, mode 0600, durably and atomically. Raises StateUnusable."""
    temporary = path.with_name(path.name + ".new")
    try:
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync_directory(path.parent)
    except OSError as error:
        raise StateUnusable(f"cannot write {path}: {error.strerror}") from None


def make_private_directory(path: Path) -> None:
    """Make `path` with mode 0700 if it is not there. Raises StateUnusable."""
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise StateUnusable(f"cannot make {path}: {error.strerror}") from None


def _sync_directory(path: Path) -> None:
    if os.name == "nt":
        return  # Windows has no handle of a directory to sync.
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
