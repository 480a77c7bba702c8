"""What was measured, against its limits; as a table and as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Reading:
    """One measured number. `limit` is what it may reach at most; None: only told."""

    what: str
    value: float
    unit: str = ""
    limit: float | None = None

    @property
    def kept(self) -> bool:
        return self.limit is None or self.value <= self.limit


@dataclass(frozen=True, slots=True)
class Result:
    hosts: int
    readings: list[Reading]
    reasons: dict[str, int]
    """Why connections were refused or dropped, and how often."""

    @property
    def kept(self) -> bool:
        return all(reading.kept for reading in self.readings)

    def as_json(self) -> str:
        rows = [asdict(reading) | {"kept": reading.kept} for reading in self.readings]
        whole = {"hosts": self.hosts, "kept": self.kept, "readings": rows, "reasons": self.reasons}
        return json.dumps(whole, indent=1)

    def print(self, console: Console) -> None:
        table = Table(title=f"{self.hosts:,} hosts", title_justify="left")
        table.add_column("what", overflow="fold")
        for name in ("measured", "limit", ""):
            table.add_column(name, justify="left" if name == "" else "right", no_wrap=True)
        for one in self.readings:
            limit = "" if one.limit is None else f"{one.limit:g} {one.unit}"
            verdict = "" if one.limit is None else "kept" if one.kept else "MISSED"
            table.add_row(one.what, f"{one.value:,.4g} {one.unit}", limit, verdict)
        console.print(table)
        for reason, times in self.reasons.items():
            console.print(f"  {times:,} × {reason}", highlight=False, soft_wrap=True)
