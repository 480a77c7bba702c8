"""A folder to work in, for nobody else, of which nothing stays."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from libs.common.errors import StoreLocked

if sys.platform != "win32":
    import fcntl


@contextlib.contextmanager
def work_folder(path: Path, command: str) -> Iterator[Path]:
    """Make `path`, empty, mode 0700; remove it at the end, unless it was moved away.

    One that a kill left behind is emptied. Raises: StoreLocked: another `command` works in it.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDONLY)  # A lock on the folder itself leaves no file behind.
    try:
        _lock(descriptor, path, command)
        try:
            _empty(path)
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)
    finally:
        os.close(descriptor)


def _lock(descriptor: int, path: Path, command: str) -> None:
    if sys.platform == "win32":
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise StoreLocked(f"another `dormice {command}` is at work in {path}") from None


def _empty(path: Path) -> None:
    for one in path.iterdir():
        if one.is_dir() and not one.is_symlink():
            shutil.rmtree(one)
        else:
            one.unlink()


def sync_folder(folder: Path) -> None:
    """Have the names in it survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
