"""For commands that work on state files: nobody else may use them meanwhile."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from libs.common.errors import StoreLocked
from libs.common.store.database import FileLock


@contextlib.contextmanager
def alone_on(folder: Path, files: Sequence[Path]) -> Iterator[None]:
    """Hold the locks of the files, and of the `up` that could begin. Raises: StoreLocked."""
    with contextlib.ExitStack() as end:
        try:
            for path in (folder / "dormice", *files):
                end.callback(FileLock(path, wait_seconds=0).release)
        except StoreLocked:
            raise StoreLocked(f"{folder} is in use; stop `dormice up` first") from None
        yield
