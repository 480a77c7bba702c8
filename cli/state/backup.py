"""`dormice backup-state FILE`: the state of a control plane in one archive.

It works while everything runs and while nothing does.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import IO

from cli.alone import refuse_unfinished
from cli.state.archive import Manifest, describe, pack
from cli.state.files import DATABASES, KEYS, WORK, find_state, find_strangers, require_keys
from cli.state.snapshot import copy_databases
from cli.state.work import sync_folder, work_folder
from libs.common.clock import SystemClock
from libs.common.errors import BadInput, Conflict, NotFound

STDOUT = Path("-")


@dataclass(frozen=True, slots=True)
class Backup:
    """What was made. `strangers`: what lies in the directory and is not ours."""

    folder: Path
    target: Path
    size_bytes: int
    manifest: Manifest
    strangers: tuple[str, ...]


def backup_state(folder: Path, target: Path, *, force: bool) -> Backup:
    """Write the archive to `target`, or to stdout if that is `-`.

    Raises: NotFound (no state here, or no directory there), Conflict (the file is there; a key is
    missing or is being replaced), BadInput, StoreBroken, StoreLocked (another backup is at work).
    """
    refuse_unfinished(folder)
    names = find_state(folder)
    if not names:
        raise NotFound(f"there is no state in {folder}: no `dormice up` has run on it")
    require_keys(folder, names)
    _look_at(target, force=force)
    strangers = tuple(find_strangers(folder))
    # Below the data directory: as secret as that is, and on a disk where SQLite works.
    with work_folder(folder / WORK, "backup-state") as work:
        _gather(folder, names, work)
        files = {name: work / name for name in names}
        manifest = describe(files, version("dormice"), SystemClock().now())
        size_bytes = _write(manifest, files, target)
    return Backup(folder, target, size_bytes, manifest, strangers)


def _look_at(target: Path, *, force: bool) -> None:
    """Raises: BadInput, Conflict, NotFound."""
    if target == STDOUT:
        if sys.stdout.isatty():
            raise BadInput("the archive is not for a terminal: name a FILE, or redirect stdout")
    elif target.is_dir():
        raise BadInput(f"{target} is a directory; name a file")
    elif target.exists() and not force:
        raise Conflict(f"{target} is there already; say --force to replace it")
    elif not target.parent.is_dir():
        raise NotFound(f"there is no directory {target.parent}")


def _gather(folder: Path, names: list[str], work: Path) -> None:
    """Raises: StoreBroken, Conflict: a key became another one meanwhile."""
    keys = {name: (folder / name).read_bytes() for name in names if name in KEYS}
    copy_databases(folder, [name for name in names if name in DATABASES], work)
    for name in names:
        if name not in DATABASES:
            (work / name).parent.mkdir(mode=0o700, exist_ok=True)
            (work / name).write_bytes((folder / name).read_bytes())
    if any((work / name).read_bytes() != key for name, key in keys.items()):
        raise Conflict("the keys were replaced meanwhile: run it again")


def _write(manifest: Manifest, files: dict[str, Path], target: Path) -> int:
    """Return how long the archive is. The file is whole or not there, and for nobody else."""
    if target == STDOUT:
        out = _Counting(sys.stdout.buffer)
        pack(manifest, files, out)  # type: ignore[arg-type]  # It only writes.
        out.flush()
        return out.size_bytes
    draft = target.with_name(f"{target.name}.part")
    draft.unlink(missing_ok=True)
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            pack(manifest, files, file)
            file.flush()
            os.fsync(file.fileno())
        size_bytes = draft.stat().st_size
        draft.replace(target)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    sync_folder(target.parent)
    return size_bytes


class _Counting:
    """What may not be asked where it stands, such as a pipe."""

    def __init__(self, out: IO[bytes]) -> None:
        self._out = out
        self.size_bytes = 0

    def write(self, data: bytes) -> int:
        self._out.write(data)
        self.size_bytes += len(data)
        return len(data)

    def flush(self) -> None:
        self._out.flush()
