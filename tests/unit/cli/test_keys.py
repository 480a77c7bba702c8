"""New keys: every secret opens with the new one alone, and a crash in between loses none."""

from __future__ import annotations

import re
import sqlite3
import stat
from pathlib import Path

import pytest

from cli import keys
from libs.common.errors import NotFound, StoreBroken, StoreLocked
from libs.common.security import SecretUnreadable, Vault
from libs.common.store.database import FileLock, open_connection

ROOT = Path(__file__).parents[3]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A repository's secret, and a deleted channel, which has none."""
    vault = Vault.at(tmp_path / "registry.key", create=True)
    Vault.at(tmp_path / "notify.key", create=True)
    with open_connection(tmp_path / "registry.db", "services.registry") as db:
        db.execute("PRAGMA foreign_keys = OFF")
        db.execute("INSERT INTO repository VALUES ('h1', ?)", (vault.seal(b"hush"),))
    db.close()
    with open_connection(tmp_path / "notify.db", "services.notify") as db:
        db.execute("INSERT INTO channel (id, name, kind, sealed, filter, created_at) "
                   "VALUES ('c1', 'gone', 'webhook', '', '{}', 0)")  # fmt: skip
    db.close()
    return tmp_path


def sealed(data: Path) -> bytes:
    db = sqlite3.connect(data / "registry.db")
    try:
        (value,) = db.execute("SELECT sealed FROM repository").fetchone()
    finally:
        db.close()
    return bytes(value)


def test_r20_the_old_key_is_forgotten_and_opens_nothing(data: Path) -> None:
    old = Vault.at(data / "registry.key", create=False)
    before = sealed(data)
    assert keys.rotate_keys(data) == {"registry": 1, "notify": 0}
    assert Vault.at(data / "registry.key", create=False).open(sealed(data)) == b"hush"
    with pytest.raises(SecretUnreadable):
        old.open(sealed(data))
    assert len((data / "registry.key").read_bytes().split()) == 1
    assert stat.S_IMODE((data / "registry.key").stat().st_mode) == 0o600
    assert before not in b"".join(file.read_bytes() for file in data.iterdir())


def test_a_crash_before_the_old_key_is_gone_loses_nothing(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(keys, "_seal_anew", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            keys.rotate_keys(data)
    assert Vault.at(data / "registry.key", create=False).open(sealed(data)) == b"hush"
    keys.rotate_keys(data)
    assert Vault.at(data / "registry.key", create=False).open(sealed(data)) == b"hush"
    assert len((data / "registry.key").read_bytes().split()) == 1


def test_it_is_refused_where_it_would_harm(data: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        keys.rotate_keys(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()
    running = FileLock(data / "dormice")
    with pytest.raises(StoreLocked, match="stop `dormice up` first"):
        keys.rotate_keys(data)
    running.release()
    (data / "registry.key").write_text("no key")
    with pytest.raises(StoreBroken):
        keys.rotate_keys(data)
    assert (data / "registry.key").read_text() == "no key"


def test_every_sealed_column_is_known() -> None:
    for service in sorted(path.name for path in (ROOT / "services").iterdir() if path.is_dir()):
        found = set()
        for script in (ROOT / "services" / service).glob("migrations/*.sql"):
            for table, body in re.findall(
                r"CREATE TABLE (\w+) \((.*?)\n\)", script.read_text(), re.S
            ):
                if re.search(r"^\s+sealed\s", body, re.M):
                    found.add(table)
        assert found == set(keys.SEALED.get(service, ())), service
