"""What of a data directory is state, decided file by file.

State is what a control plane on another machine cannot do without. The log of the bus is not:
services know another log by the time at which it was made, and publish anew what they hold.
"""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path

from cli.alone import UNFINISHED
from cli.keys import SEALED
from cli.services import NAMES
from libs.common.errors import Conflict

DATABASES = tuple(f"{name}.db" for name in NAMES)
KEYS = tuple(f"{name}.key" for name in SEALED)
SECRETS = (*KEYS, "admin-token", "bus-password", "nats/passwords.json")
STATE = (*SECRETS, *DATABASES)
"""The secrets first: a file of a service that stands there has its key beside it."""

WORK = "backup-state.part"
"""A folder in a data directory: what a backup copies before it packs it."""

LEFT_OUT = (
    ("nats/store", "the log and the buckets: published anew"),
    ("nats/server.*", "written by every start"),
    ("server.conf", "written by `dormice run init`"),
    ("*.url", "where the present `up` listens"),
    ("*.db-wal", "in the copy of its file"),
    ("*.db-shm", "in the copy of its file"),
    ("*.lock", "held while something runs"),
    ("dormice.log", "a log for people"),
    ("*.db.before-rebuild*", "what a rebuild replaced"),
    ("*.db.rebuilt*", "what a rebuild did not end"),
    ("*.new", "a draft that a kill left behind"),
    ("this-machine", "the agent of this machine, with its sample"),
    (WORK, "what a backup works on"),
    (UNFINISHED, "what a restore works on"),
    ("lost+found", "of the file system"),
)
"""Pattern and reason of everything else that we put there."""


def find_state(folder: Path) -> list[str]:
    """Return the names of the state files that are there, in the order of `STATE`."""
    return [name for name in STATE if (folder / name).is_file()]


def find_strangers(folder: Path) -> list[str]:
    """Return what lies there and is neither state nor known to be left out."""
    return [name for name in _names(folder) if name not in STATE and not is_left_out(name)]


def is_left_out(name: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern, _ in LEFT_OUT)


def require_keys(folder: Path, names: Iterable[str]) -> None:
    """Raises: Conflict: secrets are there without the key that opens them."""
    for service in SEALED:
        if f"{service}.db" in names and f"{service}.key" not in names:
            raise Conflict(f"{folder / service}.key is missing: without it {service}.db is no use")


def _names(folder: Path) -> list[str]:
    """Return what lies there, and what lies in `nats`, as the tables above name it."""
    found = []
    for path in sorted(folder.iterdir()):
        inside = sorted(path.iterdir()) if path.name == "nats" and path.is_dir() else [path]
        found += [one.relative_to(folder).as_posix() for one in inside]
    return found
