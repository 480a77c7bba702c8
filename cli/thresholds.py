"""The list of thresholds, setting some, taking them away."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cli.client import Client
from cli.errors import BadCommand
from cli.finding import find_host
from cli.options import Ask
from cli.output import Listing
from cli.table import Column, Row, Table

FIELDS = ("scope", "name", "offline", "stale", "missed")
DEFAULT = "default"
NEXT = "dormice threshold set --tag TAG --stale 3d"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Whose thresholds, as a person says it: one of the three."""

    host: str | None
    tag: str | None
    mode: str | None

    def check(self) -> None:
        """Raises: BadCommand."""
        if sum(one is not None for one in (self.host, self.tag, self.mode)) != 1:
            raise BadCommand("say whose thresholds: one of --host, --tag, --mode")

    @property
    def place(self) -> dict[str, str]:
        if self.mode is not None:
            return {"mode": self.mode.strip().lower().replace("-", "_")}
        return {"tag": self.tag or ""}

    @property
    def words(self) -> str:
        return self.host or (f"tag {self.tag}" if self.tag else f"{self.mode} hosts")


def change_thresholds(ask: Ask, wanted: Wanted, given: dict[str, str | None]) -> None:
    """Change what was said, of each threshold that is not None. Raises: BadCommand."""
    wanted.check()
    limits = {
        name: None if text == DEFAULT else text for name, text in given.items() if text is not None
    }
    if not limits:
        raise BadCommand("say which threshold: --offline, --stale or --missed")
    if wanted.host is not None:
        _change_host(ask, wanted, limits)
        return
    made = ask.client.patch("/thresholds", {**wanted.place, **limits})
    said = ", ".join(f"{name} {made[name] or DEFAULT}" for name in ("offline", "stale"))
    said += f", missed {made['missed']}" if made["missed"] else ""
    ask.out.result(made, f"{wanted.words}: {said}", "dormice threshold list")


def _change_host(ask: Ask, wanted: Wanted, limits: dict[str, Any] | None) -> None:
    assert wanted.host is not None
    found = find_host(ask.client, wanted.host)
    host = ask.client.patch(f"/hosts/{found['id']}", {"thresholds": limits})
    said = ", ".join(
        f"{name} {one['value']} ({one['from']})" for name, one in host["thresholds"].items()
    )
    ask.out.result(host, f"{host['name']}: {said}", f"dormice host show {host['name']}")


def drop_thresholds(ask: Ask, wanted: Wanted) -> None:
    wanted.check()
    if wanted.host is not None:
        _change_host(ask, wanted, None)
        return
    ask.client.delete("/thresholds", **wanted.place)
    ask.out.result({**wanted.place, "cleared": True}, f"{wanted.words}: none of its own any more")


def fetch_thresholds(client: Client) -> Listing:
    rows = list(client.items("/thresholds"))
    return Listing(threshold_table(), rows, "", "" if len(rows) > 1 else NEXT)


def threshold_table() -> Table:
    columns = (
        Column("OF", _of, keep=8, least=12),
        Column("OFFLINE", lambda rule: rule["offline"] or "-", keep=7),
        Column("STALE", lambda rule: rule["stale"] or "-", keep=7),
        Column("MISSED", lambda rule: rule["missed"] or "-", keep=6),
    )
    return Table(columns, FIELDS, "No threshold.")


def _of(rule: Row) -> str:
    if rule["scope"] == "fleet":
        return "fleet"
    return f"{rule['scope']} {rule['name']}"
