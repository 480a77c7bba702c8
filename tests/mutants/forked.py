"""Runs pytest in processes that find the libraries loaded already: that is most of a short run.

Each is forked from one server process that has imported other people's code only, so whatever is
ours comes from the copy of the tree, broken or not.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from multiprocessing import get_context
from pathlib import Path

import pytest

LIBRARIES = (
    "aiosqlite", "argon2", "certifi", "croniter", "cronsim", "cryptography.fernet", "httpx",
    "hypothesis", "jinja2", "litestar", "nats.aio.client", "prometheus_client", "pydantic",
    "pydantic_settings", "pytest", "pytest_asyncio", "rich.console", "structlog", "typer",
    "ulid", "uvicorn", "websockets",
)  # fmt: skip
OURS = ("libs", "services", "agent", "cli", "tests")
PLUGINS_ARE_LOADED = "ignore::pytest.PytestAssertRewriteWarning"

FORKS = get_context("forkserver")
FORKS.set_forkserver_preload(list(LIBRARIES))


def run_pytest(tree: Path, arguments: Sequence[str], output: Path) -> None:
    """Be a pytest at work in `tree`, in a process group of its own; what it says is in `output`."""
    os.setsid()
    file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.chdir(tree)
    os.environ["PYTHONPATH"] = str(tree)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # What is unchanged is compiled once.
    sys.dont_write_bytecode = False
    sys.path.insert(0, str(tree))
    for name in [name for name in sys.modules if name.partition(".")[0] in OURS]:
        del sys.modules[name]
    code = pytest.main(
        ["-x", "-q", "--no-header", "-p", "no:cacheprovider", "-W", PLUGINS_ARE_LOADED, *arguments]
    )
    sys.stdout.flush()
    os._exit(code)
