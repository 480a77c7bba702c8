"""A backup is of one moment, whole or not there, and for nobody else to read."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.alone import UNFINISHED
from cli.state import backup
from cli.state.backup import backup_state
from cli.state.files import WORK
from cli.state.restore import restore_state
from cli.state.snapshot import copy_databases
from cli.state.work import work_folder
from libs.common.errors import BadInput, Conflict, NotFound, StoreBroken, StoreLocked
from libs.common.security import Vault
from libs.common.store.database import FileLock, open_connection


def repository(folder: Path) -> bytes:
    """Return the secret that the registry in `folder` holds."""
    with contextlib.closing(sqlite3.connect(folder / "registry.db")) as db:
        (sealed,) = db.execute("SELECT sealed FROM repository").fetchone()
    return Vault.at(folder / "registry.key", create=False).open(sealed)


def test_what_only_the_running_service_has_written_is_in_it(data: Path, tmp_path: Path) -> None:
    """The service holds its lock and its file, and all that is new stands in the -wal."""
    lock = FileLock(data / "registry.db")
    vault = Vault.at(data / "registry.key", create=False)
    with contextlib.closing(open_connection(data / "registry.db", "services.registry")) as db:
        db.execute("UPDATE repository SET sealed = ?", (vault.seal(b"changed"),))
        made = backup_state(data, tmp_path / "a", force=False)
        db.execute("BEGIN IMMEDIATE")
        backup_state(data, tmp_path / "b", force=False)
        db.execute("COMMIT")
    lock.release()
    for name in ("a", "b"):
        restore_state(tmp_path / name, tmp_path / f"new-{name}")
        assert repository(tmp_path / f"new-{name}") == b"changed"
    names = [one.name for one in made.manifest.files]
    assert names == ["registry.key", "notify.key", "admin-token", "registry.db", "notify.db"]
    assert made.strangers == ()


def test_copies_of_several_files_are_of_one_moment(data: Path, tmp_path: Path) -> None:
    """Whatever is written once the last file was opened is in none of the copies."""
    databases = [sqlite3.connect(data / name) for name in ("registry.db", "notify.db")]
    for db in databases:
        db.execute("CREATE TABLE moment (number INTEGER)")
        db.execute("INSERT INTO moment VALUES (1)")
        db.commit()

    def names() -> Iterator[str]:
        yield from ("registry.db", "notify.db")
        for db in databases:
            db.execute("UPDATE moment SET number = 2")
            db.commit()

    copy_databases(data, names(), tmp_path)
    for name in ("registry.db", "notify.db"):
        with contextlib.closing(sqlite3.connect(tmp_path / name)) as copy:
            assert copy.execute("SELECT number FROM moment").fetchone() == (1,)
    for db in databases:
        db.close()


def test_r20_the_archive_is_for_its_owner_alone(data: Path, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        made = backup_state(data, tmp_path / "state.tar.gz", force=False)
    finally:
        os.umask(before)
    assert stat.S_IMODE(made.target.stat().st_mode) == 0o600
    assert made.target.stat().st_size == made.size_bytes
    with tarfile.open(made.target) as tar:
        assert tar.getnames()[0] == "manifest.json"
        assert {member.mode for member in tar} == {0o600}
    assert not (data / WORK).exists()


def test_a_file_that_is_there_is_replaced_only_if_asked(data: Path, tmp_path: Path) -> None:
    target = tmp_path / "state.tar.gz"
    target.write_text("precious")
    with pytest.raises(Conflict, match="--force"):
        backup_state(data, target, force=False)
    assert target.read_text() == "precious"
    backup_state(data, target, force=True)
    restore_state(target, tmp_path / "new")
    with pytest.raises(BadInput, match="is a directory"):
        backup_state(data, tmp_path, force=True)
    with pytest.raises(NotFound, match="no directory"):
        backup_state(data, tmp_path / "none" / "a", force=False)


def test_a_damaged_file_is_noticed_and_nothing_is_left(data: Path, tmp_path: Path) -> None:
    whole = (data / "registry.db").read_bytes()
    (data / "registry.db").write_bytes(whole[:8192] + b"\xff" * 4096 + whole[12288:])
    target = tmp_path / "state.tar.gz"
    with pytest.raises(StoreBroken, match=r"registry\.db"):
        backup_state(data, target, force=False)
    assert sorted(tmp_path.iterdir()) == [data]
    assert not (data / WORK).exists()


def test_it_is_refused_where_it_would_be_no_use(data: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="there is no state in"):
        backup_state(tmp_path / "nowhere", tmp_path / "a", force=False)
    assert not (tmp_path / "nowhere").exists()
    (data / "registry.key").unlink()
    with pytest.raises(Conflict, match=r"registry\.key is missing"):
        backup_state(data, tmp_path / "a", force=False)
    (data / UNFINISHED).mkdir()
    with pytest.raises(StoreBroken, match="restore-state"):
        backup_state(data, tmp_path / "a", force=False)
    assert not (tmp_path / "a").exists()


def test_one_at_a_time_and_what_a_kill_left_behind_is_removed(data: Path, tmp_path: Path) -> None:
    (data / WORK / "nats").mkdir(parents=True)
    (data / WORK / "registry.db").write_text("half")
    with work_folder(data / WORK, "backup-state") as work:
        assert list(work.iterdir()) == []
        with pytest.raises(StoreLocked, match="another `dormice backup-state`"):
            backup_state(data, tmp_path / "a", force=False)
    backup_state(data, tmp_path / "a", force=False)


def test_keys_that_are_replaced_meanwhile_are_noticed(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def copy_slowly(folder: Path, names: list[str], work: Path) -> None:
        copy_databases(folder, names, work)
        (folder / "registry.key").unlink()
        Vault.at(folder / "registry.key", create=True)

    monkeypatch.setattr(backup, "copy_databases", copy_slowly)
    with pytest.raises(Conflict, match="run it again"):
        backup_state(data, tmp_path / "a", force=False)


def test_what_is_not_ours_is_named(data: Path, tmp_path: Path) -> None:
    (data / "notes.txt").write_text("mine")
    assert backup_state(data, tmp_path / "a", force=False).strangers == ("notes.txt",)


def test_it_goes_to_a_pipe_but_not_to_a_terminal(
    data: Path, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    made = backup_state(data, backup.STDOUT, force=False)
    said = capfdbinary.readouterr().out
    assert len(said) == made.size_bytes
    (tmp_path / "a").write_bytes(said)
    restore_state(tmp_path / "a", tmp_path / "new")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    with pytest.raises(BadInput, match="not for a terminal"):
        backup_state(data, backup.STDOUT, force=False)
