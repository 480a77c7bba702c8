"""The list of silences, making one, ending one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cli.client import Client
from cli.errors import BadCommand
from cli.finding import find_by_id, find_host, host_names, short
from cli.options import Ask
from cli.output import Listing
from cli.table import Column, Row, Table
from cli.terminal import Shape
from cli.times import day_and_clock, local_clock, moment
from libs.common.clock import SystemClock
from libs.common.weekly import Weekly, describe, parse_weekly

FIELDS = (
    "id", "state", "host_id", "tag", "kind", "from", "to", "reason", "created_at", "created_by",
    "ended_at", "ended_by", "weekly",
)  # fmt: skip
MOST = 500


@dataclass(frozen=True, slots=True)
class NewSilence:
    """What a person says of a new silence; `host` as a person names it."""

    host: str | None
    tag: str | None
    kind: str | None
    lasts: str | None
    begins_at: str | None
    ends_at: str | None
    reason: str
    weekly: str | None = None
    zone: str = "UTC"
    until_ended: bool = False

    def check(self) -> None:
        """Raises: BadCommand: it names nothing, or no end."""
        if self.host is None and self.tag is None and self.kind is None:
            raise BadCommand("say what to silence: --host, --tag or --kind")
        if self.lasts is None and self.ends_at is None and not self.until_ended:
            raise BadCommand("say until when: --for 3h or --to 2026-11-23T22:00")


def create_silence(ask: Ask, wanted: NewSilence) -> None:
    """Make a silence and say whom nobody is told of, and until when.

    Raises: BadCommand, and what the client raises.
    """
    wanted.check()
    body = {
        "host_id": find_host(ask.client, wanted.host)["id"] if wanted.host else None,
        "tag": wanted.tag,
        "kind": wanted.kind,
        "for": wanted.lasts,
        "from": _written(wanted.begins_at),
        "to": _written(wanted.ends_at),
        "reason": wanted.reason or None,
        "weekly": _weekly(wanted),
        "until_ended": wanted.until_ended or None,
    }
    sent = {name: value for name, value in body.items() if value is not None}
    made = ask.client.post("/silences", sent)
    names = _names(ask.client, [made])
    end = day_and_clock(datetime.fromisoformat(made["to"])) if made["to"] else "it is ended"
    begin = datetime.fromisoformat(made["from"])
    is_ahead = made["state"] != "active" and not made["weekly"]
    begun = f"from {day_and_clock(begin)} " if is_ahead else ""
    said = f"silenced: {whom(made, names)}, {begun}{_when(made)}until {end}"
    ask.out.result(made, said, f"dormice silence end {short(made['id'])}")


def _weekly(wanted: NewSilence) -> dict[str, Any] | None:
    """Raises: BadCommand."""
    if wanted.weekly is None:
        return None
    try:
        return parse_weekly(wanted.weekly, wanted.zone).body()
    except ValueError as error:
        raise BadCommand(str(error)) from None


def _when(silence: Row) -> str:
    """`daily 01:00–02:00 UTC, `, or nothing for a silence that is not weekly."""
    weekly = silence["weekly"]
    return f"{describe(Weekly.model_validate(weekly))}, " if weekly else ""


def _written(text: str | None) -> str | None:
    """Return a moment as RFC 3339; without a zone it is this machine's. Raises: BadCommand."""
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text.strip()).astimezone().isoformat()
    except (ValueError, OverflowError):
        raise BadCommand(f"{text[:64]!r} is no moment; write it as 2026-11-23T22:00") from None


def end_by_hand(ask: Ask, word: str) -> None:
    found = find_by_id(_current(ask.client), word, "current silence")
    ask.client.delete(f"/silences/{found['id']}")
    said = f"ended: {whom(found, _names(ask.client, [found]))} may be told of again"
    ask.out.result({"id": found["id"], "ended": True}, said)


def fetch_silences(client: Client, *, every: bool) -> Listing:
    rows = list(client.items("/silences", MOST)) if every else _current(client)
    step = "" if rows else "dormice silence add --host HOST --for 3h"
    return Listing(silence_table(_names(client, rows), SystemClock().now()), rows, "", step)


def _current(client: Client) -> list[Row]:
    return list(client.items("/silences", MOST, state="current"))


def _names(client: Client, rows: list[Row]) -> dict[str, str]:
    """Return the names of the hosts that silences are for; a host that is gone has none."""
    return host_names(client, {row["host_id"] for row in rows if row["host_id"]})


def silence_table(names: dict[str, str], now: datetime) -> Table:
    def end(silence: Row) -> str:
        at = moment(silence["ended_at"] or silence["to"])
        return local_clock(at, now) if at else "until ended"

    columns = (
        Column("STATE", lambda silence: Shape.NONE.beside(silence["state"])),
        Column("WHOM", lambda silence: whom(silence, names), keep=9, least=20),
        Column("FROM", lambda one: local_clock(datetime.fromisoformat(one["from"]), now), keep=5),
        Column("TO", end, keep=7),
        Column("WEEKLY", lambda silence: _when(silence).rstrip(", ") or "-", keep=3, least=12),
        Column("REASON", lambda silence: str(silence["reason"]), keep=4, least=12),
        Column("BY", lambda silence: str(silence["created_by"]), keep=2, wide=True),
        Column("ENDED BY", lambda silence: silence["ended_by"] or "-", keep=1, wide=True),
        Column("ID", lambda silence: short(silence["id"]), keep=8),
    )
    return Table(columns, FIELDS, "No silence: everybody is told of everything.")


def whom(silence: Row, names: dict[str, str]) -> str:
    """`web-3, agent_offline`, `hosts tagged lab`: all of it must fit."""
    host = silence["host_id"]
    parts = (
        names.get(host, host),
        f"hosts tagged {silence['tag']}" if silence["tag"] else None,
        silence["kind"],
    )
    return ", ".join(part for part in parts if part)
