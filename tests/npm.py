"""What tests need from npm: fetched at first use into the virtual environment."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
from pathlib import Path

NODE = Path(__file__).parents[1] / ".venv" / "node"
PACKAGES = {"nats": "2.29.3", "@asyncapi/specs": "6.11.1"}
FETCH_SECONDS = 100


def node_modules() -> Path:
    """Return where the packages lie. Several tests may want them at once: one fetches them."""
    folder = NODE / "node_modules"
    NODE.mkdir(parents=True, exist_ok=True)
    with (NODE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _fetch(folder)
    return folder


def _fetch(folder: Path) -> None:
    if not all((folder / name).is_dir() for name in PACKAGES):
        npm = shutil.which("npm")
        assert npm, "npm is needed (Debian: nodejs, npm)"
        asked = [npm, "install", "--no-audit", "--no-fund", "--prefix", str(NODE),
                 *(f"{name}@{version}" for name, version in PACKAGES.items())]  # fmt: skip
        done = subprocess.run(asked, capture_output=True, text=True, timeout=FETCH_SECONDS)
        assert done.returncode == 0, done.stderr
