"""`dormice rotate-keys`: new keys for the secrets at rest, sealed anew, the old keys forgotten.

In an order that a crash never breaks: the new key above the old one, the secrets, the old one away.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path

from cli.alone import alone_on
from libs.common.errors import NotFound
from libs.common.security import Vault, new_key
from libs.common.store.database import open_connection, transaction

SEALED = {"registry": ("repository", "agent_token"), "notify": ("channel",)}
"""By service, the tables with a column `sealed`."""


def rotate_keys(folder: Path) -> dict[str, int]:
    """Return how many secrets each service has, all sealed anew.

    Raises: NotFound (no state here), StoreLocked (something runs on it), StoreBroken.
    """
    present = [name for name in SEALED if (folder / f"{name}.db").exists()]
    if not present:
        raise NotFound(f"there is no registry.db and no notify.db in {folder}")
    with alone_on(folder, [folder / f"{name}.db" for name in present]):
        return {name: _rotate(folder, name) for name in present}


def _rotate(folder: Path, name: str) -> int:
    path = folder / f"{name}.key"
    Vault.at(path, create=False)  # One that opens nothing is refused before anything is changed.
    _write(path, [new_key(), *path.read_bytes().split()])
    vault = Vault.at(path, create=False)
    with contextlib.closing(open_connection(folder / f"{name}.db", f"services.{name}")) as db:
        db.execute("PRAGMA secure_delete = ON")  # What the old key opens is not left in free pages.
        with transaction(db):
            count = sum(_seal_anew(db, table, vault) for table in SEALED[name])
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    _write(path, path.read_bytes().split()[:1])
    return count


def _seal_anew(db: sqlite3.Connection, table: str, vault: Vault) -> int:
    """The tables are our own constants."""
    rows = db.execute(f"SELECT rowid, sealed FROM {table} WHERE length(sealed) > 0").fetchall()  # noqa: S608
    for rowid, sealed in rows:
        new = vault.seal_anew(sealed.encode() if isinstance(sealed, str) else sealed)
        value = new.decode() if isinstance(sealed, str) else new
        db.execute(f"UPDATE {table} SET sealed = ? WHERE rowid = ?", (value, rowid))  # noqa: S608
    return len(rows)


def _write(path: Path, keys: list[bytes]) -> None:
    """Replace the key file in one step, durably; nobody else can read it at any moment."""
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(b"\n".join(keys) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)
