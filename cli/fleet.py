"""The list of hosts: what is asked for it, and its columns."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

from cli import words
from cli.client import Client
from cli.output import Listing
from cli.table import Column, Row, Table
from libs.common.clock import SystemClock

FIELDS = (
    "id", "name", "always_on", "status", "display", "last_seen_at", "last_backup_at",
    "next_fire_at", "overdue", "attention", "open_alerts", "current_job_id", "timezone", "tags",
    "os", "arch", "agent_version",
)  # fmt: skip
NO_HOSTS = "No host yet. Add the first one."
NO_MATCH = "No host matches."


def fetch_hosts(client: Client, query: str, limit: int, sort: str | None) -> Listing:
    """Return the hosts that match, and the fleet in numbers below them."""
    rows = list(client.items("/hosts", limit, q=query or None, sort=sort))
    fleet = client.get("/fleet")
    kinds: dict[str, list[str]] = defaultdict(list)
    if fleet["alerts"]:
        for alert in client.items("/alerts", state="open"):
            kinds[alert["host_id"] or ""].append(alert["kind"])
    table = host_table(kinds, SystemClock().now(), empty=NO_MATCH if fleet["total"] else NO_HOSTS)
    return Listing(table, rows, words.fleet_summary(fleet), _next_step(rows, fleet))


def host_table(kinds: dict[str, list[str]], now: datetime, empty: str = NO_HOSTS) -> Table:
    """Return the columns; `kinds`: those of the open alerts by host."""
    columns = (
        Column("STATE", words.presence, brief=words.brief_presence, brief_rank=3),
        Column("HOST", lambda host: str(host["name"]), least=8),
        Column("MODE", words.mode, brief=words.brief_mode, brief_rank=4),
        Column("SEEN", lambda host: words.seen(host, now), keep=6,
               brief=lambda host: words.brief_ago(words.seen(host, now)), brief_rank=1),
        Column("LAST BACKUP", lambda host: words.last_backup(host, now), keep=7,
               brief=lambda host: words.brief_ago(words.last_backup(host, now)),
               brief_title="BACKUP", brief_rank=5),
        Column("NEXT", lambda host: words.next_backup(host, now), keep=5, least=13,
               brief=lambda host: words.brief_next(host, now)),
        Column("ALERTS", lambda host: words.attention(host, kinds[host["id"]]), keep=8, least=7,
               brief=lambda host: words.brief_attention(host, kinds[host["id"]]), brief_rank=2),
        Column("TAGS", lambda host: ",".join(host["tags"]), keep=1, wide=True),
        Column("ZONE", lambda host: str(host["timezone"]), keep=1, wide=True),
        Column("AGENT", lambda host: f"{host['agent_version']} {host['os']}/{host['arch']}",
               keep=1, wide=True),
        Column("ID", lambda host: str(host["id"]), keep=2, wide=True),
    )  # fmt: skip
    return Table(columns, FIELDS, empty)


def _next_step(rows: Sequence[Row], fleet: Row) -> str:
    if fleet["total"] == 0:
        return "dormice enroll-token"
    troubled = next((host for host in rows if host["attention"]), None)
    return f"dormice why {troubled['name']}" if troubled else ""
