"""What a look of `dormice doctor` comes to."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at: state ok, warn or fail; `mend` says what to do."""

    what: str
    state: str
    text: str
    mend: str = ""
