"""A small data directory with a secret in it, and its archive."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from cli.state.backup import backup_state
from libs.common.security import Vault
from libs.common.store.database import open_connection


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A registry and a notify as a crash leaves them, and the admin's token."""
    folder = tmp_path / "data"
    folder.mkdir()
    vault = Vault.at(folder / "registry.key", create=True)
    Vault.at(folder / "notify.key", create=True)
    for name in ("registry", "notify"):
        with contextlib.closing(open_connection(folder / f"{name}.db", f"services.{name}")) as db:
            if name == "registry":
                db.execute("PRAGMA foreign_keys = OFF")
                db.execute("INSERT INTO repository VALUES ('h1', ?)", (vault.seal(b"hush"),))
    (folder / "admin-token").write_text("t0ken\n")
    (folder / "ui.url").write_text("http://127.0.0.1:8480\n")
    return folder


@pytest.fixture
def archive(data: Path, tmp_path: Path) -> Path:
    backup_state(data, tmp_path / "state.tar.gz", force=False)
    return tmp_path / "state.tar.gz"
