"""Hashes of tokens, and the vault with its key file."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from libs.common.errors import StoreBroken
from libs.common.security import SecretUnreadable, Vault, hash_token


def test_hash_is_sha256_in_hex() -> None:
    assert hash_token("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert hash_token("\ud800") != hash_token("")


def test_what_is_sealed_can_be_opened_and_not_read() -> None:
    vault = Vault.generate()
    sealed = vault.seal(b"hush")
    assert vault.open(sealed) == b"hush"
    assert b"hush" not in sealed
    assert sealed != vault.seal(b"hush")


@pytest.mark.parametrize("sealed", [b"", b"hush", b"\x00\xff", b"gAAAAA" * 20])
def test_what_was_not_sealed_here_is_unreadable(sealed: bytes) -> None:
    with pytest.raises(SecretUnreadable):
        Vault.generate().open(sealed)


def test_the_key_file_is_private_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "data" / "registry.key"
    sealed = Vault.at(path, create=True).seal(b"hush")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert Vault.at(path, create=True).open(sealed) == b"hush"
    assert Vault.at(path, create=False).open(sealed) == b"hush"
    assert [file.name for file in path.parent.iterdir()] == ["registry.key"]


def test_a_new_key_above_the_old_one_opens_both(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    sealed = Vault.at(old, create=True).seal(b"hush")
    Vault.at(new, create=True)
    new.write_bytes(new.read_bytes() + old.read_bytes())
    both = Vault.at(new, create=False)
    assert both.open(sealed) == b"hush"
    with pytest.raises(SecretUnreadable):
        Vault.at(old, create=False).open(both.seal(b"hush"))


@pytest.mark.parametrize("content", [b"", b"\n", b"no key", b"\xff" * 44])
def test_a_file_without_a_key_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "registry.key"
    path.write_bytes(content)
    with pytest.raises(StoreBroken, match="no usable key"):
        Vault.at(path, create=True)


def test_a_missing_key_is_not_made_again_behind_our_back(tmp_path: Path) -> None:
    with pytest.raises(StoreBroken, match="is missing"):
        Vault.at(tmp_path / "registry.key", create=False)


def test_a_directory_that_cannot_be_one(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreBroken, match="cannot"):
        Vault.at(tmp_path / "file" / "registry.key", create=True)
