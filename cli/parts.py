"""Source groups, schedules and repository of a host: what is asked and what is said."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cli.asking import confirm, read_environment, read_secret
from cli.client import Client
from cli.errors import BadCommand
from cli.finding import find_host, find_part, label, short
from cli.options import Ask
from cli.output import Listing
from cli.removing import remove
from cli.table import Column, Row, Table
from cli.terminal import Shape
from cli.times import day_and_clock, local_clock, moment, since
from libs.common.clock import SystemClock

GROUP_FIELDS = (
    "id", "host_id", "name", "includes", "excludes", "retry_max", "last_success_at", "last_run_at",
    "last_run_status",
)  # fmt: skip
SCHEDULE_FIELDS = (
    "id", "host_id", "name", "cron", "timezone", "enabled", "catch_up", "source_group_ids",
    "next_fire", "last_success_at", "overdue", "overdue_since",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class NewSchedule:
    """What a person says of a new schedule; `groups` by name or id."""

    cron: str
    groups: tuple[str, ...]
    name: str | None
    timezone: str | None
    catch_up: bool


def parts_of(client: Client, host: Row, kind: str) -> list[Row]:
    """Return a host's `source-groups` or `schedules`."""
    items: list[Row] = client.get(f"/hosts/{host['id']}/{kind}")["items"]
    return items


def fetch_groups(client: Client, word: str) -> Listing:
    host = find_host(client, word)
    rows = parts_of(client, host, "source-groups")
    step = "" if rows else f"dormice group add {host['name']} home /home"
    return Listing(group_table(), rows, "", step)


def group_table() -> Table:
    now = SystemClock().now()

    def last(text: str | None) -> str:
        at = moment(text)
        return since(at, now) if at else "none yet"

    columns = (
        Column("GROUP", lambda group: str(group["name"]), least=12),
        Column("LAST SUCCESS", lambda group: last(group["last_success_at"]), keep=8),
        Column("LAST RUN", lambda group: (group["last_run_status"] or "-").replace("_", " "),
               keep=6, least=10),
        Column("PATHS", lambda group: " ".join(group["includes"]), keep=5, least=12),
        Column("EXCLUDES", lambda group: " ".join(group["excludes"]), keep=1, wide=True),
        Column("ID", lambda group: str(group["id"]), keep=2, wide=True),
    )  # fmt: skip
    return Table(columns, GROUP_FIELDS, "No source group yet.")


def fetch_schedules(client: Client, word: str) -> Listing:
    host = find_host(client, word)
    names = {group["id"]: group["name"] for group in parts_of(client, host, "source-groups")}
    rows = parts_of(client, host, "schedules")
    first = next(iter(names.values()), "GROUP")
    step = "" if rows else f"dormice schedule add {host['name']} '0 2 * * *' --group {first}"
    return Listing(schedule_table(names), rows, "", step)


def schedule_table(names: dict[str, str]) -> Table:
    now = SystemClock().now()

    def state(schedule: Row) -> str:
        if not schedule["enabled"]:
            return Shape.NONE.beside("disabled")
        return (Shape.WAITING.beside("overdue") if schedule["overdue"]
                else Shape.NONE.beside("enabled"))  # fmt: skip

    def due(schedule: Row) -> str:
        at = moment(schedule["next_fire"])
        return local_clock(at, now) if at else "-"

    columns = (
        Column("STATE", state),
        Column("SCHEDULE", label, least=10),
        Column("CRON", lambda schedule: str(schedule["cron"]), keep=8, least=9),
        Column("NEXT", due, keep=7),
        Column("LAST SUCCESS", lambda one: _last(one, now), keep=4),
        Column("GROUPS", lambda one: ", ".join(names.get(each, each)
                                               for each in one["source_group_ids"]) or "none",
               keep=6, least=8),
        Column("ZONE", lambda one: one["timezone"] or "the host's", keep=2, wide=True),
        Column("CATCH-UP", lambda one: str(one["catch_up"]).replace("_", " "), keep=1, wide=True),
        Column("ID", lambda one: str(one["id"]), keep=2, wide=True),
    )  # fmt: skip
    return Table(columns, SCHEDULE_FIELDS, "No schedule yet.")


def _last(thing: Row, now: datetime) -> str:
    at = moment(thing["last_success_at"])
    return since(at, now) if at else "none yet"


def create_schedule(ask: Ask, word: str, wanted: NewSchedule) -> None:
    """Make a schedule and say when it fires first."""
    host = find_host(ask.client, word)
    known = parts_of(ask.client, host, "source-groups")
    body = {
        "cron": wanted.cron,
        "source_group_ids": [find_part(known, one, "source group")["id"] for one in wanted.groups],
        "catch_up": "latest_once" if wanted.catch_up else "off",
        "name": wanted.name,
        "timezone": wanted.timezone,
    }
    sent = {name: value for name, value in body.items() if value is not None}
    made = ask.client.post(f"/hosts/{host['id']}/schedules", sent)
    at = moment(made["next_fire"])
    first = f"first on {day_and_clock(at)}" if at else "it does not fire"
    step = "" if host["has_repository"] else f"dormice repository set {host['name']} LOCATION"
    ask.out.result(made, f"{host['name']} backs up at {made['cron']}, {first}", step)


def switch_schedule(ask: Ask, word: str, schedule: str, *, enabled: bool) -> None:
    host = find_host(ask.client, word)
    found = find_part(parts_of(ask.client, host, "schedules"), schedule, "schedule")
    path = f"/hosts/{host['id']}/schedules/{found['id']}"
    changed = ask.client.patch(path, {"enabled": enabled})
    state = "enabled" if changed["enabled"] else "disabled"
    ask.out.result(changed, f"{host['name']}: schedule {label(changed)} is {state}")


def remove_group(ask: Ask, word: str, group: str, *, sure: bool) -> None:
    """Remove a source group, and say which schedules have none left: they never run."""
    host = find_host(ask.client, word)
    found = find_part(parts_of(ask.client, host, "source-groups"), group, "source group")
    idle = [one for one in parts_of(ask.client, host, "schedules")
            if one["source_group_ids"] == [found["id"]]]  # fmt: skip
    if not sure:
        then = f" Then {_never_run(idle)}: nothing else is left to back up." if idle else ""
        confirm(f"Remove group {found['name']} of {host['name']}?{then}")
    ask.client.delete(f"/hosts/{host['id']}/source-groups/{found['id']}")
    said = f"{host['name']}: group {found['name']} is removed"
    said += f"; {_never_run(idle)} now: nothing is left to back up" if idle else ""
    step = f"dormice schedule remove {host['name']} {_word_for(idle[0])}" if idle else ""
    ids = [one["id"] for one in idle]
    ask.out.result({"id": found["id"], "removed": True, "idle_schedule_ids": ids}, said, step)


def _never_run(idle: list[Row]) -> str:
    """`schedule nightly never runs`."""
    names = ", ".join(one["name"] or f"{_word_for(one)} ({one['cron']})" for one in idle)
    return f"schedule {names} never runs" if len(idle) == 1 else f"schedules {names} never run"


def _word_for(schedule: Row) -> str:
    return str(schedule["name"] or short(schedule["id"]))


def remove_schedule(ask: Ask, word: str, schedule: str) -> None:
    host = find_host(ask.client, word)
    found = find_part(parts_of(ask.client, host, "schedules"), schedule, "schedule")
    said = f"{host['name']}: schedule {label(found)} is removed"
    remove(ask, f"/hosts/{host['id']}/schedules", found, "", said, sure=True)


def retention_of(rules: list[str]) -> dict[str, int | str]:
    """Return `daily=7 within=30d` as a group's retention. Raises: BadCommand."""
    found: dict[str, int | str] = {}
    for rule in rules:
        name, equals, value = rule.partition("=")
        if not equals or not name or not value:
            raise BadCommand(f"{rule[:40]!r} is no rule; write daily=7 or within=30d")
        name = name.removeprefix("keep-").removeprefix("keep_").replace("-", "_")
        found[f"keep_{name}"] = int(value) if value.isdecimal() else value
    return found


def set_retention(ask: Ask, word: str, group: str, rules: list[str]) -> None:
    host = find_host(ask.client, word)
    found = find_part(parts_of(ask.client, host, "source-groups"), group, "source group")
    body = {"retention": retention_of(rules)}
    changed = ask.client.patch(f"/hosts/{host['id']}/source-groups/{found['id']}", body)
    step = f"dormice job start {host['name']} forget --group {label(found)}"
    said = f"{host['name']}: a forget of {label(found)} keeps {' '.join(rules)}"
    ask.out.result(changed, said, step)


def put_repository(
    ask: Ask, word: str, url: str, password_file: Path | None, env_file: Path | None
) -> None:
    """Ask for the password where it was not given, and set the repository."""
    host = find_host(ask.client, word)
    body = {
        "url": url,
        "password": read_secret("Repository password", password_file),
        "environment": read_environment(env_file) if env_file else {},
    }
    ask.client.put(f"/hosts/{host['id']}/repository", body)
    step = f"dormice backup {host['name']}"
    ask.out.result({"id": host["id"]}, f"{host['name']} has a repository", step)
