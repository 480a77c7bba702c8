"""The lists of channels and of their messages."""

from __future__ import annotations

from datetime import datetime

from cli.channels import find_channel, outcome_of
from cli.client import Client
from cli.finding import host_names, short
from cli.output import Listing
from cli.table import Column, Row, Table
from cli.terminal import Shape
from cli.times import moment, since, until
from libs.common.clock import SystemClock
from libs.common.weekly import DAYS

CHANNEL_FIELDS = (
    "id", "name", "kind", "where", "filter", "quiet_hours", "rate_limit", "pending",
    "waiting_for_digest", "in_trouble", "last_delivered_at", "last_failed_at", "last_error_at",
    "last_error", "created_at",
)  # fmt: skip
MESSAGE_FIELDS = (
    "id", "event", "alert_ids", "state", "tries", "created_at", "next_try_at", "ended_at", "status",
    "error",
)  # fmt: skip


def fetch_channels(client: Client) -> Listing:
    rows = list(client.items("/channels"))
    wanted = {host for row in rows for host in (row["filter"] or {}).get("host_ids", ())}
    names = host_names(client, wanted) if wanted else {}
    step = "" if rows else "dormice channel add ops webhook url=https://…"
    return Listing(channel_table(names, SystemClock().now()), rows, "", step)


def channel_table(names: dict[str, str], now: datetime) -> Table:
    def last(channel: Row) -> str:
        at = moment(channel["last_delivered_at"])
        return since(at, now) if at else "none yet"

    columns = (
        Column("STATE", state_of),
        Column("NAME", lambda one: str(one["name"]), keep=9, least=8),
        Column("TYPE", lambda one: str(one["kind"]), keep=6),
        Column("WHERE", lambda one: one["where"] or "cannot be opened", keep=4, least=16),
        Column("TOLD OF", lambda one: told_of(one, names), keep=5, least=10),
        Column("NOT", not_when, keep=3, least=8),
        Column("LAST", last, keep=7),
        Column("WAITING", lambda one: str(one["pending"] + one["waiting_for_digest"]), keep=6),
        Column("ERROR", lambda one: one["last_error"] or "-", keep=2, wide=True),
        Column("ID", lambda one: short(one["id"]), keep=8),
    )
    return Table(columns, CHANNEL_FIELDS, "No channel: nobody is told of anything.")


def state_of(channel: Row) -> str:
    if channel["in_trouble"]:
        return Shape.ATTENTION.beside("in trouble")
    return Shape.NONE.beside("ok" if channel["last_delivered_at"] else "untried")


def told_of(channel: Row, names: dict[str, str]) -> str:
    """`everything`, or `critical; hosts tagged lab`."""
    wanted = channel["filter"] or {}
    hosts = [names.get(host, short(host)) for host in wanted.get("host_ids", ())]
    parts = (
        ", ".join(wanted.get("severities", ())),
        ", ".join(wanted.get("kinds", ())),
        f"hosts tagged {' or '.join(wanted['tags'])}" if wanted.get("tags") else "",
        ", ".join(hosts),
    )
    return "; ".join(part for part in parts if part) or "everything"


def not_when(channel: Row) -> str:
    """`22:00-07:00 mon-fri Europe/Berlin, over 10 in 15 min`."""
    parts = []
    quiet, rate = channel["quiet_hours"], channel["rate_limit"]
    if quiet:
        days = "" if len(quiet["days"]) == len(DAYS) else f" {','.join(quiet['days'])}"
        parts.append(f"{quiet['from']}-{quiet['to']}{days} {quiet['timezone']}")
    if rate:
        parts.append(f"over {rate['messages']} in {rate['minutes']} min")
    return ", ".join(parts) or "-"


def fetch_messages(client: Client, word: str, limit: int) -> Listing:
    channel = find_channel(client, word)
    rows = list(client.items(f"/channels/{channel['id']}/deliveries", limit))
    step = "" if rows else f"dormice channel test {channel['name']}"
    return Listing(message_table(SystemClock().now()), rows, "", step)


def message_table(now: datetime) -> Table:
    def following(message: Row) -> str:
        at = moment(message["next_try_at"])
        return until(at, now) if at else "-"

    columns = (
        Column("WHEN", lambda one: since(datetime.fromisoformat(one["created_at"]), now)),
        Column("EVENT", lambda one: str(one["event"]), keep=8),
        Column("ALERTS", lambda one: str(len(one["alert_ids"])), keep=3),
        Column("OUTCOME", outcome_of, keep=9, least=20),
        Column("TRIES", lambda one: str(one["tries"]), keep=5),
        Column("NEXT TRY", following, keep=6),
        Column("ID", lambda one: short(one["id"]), keep=4),
    )
    return Table(columns, MESSAGE_FIELDS, "No message yet.")
