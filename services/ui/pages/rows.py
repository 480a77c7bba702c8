"""The rows of the fleet: what is read for them, and their cells as HTML.

A cell that can change has an id, `h-<host>-<cell>`; the live stream sends such cells alone, never a
whole row: swapping a row would untick its box and lose the focus.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.ui import queries
from services.ui.pages import words
from services.ui.pages.habits import usual_words
from services.ui.pages.rendering import macros
from services.ui.pages.strip import DAYS, RowStrip, row_strip
from services.ui.pages.times import zone_of
from services.ui.pages.words import Overlay, Phrase
from services.ui.views import HostView, Strip

CELLS = ("state", "label", "mode", "backup", "next", "strip", "alerts", "do")


@dataclass(frozen=True, slots=True)
class Row:
    """A host and what its row says at `now`."""

    host: HostView
    now: datetime
    strip: RowStrip
    usual: str | None = None

    @property
    def state(self) -> Phrase:
        return words.row_state(self.host)

    @property
    def label(self) -> str | None:
        return words.action_label(self.host)

    @property
    def overlays(self) -> list[Overlay]:
        return [*words.activities(self.host), *words.attentions(self.host, self.now)]

    @property
    def backup(self) -> Phrase:
        return words.last_backup(self.host)

    @property
    def next(self) -> str:
        return words.next_backup(self.host, self.now)


def strips_of(db: sqlite3.Connection, hosts: Sequence[HostView], now: datetime) -> dict[str, Strip]:
    """Return the strips of hosts; a day more than shown, as each has its own midnight."""
    since = now - timedelta(days=DAYS + 1)
    return queries.strips(db, [host.id for host in hosts], since=since, now=now)


def make_row(host: HostView, strip: Strip, now: datetime) -> Row:
    away = "offline" if host.always_on else "asleep"
    drawn = row_strip(strip, now, zone_of(host.timezone), away_word=away)
    return Row(host, now, drawn, usual_words(host, strip, now))


def cells_of(row: Row) -> dict[str, str]:
    """Return the live cells of a row: element id → HTML."""
    made = macros("parts/cells.html")
    return {f"h-{row.host.id}-{name}": str(getattr(made, name)(row)) for name in CELLS}
