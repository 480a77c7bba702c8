"""What this output can show: how wide, which characters, colours or not."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from enum import Enum
from typing import IO

PLAIN_WIDTH = 80


class Shape(Enum):
    """A state's shape, and what stands for it where there is only ASCII. (shape, ASCII, colour)"""

    ONLINE = ("●", "+", "green")
    OFFLINE = ("■", "!", "red")
    ASLEEP = ("☾", "z", "bright_blue")
    NEVER_SEEN = ("○", "?", "bright_black")
    ATTENTION = ("▲", "A", "yellow")
    RUNNING = ("◔", ">", "blue")
    WAITING = ("◷", "~", "magenta")
    NONE = (" ", " ", "")

    def __init__(self, shape: str, ascii_shape: str, colour: str) -> None:
        self.shape, self.ascii_shape, self.colour = shape, ascii_shape, colour

    def beside(self, words: str) -> str:
        """Return the shape with its word; there is always a word."""
        return f"{self.shape} {words}"


_TO_ASCII = str.maketrans(
    {
        **{one.shape: one.ascii_shape for one in Shape},
        "·": "-", "…": "~", "×": "x", "—": "-", "–": "-", "’": "'", "“": '"', "”": '"',
        "→": "->", "\u00a0": " ",
    }
)  # fmt: skip


def to_ascii(text: str) -> str:
    """Return `text` in ASCII: shapes by their stand-ins, any other character as `?`."""
    return text.translate(_TO_ASCII).encode("ascii", "replace").decode()


@dataclass(frozen=True, slots=True)
class Terminal:
    """`width` in columns, None: no limit. `live`: a person watches, so colours and repaint."""

    width: int | None = PLAIN_WIDTH
    unicode: bool = True
    live: bool = False
    colour: bool = False


def look_at(stream: IO[str] | None = None, *, wide: bool = False) -> Terminal:
    """Return what `stream` (default: stdout) can show."""
    out = stream or sys.stdout
    live = out.isatty() and os.environ.get("TERM") != "dumb"
    unicode = (getattr(out, "encoding", None) or "").lower().replace("-", "").startswith("utf")
    width = shutil.get_terminal_size((PLAIN_WIDTH, 24)).columns if live else PLAIN_WIDTH
    colour = live and not os.environ.get("NO_COLOR")
    return Terminal(None if wide else max(width, 40), unicode, live, colour)
