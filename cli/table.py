"""Tables that fit: columns shrink, then the least important ones go. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rich.cells import cell_len, set_cell_size

from cli.terminal import Terminal, to_ascii

Row = dict[str, Any]
GAP = 2
INDENT = 2


@dataclass(frozen=True, slots=True)
class Column:
    """`keep`: the higher, the later the column goes. `least`: its width may shrink to this; None:
    it is shown whole. `brief`: what it says, and `brief_title`, where there is little room; columns
    with a lower `brief_rank` turn brief first. `wide`: only with --wide.
    """

    title: str
    show: Callable[[Row], str]
    keep: int = 9
    least: int | None = None
    brief: Callable[[Row], str] | None = None
    brief_title: str = ""
    brief_rank: int = 0
    wide: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """How a list is shown. `fields` are the names of its CSV columns; `empty` is said of none."""

    columns: tuple[Column, ...]
    fields: tuple[str, ...]
    empty: str


def lay_out(table: Table, rows: Sequence[Row], terminal: Terminal) -> list[str]:
    """Return the lines of a table, none wider than the terminal."""
    columns = [column for column in table.columns if terminal.width is None or not column.wide]
    cells = _cells(columns, rows, terminal)
    for column in sorted((one for one in columns if one.brief), key=lambda one: one.brief_rank):
        if terminal.width is None or _total(_natural(cells)) <= terminal.width:
            break
        cells[column.title] = _brief_cells(column, rows, terminal)
    widths = fit(columns, _natural(cells), terminal.width)
    lines: list[str] = []
    for number in range(len(rows) + 1):
        parts = [_cut(cells[name][number], width, terminal) for name, width in widths.items()]
        lines.append((" " * INDENT + (" " * GAP).join(parts)).rstrip())
    return lines


def _cells(
    columns: Sequence[Column], rows: Sequence[Row], terminal: Terminal
) -> dict[str, list[str]]:
    """Return each column's title and texts, by its whole title."""
    return {
        column.title: [column.title, *(_clean(column.show(row), terminal) for row in rows)]
        for column in columns
    }


def _brief_cells(column: Column, rows: Sequence[Row], terminal: Terminal) -> list[str]:
    say = column.brief or column.show
    return [column.brief_title or column.title, *(_clean(say(row), terminal) for row in rows)]


def _natural(cells: dict[str, list[str]]) -> dict[str, int]:
    return {name: max(map(cell_len, texts)) for name, texts in cells.items()}


def fit(columns: Sequence[Column], natural: dict[str, int], width: int | None) -> dict[str, int]:
    """Return the width of each column that stays, in order."""
    kept = list(columns)
    while True:
        widths = {column.title: natural[column.title] for column in kept}
        over = 0 if width is None else _total(widths) - width
        shrinkable = [column for column in kept if column.least is not None]
        for column in sorted(shrinkable, key=lambda one: one.keep):
            give = min(over, max(widths[column.title] - (column.least or 0), 0))
            if give > 0:
                widths[column.title] -= give
                over -= give
        if over <= 0 or len(kept) == 1:
            return widths
        kept.remove(min(kept, key=lambda one: one.keep))


def _total(widths: dict[str, int]) -> int:
    return INDENT + sum(widths.values()) + GAP * (len(widths) - 1)


def _clean(text: str, terminal: Terminal) -> str:
    """One line, without control characters: what is shown was written by others."""
    line = "".join(one if one.isprintable() else " " for one in text)
    return line if terminal.unicode else to_ascii(line)


def _cut(text: str, width: int, terminal: Terminal) -> str:
    if cell_len(text) <= width:
        return set_cell_size(text, width)
    kept = set_cell_size(text, width - 1).rstrip() + ("…" if terminal.unicode else "~")
    return set_cell_size(kept, width)


def wrap(text: str, width: int | None, indent: int = 0) -> list[str]:
    """Return `text` in lines of at most `width`, all but the first indented."""
    if width is None:
        return [text]
    lines: list[str] = []
    line = text[: len(text) - len(text.lstrip())]
    for word in text.lstrip().split(" "):
        room = width - (indent if lines else 0)
        candidate = f"{line} {word}" if line.strip() else line + word
        if line.strip() and cell_len(candidate) > room:
            lines.append(line)
            candidate = word
        line = candidate
    return [one if number == 0 else " " * indent + one for number, one in enumerate([*lines, line])]
