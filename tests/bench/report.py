"""What was measured as a table, as JSON, and as a page with plots."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.bench.figure import Measured

COLUMNS = ("what", "median", "spread", "runs", "reach", "÷ reach", "aim", "peer", "÷ peer", "")
WIDTH, ROW, BAR, LABEL = 900, 34, 14, 430


def print_table(console: Console, found: Sequence[Measured]) -> None:
    table = Table(title="Dormice: medians", title_justify="left")
    for name in COLUMNS:
        table.add_column(name, justify="left" if name in ("what", "") else "right",
                         no_wrap=name not in ("what", "peer", ""))  # fmt: skip
    for one in found:
        table.add_row(*_cells(one))
    console.print(table)


def _cells(one: Measured) -> list[str]:
    figure, peer = one.figure, one.peer
    named = f"{short(peer)} {figure.peer_name}" if peer else figure.peer_name
    reach = figure.reach
    return [
        figure.what,
        f"{short(one.value)} {figure.unit}",
        f"{short(min(one.runs))} – {short(max(one.runs))}",
        str(len(one.runs)),
        "" if reach is None else f"{reach:g}",
        f"{one.value / reach:.2f}" if reach else "",
        "" if figure.aim is None else f"{figure.aim:g}",
        named,
        f"{one.value / peer:.2f}" if peer and figure.unit else "",  # A ratio is one already.
        one.verdict,
    ]


def short(value: float) -> str:
    """Three digits that say something: 3,660; 0.717; 25.4."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def write_json(path: Path, found: Sequence[Measured], machine: dict[str, object]) -> None:
    body = {"machine": machine, "figures": [one.as_dict() for one in found]}
    path.write_text(json.dumps(body, indent=1) + "\n")


def write_page(path: Path, found: Sequence[Measured], machine: dict[str, object]) -> None:
    """Write a page of bars: how much of each limit is used, or reached."""
    limited = [one for one in found if one.figure.reach is not None]
    rows = "".join(_row(place, one) for place, one in enumerate(limited))
    height = ROW * len(limited) + 30
    said = ", ".join(f"{name}: {value}" for name, value in machine.items())
    path.write_text(
        "<!doctype html><meta charset=utf-8><title>Dormice: figures</title>"
        "<style>body{font:14px system-ui;margin:2em}text{font:12px system-ui}</style>"
        "<h1>Figures</h1><p>Each bar is the median as a share of its limit, the line through it "
        "the spread of the runs; the upright line is the limit. ↑ more is better, ↓ less is."
        f"</p><p>{escape(said)}</p>"
        f'<svg width="{WIDTH}" height="{height}" role="img">{rows}'
        f'<line x1="{_x(1)}" x2="{_x(1)}" y1="0" y2="{height - 26}" stroke="#333"/>'
        f'<text x="{_x(1)}" y="{height - 10}" text-anchor="middle">limit</text></svg>\n'
    )


def _row(place: int, one: Measured) -> str:
    y, reach = place * ROW + 8, one.figure.reach or 0.0
    shares = [_share(value, reach) for value in (one.value, min(one.runs), max(one.runs))]
    middle, low, high = (_x(share) for share in shares)
    colour = "#9a9a9a" if not one.quiet else "#3a7d44" if one.reached else "#b3261e"
    arrow = "↑" if one.figure.more else "↓"
    title = f"{one.figure.what} {arrow}"
    worth = f"{short(one.value)} {one.figure.unit}"
    told = f"{worth} of {reach:g}: {one.verdict}"
    return (
        f'<text x="{LABEL - 8}" y="{y + 11}" text-anchor="end">{escape(title[:70])}</text>'
        f'<rect x="{LABEL}" y="{y}" width="{max(1, middle - LABEL):.0f}" height="{BAR}" '
        f'fill="{colour}"><title>{escape(told)}</title></rect>'
        f'<line x1="{low:.0f}" x2="{high:.0f}" y1="{y + BAR / 2}" y2="{y + BAR / 2}" '
        f'stroke="#000" stroke-width="2"/>'
        f'<text x="{min(WIDTH - 150, max(middle, high) + 6):.0f}" y="{y + 11}">'
        f"{escape(worth)}</text>"
    )


def _share(value: float, reach: float) -> float:
    """Of a limit of 0 any value is more than all."""
    if reach == 0:
        return 0.0 if value == 0 else 2.0
    return min(2.0, value / reach)


def _x(share: float) -> float:
    return LABEL + share * 180
