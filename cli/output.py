"""Prints answers: tables, JSON, CSV; again and again with --watch. Colours only for a person."""

from __future__ import annotations

import contextlib
import csv
import json
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from cli.table import Row, Table, lay_out, wrap
from cli.terminal import Shape, Terminal, look_at, to_ascii
from libs.common.errors import DormiceError, Unavailable

WATCH_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Listing:
    """A list and how it is shown. `summary` and `following` (the next step) come below it."""

    table: Table
    rows: Sequence[Row]
    summary: str = ""
    following: str = ""


@dataclass(frozen=True, slots=True)
class Output:
    """How the caller wants its answers."""

    as_json: bool = False
    as_csv: bool = False
    watch: bool = False
    terminal: Terminal = field(default_factory=look_at)

    # -- lists ------------------------------------------------------------------------------------

    def show_list(self, fetch: Callable[[], Listing]) -> None:
        """Print a list once, or as often as it changes with --watch, until Ctrl-C."""
        if not self.watch:
            self._print_list(fetch())
            return
        repaints = self.terminal.live and not (self.as_json or self.as_csv)
        with contextlib.suppress(KeyboardInterrupt):
            (self._repaint if repaints else self._append)(fetch)

    def _print_list(self, listing: Listing) -> None:
        if self.as_json:
            self.json(list(listing.rows))
        elif self.as_csv:
            write_csv(listing.table.fields, listing.rows)
        else:
            self.lines(self.lines_of(listing))

    def lines_of(self, listing: Listing) -> list[str]:
        """Return a list as lines: table, summary, next step."""
        if listing.rows:
            lines = lay_out(listing.table, listing.rows, self.terminal)
        else:
            lines = [listing.table.empty]
        return [*lines, *self._footer(listing.summary, listing.following)]

    def _footer(self, summary: str, following: str) -> list[str]:
        """Summary and next step: on one line if there is room."""
        step = f"next: {following}" if following else ""
        width = self.terminal.width or 80
        room = width - len(summary) - len(step)
        if summary and step and room >= 2:
            return [summary + " " * room + step]
        return [line for part in (summary, step) if part for line in wrap(part, width)]

    def _repaint(self, fetch: Callable[[], Listing]) -> None:
        from rich.live import Live
        from rich.text import Text

        with Live(console=self._console(), auto_refresh=False) as live:
            for lines in self._again(fetch):
                painted = Text("\n", no_wrap=True).join(self._painted(one) for one in lines)
                live.update(painted, refresh=True)

    def _append(self, fetch: Callable[[], Listing]) -> None:
        """Where nothing can be repainted, or for a program: all of it at every change."""
        before: object = None
        while True:
            listing = fetch()
            if list(listing.rows) != before:
                before = list(listing.rows)
                self._print_list(listing)
                sys.stdout.flush()
            time.sleep(WATCH_SECONDS)

    def _again(self, fetch: Callable[[], Listing]) -> Iterable[list[str]]:
        lines: list[str] = []
        while True:
            try:
                lines = self.lines_of(fetch())
                yield lines
            except Unavailable as error:
                yield [*lines, f"NOT LIVE: {error.message}; trying again"]
            time.sleep(WATCH_SECONDS)

    # -- one thing --------------------------------------------------------------------------------

    def json(self, value: Any) -> None:
        """Print for machines."""
        print(json.dumps(value, indent=2, ensure_ascii=not self.terminal.unicode))

    def lines(self, lines: Iterable[str]) -> None:
        """Print lines; the shapes in them are coloured for a person."""
        if not self.terminal.colour:
            for line in lines:
                print(line if self.terminal.unicode else to_ascii(line))
            return
        console = self._console()
        for line in lines:
            console.print(self._painted(line), soft_wrap=True)

    def say(self, text: str, following: str = "") -> None:
        """Print a sentence, and the next step."""
        width = self.terminal.width
        steps = wrap(f"next: {following}", width, 6) if following else []
        self.lines([*wrap(text, width), *steps])

    def result(self, value: Any, text: str, following: str = "") -> None:
        """Print what a change led to: as JSON, or as a sentence."""
        if self.as_json:
            self.json(value)
        else:
            self.say(text, following)

    def _console(self) -> Any:
        from rich.console import Console

        return Console(highlight=False, markup=False, emoji=False)

    def _painted(self, line: str) -> Any:
        from rich.text import Text

        text = Text(line if self.terminal.unicode else to_ascii(line))
        if not self.terminal.colour:
            return text
        for shape in Shape:
            if shape.colour and self.terminal.unicode:
                text.highlight_regex(rf"{shape.shape} ?[\w-]*", style=shape.colour)
        if line.startswith("next:"):
            text.stylize("dim")
        return text


def write_csv(fields: Sequence[str], rows: Iterable[Row]) -> None:
    """Write rows as CSV: lists joined by `;`, what has parts as JSON, nothing for null."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(fields)
    for row in rows:
        writer.writerow([_cell(row.get(name)) for name in fields])


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return ";".join(value)
    return json.dumps(value) if isinstance(value, (list, dict)) else str(value)


def warn(text: str) -> None:
    """Say something beside the answer: on stderr, so that the answer stays what it is."""
    print(text, file=sys.stderr)


def first_line(error: DormiceError) -> str:
    return error.message.split("\n", 1)[0]
