"""The examples of docs/integrations.md, run as they stand."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "integrations.md"


def blocks(language: str) -> list[str]:
    """Return the page's blocks of code in a language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(), re.M | re.S)


class Example:
    """A program that runs; `lines` is what it has printed."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def line(self, seconds: float = 20.0) -> str:
        """Return its next line. Raises: TimeoutError."""
        assert self.process.stdout is not None
        async with asyncio.timeout(seconds):
            return (await self.process.stdout.readline()).decode().rstrip("\n")


@asynccontextmanager
async def running(*command: str, **environment: str) -> AsyncIterator[Example]:
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=None,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "PYTHONUNBUFFERED": "1", **environment},
    )  # fmt: skip
    try:
        yield Example(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def python(code: str) -> tuple[str, ...]:
    return sys.executable, "-W", "error", "-c", code
