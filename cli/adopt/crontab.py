"""Reads a crontab: its lines that run restic. Pure."""

from __future__ import annotations

import re
from pathlib import Path

from cli.adopt.plan import Group, Plan, Repository, Schedule, name_from
from cli.adopt.restic_line import ResticCommand, commands_in, retention_in
from libs.common import cron
from libs.common.errors import DormiceError

_VARIABLE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)")
_NAMED = re.compile(r"(@[a-z]+)\s+(.*)")
_FIELDS = re.compile(r"((?:\S+\s+){5})(.*)")
_USER = re.compile(r"[a-z_][a-z0-9_-]*\s+(?=\S)")


def read_crontab(text: str, *, with_users: bool) -> Plan:
    """Return what a crontab's restic lines come to. `with_users`: each line names a user, as in
    /etc/crontab and /etc/cron.d."""
    plan, variables = Plan(), dict[str, str]()
    retention: dict[str, int | str] = {}
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        variable = _VARIABLE.fullmatch(line)
        if variable:
            variables[variable[1]] = variable[2].strip().strip("\"'")
            continue
        retention |= _take_line(plan, number, line, variables, with_users=with_users)
    plan.keep(retention)
    return plan


def _take_line(
    plan: Plan, number: int, line: str, variables: dict[str, str], *, with_users: bool
) -> dict[str, int | str]:
    """Add what a line does; return the retention that it names."""
    found = _NAMED.fullmatch(line) or _FIELDS.fullmatch(line)
    if found is None:
        return {}
    when, command = found[1].strip(), found[2]
    if with_users:
        command = _USER.sub("", command, count=1)
    restic = commands_in(command.replace("\\%", "%"))
    if not restic:
        if "restic" in command:
            plan.notes.append(f"line {number}: {_cut(command)}: what it runs cannot be seen here")
        return {}
    retention: dict[str, int | str] = {}
    for one in restic:
        if one.name == "backup":
            _take_backup(plan, number, when, one, variables)
        elif one.name == "forget":
            retention |= retention_in(one.options)
    return retention


def _take_backup(
    plan: Plan, number: int, when: str, command: ResticCommand, variables: dict[str, str]
) -> None:
    known = {**variables, **command.variables}
    paths = [path for path in command.paths if path.startswith(("/", "~"))]
    if len(paths) < len(command.paths) or not paths:
        plan.notes.append(f"line {number}: only absolute paths can be taken over")
    for left_out in ("files-from", "exclude-file", "iexclude", "exclude-if-present"):
        if left_out in command.options:
            plan.notes.append(f"line {number}: --{left_out} is not taken over")
    _take_repository(plan, command, known)
    if not paths:
        return
    tags = command.options.get("tag", [])
    name = name_from(tags[0] if tags else paths[0])
    excludes = tuple(command.options.get("exclude", []))
    name = plan.add_group(Group(name, tuple(paths), excludes))
    try:
        cron.validate(when)
        plan.schedules.append(Schedule(name, when, known.get("CRON_TZ")))
    except DormiceError as error:
        plan.notes.append(f"line {number}: {when}: {error.message}")


def _take_repository(plan: Plan, command: ResticCommand, known: dict[str, str]) -> None:
    url = (command.options.get("repo") or [known.get("RESTIC_REPOSITORY", "")])[-1]
    file = (command.options.get("password-file") or [known.get("RESTIC_PASSWORD_FILE", "")])[-1]
    if url and "$" not in url:
        plan.add_repository(Repository(url, Path(file) if file else None))


def _cut(text: str) -> str:
    return text if len(text) <= 60 else text[:59] + "…"
