"""`dormice demo`: play the story; exit 1 if any of it did not happen."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path

from rich.console import Console

from cli.demo.story import Story
from cli.demo.view import View
from cli.demo.world import World, listen_address, url_of
from libs.common.aio import cancel
from libs.common.errors import Unavailable

FLEET = {"web-1": True, "db-1": True, "laptop-anna": False, "laptop-ben": False,
         "laptop-carl": False}  # fmt: skip
LONGEST_SECONDS = 240


def play(*, keep: bool, record: Path | None = None) -> None:
    """Play it in a new folder, which is removed afterwards unless `keep`. `record`: a file for what
    happened and when.

    Raises: NotSeen, Unavailable: one line each.
    """
    if shutil.which("restic") is None:
        raise Unavailable("the demonstration needs restic (Debian: apt install restic)")
    if record is not None:
        record.write_text("dormice demo: 1 s is about 4 h\n\n", encoding="utf-8")
    folder = Path(tempfile.mkdtemp(prefix="dormice-demo-"))
    console = Console()
    try:
        asyncio.run(asyncio.wait_for(_play(folder, console, record), LONGEST_SECONDS))
    except TimeoutError:
        raise Unavailable(f"not over after {LONGEST_SECONDS} s; see {folder}") from None
    finally:
        if keep:
            console.print(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    console.print("All of it happened. Try it with your own machines: dormice up")


async def _play(folder: Path, console: Console, record: Path | None) -> None:
    web = listen_address("DORMICE_UI_LISTEN", 8480)
    world = World(folder, web=web, agents=listen_address("DORMICE_GATEWAY_LISTEN", 8481))
    view = View(world, console, record)
    if not console.is_terminal:
        console.print(
            f"watch it too: {url_of(world.web)} (admin / {world.password})", soft_wrap=True
        )
    painting = asyncio.create_task(view.run())
    try:
        await world.start_control_plane()
        for name, always_on in FLEET.items():
            await world.add(name, always_on=always_on)
        await Story(world, view.tell).play()
    finally:
        await cancel(painting)
        await world.stop()
