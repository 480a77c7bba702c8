"""For commands that work on state files: nobody else may use them meanwhile."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from libs.common.errors import StoreBroken, StoreLocked
from libs.common.store.database import FileLock

UNFINISHED = "restore-state.part"
"""A folder in a data directory: a restore is under way there, or was cut off."""


@contextlib.contextmanager
def alone_on(folder: Path, files: Sequence[Path]) -> Iterator[None]:
    """Hold the locks of the files, and of the `up` that could begin.

    Raises: StoreLocked, StoreBroken (a restore was cut off there).
    """
    refuse_unfinished(folder)
    with contextlib.ExitStack() as end:
        try:
            for path in (folder / "dormice", *files):
                end.callback(FileLock(path, wait_seconds=0).release)
        except StoreLocked:
            raise StoreLocked(f"{folder} is in use; stop `dormice up` first") from None
        yield


def refuse_unfinished(folder: Path) -> None:
    """Raises: StoreBroken: only a part of the state may be here."""
    if (folder / UNFINISHED).exists():
        raise StoreBroken(f"a restore into {folder} is under way or was cut off: "
                          "run `dormice restore-state` again")  # fmt: skip
