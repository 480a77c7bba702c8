"""`dormice host show`: a host on one screen."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cli import words
from cli.client import Client
from cli.finding import find_host, short
from cli.parts import group_table, parts_of, schedule_table
from cli.table import Row, lay_out, wrap
from cli.terminal import Shape, Terminal
from cli.times import day_and_clock, moment, since

HEAD = 14


@dataclass(frozen=True, slots=True)
class HostPage:
    """A host with all that belongs to it."""

    host: Row
    groups: list[Row]
    schedules: list[Row]
    alerts: list[Row]

    def as_dict(self) -> dict[str, Any]:
        return {**self.host, "source_groups": self.groups, "schedules": self.schedules,
                "alerts": self.alerts}  # fmt: skip


def fetch_page(client: Client, word: str) -> HostPage:
    """Raises: NotFound, Ambiguous."""
    host = find_host(client, word)
    return HostPage(
        host,
        parts_of(client, host, "source-groups"),
        parts_of(client, host, "schedules"),
        list(client.items("/alerts", host_id=host["id"], state="open")),
    )


def page_lines(page: HostPage, now: datetime, terminal: Terminal) -> list[str]:
    host = page.host
    lines = wrap(f"{host['name']}  {presence_sentence(host, now)}", terminal.width, 2)
    for head, text in facts(host, now):
        lines += wrap(f"  {head:<{HEAD}}{text}", terminal.width, HEAD + 2)
    for alert in page.alerts:
        lines += wrap(f"  {Shape.ATTENTION.shape} {alert['message']}", terminal.width, 4)
    names = {group["id"]: group["name"] for group in page.groups}
    lines += ["", *lay_out(group_table(), page.groups, terminal)] if page.groups else []
    lines += ["", *lay_out(schedule_table(names), page.schedules, terminal)] if (
        page.schedules) else []  # fmt: skip
    step = next_step(page)
    return [*lines, "", *wrap(f"next: {step}", terminal.width, 6)] if step else lines


def presence_sentence(host: Row, now: datetime) -> str:
    """`☾ asleep · last seen 3 h ago · will catch up on return`."""
    parts = [words.presence(host)]
    if host["display"] in ("asleep", "offline"):
        parts.append(f"last seen {words.seen(host, now)}")
    if host["display"] == "online":
        parts.append(f"last heartbeat {words.seen(host, now)}")
    if host["display"] == "asleep":
        parts.append("will catch up on return")
    if host["display"] == "offline" and (warning := words.alert_warning(host, now)):
        parts.append(warning)
    return " · ".join(parts)


def facts(host: Row, now: datetime) -> list[tuple[str, str]]:
    """Return what is known of a host, as heads and texts; what is not known is left out."""
    enrolled = moment(host["enrolled_at"])
    ahead = host["next_alert"]
    alert_at = moment(ahead["at"]) if ahead else None
    limits = host["thresholds"]
    offset = host["clock_offset_seconds"]
    known = [
        ("mode", words.mode(host)),
        ("last backup", words.last_backup(host, now)),
        ("next backup", words.next_backup(host, now)),
        ("first alert", f"{day_and_clock(alert_at)} ({words.alert_word(ahead['kind'])})"
         if alert_at else ""),
        ("thresholds", ", ".join(f"{name} {one['value']} ({one['from']})"
                                 for name, one in limits.items())),
        ("running", f"job {short(host['current_job_id'])}" if host["current_job_id"] else ""),
        ("repository", "set" if host["has_repository"] else "not set"),
        ("power", _power(host["power"])),
        ("clock", f"{offset:+.0f} s off" if offset and abs(offset) > 300 else ""),
        ("tags", ", ".join(host["tags"])),
        ("system", f"{host['os']}/{host['arch']}, agent {host['agent_version']}"),
        ("zone", str(host["timezone"])),
        ("enrolled", since(enrolled, now) if enrolled else ""),
        ("id", str(host["id"])),
    ]  # fmt: skip
    return [(head, text) for head, text in known if text]


def _power(power: Row | None) -> str:
    if not power or power["on_battery"] is None:
        return ""
    text = "on battery" if power["on_battery"] else "on mains"
    text += f", {power['percent']:.0f} %" if power["percent"] is not None else ""
    return text + (", metered network" if power["metered"] else "")


def next_step(page: HostPage) -> str:
    """Return what is missing for a first backup, else why something is wrong."""
    name = page.host["name"]
    if not page.groups:
        return f"dormice group add {name} home /home"
    if not page.host["has_repository"]:
        return f"dormice repository set {name} LOCATION"
    if not page.schedules:
        return f"dormice schedule add {name} '0 2 * * *' --group {page.groups[0]['name']}"
    return f"dormice why {name}" if page.host["attention"] else ""
