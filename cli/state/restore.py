"""`dormice restore-state FILE`: the state of an archive in an empty data directory, whole or not.

It is unpacked beside the directory, looked through, and renamed. A directory that cannot be
replaced, such as a mounted volume, takes the files one by one, under a mark that keeps everything
else off it until the last one is there.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from cli.alone import UNFINISHED
from cli.state.archive import BadArchive, Manifest, unpack
from cli.state.files import DATABASES, STATE, require_keys
from cli.state.work import sync_folder, work_folder
from libs.common.errors import BadInput, Conflict, StoreBroken, StoreLocked
from libs.common.store.database import FileLock, open_connection

STDIN = Path("-")
NOT_STATE = ("lost+found", UNFINISHED)
"""A fresh volume may have the first."""


def restore_state(source: Path, folder: Path) -> Manifest:
    """Put the state into `folder`, which is made if it is missing; return what there is now.

    Raises: BadArchive, BadInput, Conflict (there is state), StoreLocked (something runs there).
    """
    folder = folder.resolve()
    was_cut_off = (folder / UNFINISHED).exists()
    if not was_cut_off:
        _require_empty(folder)
    in_place = was_cut_off or _must_stay(folder)
    stage = folder / UNFINISHED if in_place else folder.with_name(f"{folder.name}.restoring")
    with _opened(source) as archive, work_folder(stage, "restore-state"):
        if was_cut_off:
            _remove(folder, STATE)
        _require_empty(folder)
        manifest = unpack(archive, stage)
        names = [one.name for one in manifest.files]
        _look_through(stage, names)
        _give_to_owner(stage, folder)
        if in_place:
            _move_in(stage, folder, names)
        else:
            _replace(stage, folder)
    return manifest


@contextlib.contextmanager
def _opened(source: Path) -> Iterator[IO[bytes]]:
    if source == STDIN:
        yield sys.stdin.buffer
    else:
        with source.open("rb") as file:
            yield file


def _require_empty(folder: Path) -> None:
    """Raises: Conflict, StoreLocked, BadInput. Locks that nobody holds are removed."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise BadInput(f"{folder} is not a directory")
    there = sorted(path for path in folder.iterdir() if path.name not in NOT_STATE)
    locks = [path for path in there if path.suffix == ".lock"]
    others = [path.name for path in there if path not in locks]
    if others:
        raise Conflict(f"there is state in {folder} ({', '.join(others[:3])}): restore into an "
                       "empty or missing directory")  # fmt: skip
    for path in locks:
        try:
            lock = FileLock(path.with_suffix(""), wait_seconds=0)
        except StoreLocked:
            raise StoreLocked(f"{folder} is in use; stop `dormice up` first") from None
        path.unlink()
        lock.release()


def _must_stay(folder: Path) -> bool:
    """Say whether the directory cannot be replaced by another one."""
    return folder.is_dir() and (os.path.ismount(folder) or not os.access(folder.parent, os.W_OK))


def _look_through(stage: Path, names: Sequence[str]) -> None:
    """Bring each file up to date, as the start would. Raises: BadArchive: this build cannot."""
    try:
        require_keys(stage, names)
        for name in names:
            if name in DATABASES:
                package = f"services.{name.removesuffix('.db')}"
                open_connection(stage / name, package).close()
    except (Conflict, StoreBroken) as error:
        said = error.message.replace(f"{stage}/", "")
        raise BadArchive(f"the archive cannot be used by this build: {said}") from None


def _give_to_owner(stage: Path, folder: Path) -> None:
    """What root puts into the directory of another user is that user's."""
    if sys.platform == "win32" or os.geteuid() != 0 or not folder.exists():
        return
    owner = folder.stat()
    for path in (stage, *stage.rglob("*")):
        os.chown(path, owner.st_uid, owner.st_gid)


def _replace(stage: Path, folder: Path) -> None:
    """Raises: Conflict: something began there meanwhile."""
    for inside in (path for path in stage.iterdir() if path.is_dir()):
        sync_folder(inside)
    sync_folder(stage)
    try:
        stage.rename(folder)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        raise Conflict(f"there is state in {folder} by now: something was started on it") from None
    sync_folder(folder.parent)


def _move_in(stage: Path, folder: Path, names: Sequence[str]) -> None:
    """`stage` is the mark: it goes last, also if the files have to be taken away again."""
    with contextlib.suppress(PermissionError):
        folder.chmod(0o700)
    try:
        for name in (one for one in STATE if one in names):
            target = folder / name
            if target.parent != folder:
                target.parent.mkdir(mode=0o700, exist_ok=True)
            (stage / name).rename(target)
            sync_folder(target.parent)
        sync_folder(folder)
    except BaseException:
        _remove(folder, names)
        raise


def _remove(folder: Path, names: Sequence[str]) -> None:
    for name in names:
        (folder / name).unlink(missing_ok=True)
        if "/" in name:
            with contextlib.suppress(OSError):
                (folder / name).parent.rmdir()
