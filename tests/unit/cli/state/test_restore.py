"""A restore believes nothing of an archive, and leaves the whole state or nothing."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import sqlite3
import stat
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cli.alone import UNFINISHED
from cli.run import run_service
from cli.state.archive import FORMAT, BadArchive
from cli.state.backup import backup_state
from cli.state.restore import restore_state
from cli.up import Up
from libs.common.errors import BadInput, Conflict, StoreBroken, StoreLocked
from libs.common.store.database import FileLock
from tests.unit.cli.state.test_backup import repository

ROOT = Path(__file__).parents[4]


def craft(path: Path, members: dict[str, bytes], **changes: Any) -> Path:
    """Write an archive with a manifest that fits `members`, but for the `changes`."""
    manifest = {
        "product": "dormice", "format": FORMAT, "version": "1", "made_at": "2026-11-26T12:00:00Z",
        "files": [entry(name, data) for name, data in members.items()],
    }  # fmt: skip
    with tarfile.open(path, "w:gz") as tar:
        add(tar, "manifest.json", json.dumps(manifest | changes).encode())
        for name, data in members.items():
            add(tar, name, data)
    return path


def entry(name: str, data: bytes) -> dict[str, Any]:
    return {"name": name, "size_bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def add(tar: tarfile.TarFile, name: str, data: bytes, **header: Any) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    for field, value in header.items():
        setattr(member, field, value)
    tar.addfile(member, io.BytesIO(data))


def refuse(archive: Path, why: str) -> None:
    """Insist that nothing is restored, for this reason, and that no trace stays."""
    beside = sorted(archive.parent.rglob("*"))
    with pytest.raises(BadArchive, match=why) as refused:
        restore_state(archive, archive.parent / "new")
    assert "\n" not in refused.value.message
    assert sorted(archive.parent.rglob("*")) == beside


# -- what is restored ------------------------------------------------------------------------------


@pytest.mark.parametrize("there", ["missing", "empty", "locks", "nested"])
def test_it_is_all_there_and_for_nobody_else(archive: Path, there: str, tmp_path: Path) -> None:
    new = tmp_path / ("a/b/new" if there == "nested" else "new")
    if there in ("empty", "locks"):
        new.mkdir()
    if there == "locks":
        FileLock(new / "dormice").release()
    restore_state(archive, new)
    assert repository(new) == b"hush"
    assert sorted(path.name for path in new.iterdir()) == [
        "admin-token", "notify.db", "notify.key", "registry.db", "registry.key",
    ]  # fmt: skip
    assert stat.S_IMODE(new.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in new.iterdir()} == {0o600}
    assert not list(tmp_path.glob("*.restoring"))


def test_the_passwords_of_the_bus_come_with_their_folder(data: Path, tmp_path: Path) -> None:
    (data / "nats" / "store").mkdir(parents=True)
    (data / "nats" / "store" / "1.blk").write_text("log")
    (data / "nats" / "passwords.json").write_text("{}")
    backup_state(data, tmp_path / "a", force=False)
    restore_state(tmp_path / "a", tmp_path / "new")
    assert [path.name for path in (tmp_path / "new" / "nats").iterdir()] == ["passwords.json"]
    assert stat.S_IMODE((tmp_path / "new" / "nats").stat().st_mode) == 0o700


# -- where it is refused ---------------------------------------------------------------------------


def test_state_that_is_there_stays(archive: Path, data: Path, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in data.iterdir()}
    with pytest.raises(Conflict, match="there is state in"):
        restore_state(archive, data)
    assert {path: path.read_bytes() for path in data.iterdir()} == before
    (tmp_path / "a-file").write_text("")
    with pytest.raises(BadInput, match="not a directory"):
        restore_state(archive, tmp_path / "a-file")


def test_what_runs_there_is_noticed(archive: Path, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    lock = FileLock(tmp_path / "new" / "dormice")
    with pytest.raises(StoreLocked, match="is in use"):
        restore_state(archive, tmp_path / "new")
    lock.release()
    restore_state(archive, tmp_path / "new")


# -- what is refused -------------------------------------------------------------------------------


def test_not_an_archive(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("hello")
    refuse(tmp_path / "a", "no state backup")
    with tarfile.open(tmp_path / "a", "w:gz") as tar:
        add(tar, "etc/passwd", b"root")
    refuse(tmp_path / "a", "does not begin with a manifest")
    refuse(craft(tmp_path / "a", {}, product="other"), "no state backup of Dormice")
    refuse(craft(tmp_path / "a", {}, files=[{}]), "manifest cannot be read")


def test_a_newer_format(tmp_path: Path) -> None:
    newer = craft(tmp_path / "a", {"later": b""}, format=FORMAT + 1, version="9.0")
    refuse(newer, "newer build .9.0, format 2")


def test_a_file_that_a_newer_build_wrote(data: Path, tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(data / "registry.db")) as db:
        db.execute("INSERT INTO migration VALUES ('services.registry', 99)")
        db.commit()
    backup_state(data, tmp_path / "a", force=False)
    refuse(tmp_path / "a", "written by a newer version")


@pytest.mark.parametrize("kept", [0, 1, 200, 0.5, 0.9, -20, -1], ids=str)
def test_an_archive_that_was_cut_off(archive: Path, kept: float) -> None:
    whole = archive.read_bytes()
    archive.write_bytes(whole[: int(kept * len(whole)) if isinstance(kept, float) else kept])
    refuse(archive, "damaged")


@pytest.mark.parametrize("part", [0.02, 0.3, 0.6, 0.95])
def test_an_archive_in_which_a_byte_is_another(archive: Path, part: float) -> None:
    data = bytearray(archive.read_bytes())
    data[int(part * len(data))] ^= 0x55
    archive.write_bytes(data)
    refuse(archive, "archive|damaged")


def test_a_file_that_is_not_the_one_of_the_manifest(tmp_path: Path) -> None:
    other = [entry("admin-token", b"abc")]
    refuse(craft(tmp_path / "a", {"admin-token": b"abd"}, files=other), "not what was backed up")
    refuse(craft(tmp_path / "a", {"admin-token": b"abcd"}, files=other), "not what was backed up")
    refuse(craft(tmp_path / "a", {}, files=other), "admin-token is missing")
    refuse(craft(tmp_path / "a", {"admin-token": b"x"}, files=[]), "not in its manifest")


def test_a_database_without_its_key(data: Path, tmp_path: Path) -> None:
    whole = (data / "registry.db").read_bytes()
    refuse(craft(tmp_path / "a", {"registry.db": whole}), "registry.key is missing")
    refuse(craft(tmp_path / "a", {"ui.db": b"no database at all" * 99}), r"state file ui\.db")


@pytest.mark.parametrize(
    "name", ["../evil", "/etc/evil", "nats/../../evil", "evil", "admin-token/evil", ""]
)
def test_r20_no_path_leads_out(name: str, tmp_path: Path) -> None:
    """Neither as the manifest says, nor as the tar says and the manifest does not."""
    refuse(craft(tmp_path / "a", {name: b"evil"}), "which is no state file")
    refuse(craft(tmp_path / "a", {name: b"evil"}, files=[]), "not in its manifest")


def symlink(tar: tarfile.TarFile) -> None:
    add(tar, "admin-token", b"", type=tarfile.SYMTYPE, linkname="../outside")


def hard_link(tar: tarfile.TarFile) -> None:
    add(tar, "admin-token", b"", type=tarfile.LNKTYPE, linkname="manifest.json")


def device(tar: tarfile.TarFile) -> None:
    add(tar, "admin-token", b"", type=tarfile.CHRTYPE)


def folder(tar: tarfile.TarFile) -> None:
    add(tar, "admin-token", b"", type=tarfile.DIRTYPE)


def twice(tar: tarfile.TarFile) -> None:
    add(tar, "admin-token", b"")
    add(tar, "admin-token", b"")


@pytest.mark.parametrize("trick", [symlink, hard_link, device, folder, twice])
def test_r20_only_plain_files_are_unpacked(
    trick: Callable[[tarfile.TarFile], None], tmp_path: Path
) -> None:
    manifest = {"product": "dormice", "format": FORMAT, "version": "1", "made_at": "2026-11-26",
                "files": [entry("admin-token", b"")]}  # fmt: skip
    with tarfile.open(tmp_path / "a", "w:gz") as tar:
        add(tar, "manifest.json", json.dumps(manifest).encode())
        trick(tar)
    refuse(tmp_path / "a", "no state file")


# -- cut off ---------------------------------------------------------------------------------------


def test_a_kill_half_way_leaves_nothing_half(data: Path, tmp_path: Path) -> None:
    """The command is killed while it waits for the rest of what comes through a pipe."""
    archive, new = tmp_path / "state.tar.gz", tmp_path / "new"
    (data / "admin-token").write_bytes(os.urandom(2**21))
    backup_state(data, archive, force=False)
    whole = archive.read_bytes()
    environment = os.environ | {"DORMICE_DATA": str(new)}
    with subprocess.Popen(
        [sys.executable, "-m", "cli", "restore-state", "-"], cwd=ROOT, env=environment,
        stdin=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdin is not None
        process.stdin.write(whole[: len(whole) // 2])
        process.stdin.flush()
        stage = tmp_path / "new.restoring"
        while not (stage / "registry.key").exists():
            assert process.poll() is None
        process.kill()
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
    assert not new.exists()
    assert stat.S_IMODE(stage.stat().st_mode) == 0o700
    restore_state(archive, new)
    assert repository(new) == b"hush"
    assert not stage.exists()


def test_a_volume_with_half_a_state_is_used_by_nothing_until_it_is_whole(
    archive: Path, tmp_path: Path
) -> None:
    """So a kill leaves a directory that cannot be renamed: some files moved, the mark there."""
    new = tmp_path / "new"
    (new / UNFINISHED).mkdir(parents=True)
    (new / UNFINISHED / "notify.db").write_text("half")
    (new / "registry.key").write_text("of the first try")
    with pytest.raises(StoreBroken, match="run `dormice restore-state` again"):
        Up(new, None, verbose=False).run()
    with pytest.raises(StoreBroken, match="run `dormice restore-state` again"):
        run_with_bus(new)
    restore_state(archive, new)
    assert repository(new) == b"hush"
    assert not (new / UNFINISHED).exists()
    assert len(list(new.iterdir())) == 5


def run_with_bus(data: Path) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("DORMICE_NATS_URL", "nats://127.0.0.1:1")
        run_service("registry", data, None, "warning")


def test_a_volume_stays_empty_if_the_archive_is_refused(archive: Path, tmp_path: Path) -> None:
    new = tmp_path / "new"
    (new / UNFINISHED).mkdir(parents=True)
    archive.write_bytes(archive.read_bytes()[:-9])
    with pytest.raises(BadArchive):
        restore_state(archive, new)
    assert list(new.iterdir()) == []
