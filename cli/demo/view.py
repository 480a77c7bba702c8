"""The demonstration as it is seen in the terminal: the fleet above, the story below."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from cli.demo.story import Told
from cli.demo.world import World, url_of
from libs.common.clock import monotonic_seconds
from libs.common.errors import DormiceError

SHAPES = {"online": ("●", "green"), "asleep": ("☾", "blue"), "offline": ("■", "red"),
          "never_seen": ("○", "dim")}  # fmt: skip
REFRESH_SECONDS = 0.25


class View:
    """A live picture on a terminal; one line per event elsewhere, and in the file `record`."""

    def __init__(self, world: World, console: Console, record: Path | None = None) -> None:
        self._world, self._console, self._record = world, console, record
        self._started = monotonic_seconds()
        self._lines: list[tuple[float, Told]] = []
        self._hosts: list[dict[str, Any]] = []
        self._alerts: list[dict[str, Any]] = []
        self._live = Live(self._picture(), console=console, auto_refresh=False)

    def tell(self, told: Told) -> None:
        """Add a line, or mark the awaited one as done."""
        seconds = monotonic_seconds() - self._started
        if self._lines and not self._lines[-1][1].done:
            self._lines.pop()
        self._lines.append((seconds, told))
        if not told.done:
            return
        line = f"{seconds:6.1f} s  {told.text}"
        if not self._console.is_terminal:
            self._console.print(line, highlight=False, soft_wrap=True)
        if self._record is not None:
            with self._record.open("a", encoding="utf-8") as file:
                file.write(f"{line}\n")

    async def run(self) -> None:
        """Repaint until cancelled."""
        if not self._console.is_terminal:
            await asyncio.Event().wait()
        with self._live:
            try:
                while True:
                    await self._look()
                    self._live.update(self._picture(), refresh=True)
                    await asyncio.sleep(REFRESH_SECONDS)
            finally:
                self._live.update(self._picture(), refresh=True)

    async def _look(self) -> None:
        """See the fleet again; while the control plane is dead, what was seen last stays."""
        with contextlib.suppress(httpx.HTTPError, DormiceError, RuntimeError):
            self._hosts = (await self._world.get("/hosts"))["items"]
            self._alerts = (await self._world.get("/alerts?state=open"))["items"]

    def _picture(self) -> RenderableType:
        head = Text.assemble(
            ("Dormice  ", "bold"), "1 s ≈ 4 h   ",
            (url_of(self._world.web), "underline"), f"  admin / {self._world.password}",
        )  # fmt: skip
        return Group(head, "", self._fleet(), "", *map(self._line, self._lines[-14:]))

    def _fleet(self) -> Table:
        table = Table(box=None, padding=(0, 2))
        for title in ("state", "host", "mode", "activity", "alerts"):
            table.add_column(title, style="none")
        for host in sorted(self._hosts, key=lambda item: item["name"]):
            shape, colour = SHAPES[host["display"]]
            alerts = ", ".join(a["kind"] for a in self._alerts if a["host_id"] == host["id"])
            table.add_row(
                Text(f"{shape} {host['display'].replace('_', ' ')}", style=colour),
                host["name"],
                "24×7" if host["always_on"] else "intermittent",
                self._activity(host),
                Text(f"▲ {alerts}" if alerts else "-", style="yellow" if alerts else "dim"),
            )
        return table

    @staticmethod
    def _activity(host: dict[str, Any]) -> str:
        if host["current_job_id"]:
            return "◔ backing up"
        if host["catch_up"]:
            return f"◷ catch-up: {host['catch_up']['state']}"
        return "-"

    @staticmethod
    def _line(entry: tuple[float, Told]) -> Text:
        seconds, told = entry
        mark = ("✓", "green") if told.done else ("…", "yellow")
        return Text.assemble((f"{seconds:6.1f} s ", "dim"), mark, f" {told.text}")
