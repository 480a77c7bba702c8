"""Reads a configuration of resticprofile: TOML, YAML or JSON, version 1 or 2."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cli.adopt.calendar import cron_of
from cli.adopt.plan import Group, Plan, Repository, Schedule, name_from
from libs.common.errors import BadInput

NO_PROFILES = frozenset({"version", "global", "groups", "includes", "mixins", "schedules"})
Section = Mapping[str, Any]


def parse(text: str, name: str) -> Section:
    """Return what a file says, by the ending of its name. Raises: BadInput."""
    ending = Path(name).suffix.lower()
    try:
        if ending in (".yaml", ".yml"):
            import yaml

            found = yaml.safe_load(text)
        elif ending == ".json":
            found = json.loads(text)
        elif ending in (".toml", ".conf", ""):
            found = tomllib.loads(text)
        else:
            raise BadInput(f"{name}: TOML, YAML and JSON can be read, not {ending}")
    except BadInput:
        raise
    except Exception as error:  # Each parser has errors of its own.
        raise BadInput(f"{name} cannot be read: {str(error).splitlines()[0]}") from None
    if not isinstance(found, dict):
        raise BadInput(f"{name} is no configuration of resticprofile")
    return found


def read_profiles(document: Section, folder: Path) -> Plan:
    """Return what the profiles come to. `folder`: where files that they name are looked for."""
    listed = document.get("profiles") if isinstance(document.get("profiles"), dict) else document
    profiles = {
        name: one
        for name, one in (listed or {}).items()
        if isinstance(one, dict) and name not in NO_PROFILES
    }
    plan = Plan()
    for name in profiles:
        _take_profile(plan, name, _inherited(profiles, name, plan), folder)
    if not plan.groups:
        plan.notes.append("no profile has a backup with sources")
    return plan


def _inherited(profiles: Mapping[str, Section], name: str, plan: Plan) -> Section:
    """Return a profile with all that its parents say."""
    chain: list[Section] = []
    seen: set[str] = set()
    current: Any = name
    while current and current not in seen:
        seen.add(current)
        if current not in profiles:
            plan.notes.append(f"{name}: inherits {current}, which is not there")
            break
        chain.append(profiles[current])
        current = profiles[current].get("inherit")
    whole: dict[str, Any] = {}
    for profile in reversed(chain):
        whole = _merged(whole, profile)
    return whole


def _merged(below: Section, above: Section) -> dict[str, Any]:
    whole = dict(below)
    for key, value in above.items():
        both = isinstance(value, dict) and isinstance(whole.get(key), dict)
        whole[key] = _merged(whole[key], value) if both else value
    return whole


def _take_profile(plan: Plan, name: str, profile: Section, folder: Path) -> None:
    backup = profile.get("backup")
    sources = _texts(backup.get("source")) if isinstance(backup, dict) else []
    if not isinstance(backup, dict) or not sources:
        return
    paths = tuple(path for path in sources if path.startswith(("/", "~")) or path[1:3] == ":\\")
    if len(paths) < len(sources):
        plan.notes.append(f"{name}: only absolute sources can be taken over")
    if not paths:
        return
    group = Group(
        name_from(name), paths, tuple(_texts(backup.get("exclude"))), _retention(profile),
        _hooks(profile, backup),
    )  # fmt: skip
    for left_out in ("exclude-file", "files-from", "iexclude", "stdin", "run-after"):
        if left_out in backup or (left_out == "run-after" and left_out in profile):
            plan.notes.append(f"{name}: {left_out} is not taken over")
    taken = plan.add_group(group)
    _take_schedules(plan, name, taken, backup)
    _take_repository(plan, name, profile, folder)
    for kind in ("forget", "prune", "check"):
        section = profile.get(kind)
        if isinstance(section, dict) and section.get("schedule"):
            step = f"dormice job start HOST {kind}"
            plan.notes.append(f"{name}: {kind} is not scheduled here; {step}")


def _take_schedules(plan: Plan, name: str, group: str, backup: Section) -> None:
    wanted = backup.get("schedule")
    if isinstance(wanted, dict):
        wanted = wanted.get("at")
    for calendar in _texts(wanted):
        timed = cron_of(calendar)
        if timed is None:
            plan.notes.append(f"{name}: cron cannot say {calendar!r}; dormice schedule add HOST …")
        else:
            plan.schedules.append(Schedule(group, timed.cron, timed.timezone))


def _take_repository(plan: Plan, name: str, profile: Section, folder: Path) -> None:
    url = profile.get("repository")
    if not isinstance(url, str) or not url:
        return
    if "{{" in url or "$" in url:
        plan.notes.append(f"{name}: the repository's address is made of variables")
        return
    file = profile.get("password-file")
    path = folder / file if isinstance(file, str) and "{{" not in file else None
    plan.add_repository(Repository(url.removeprefix("local:"), path))
    if path is None:
        plan.notes.append(f"{name}: the password is in no file; dormice repository set HOST …")
    if profile.get("env"):
        plan.notes.append(f"{name}: its env is not taken over; see repository set --env-file")


def _retention(profile: Section) -> dict[str, int | str]:
    rules: dict[str, int | str] = {}
    for section in (profile.get("forget"), profile.get("retention")):
        for key, value in section.items() if isinstance(section, dict) else ():
            fits = isinstance(value, (int, str)) and not isinstance(value, bool)
            if key.startswith("keep-") and key != "keep-tag" and fits:
                count = isinstance(value, str) and value.isdecimal()
                rules[key.replace("-", "_")] = int(value) if count else value
    return rules


def _hooks(profile: Section, backup: Section) -> dict[str, str]:
    hooks = {}
    for ours, theirs in (("before", "run-before"), ("after", "run-finally")):
        commands = [*_texts(profile.get(theirs)), *_texts(backup.get(theirs))]
        if commands:
            hooks[ours] = " && ".join(commands)
    return hooks


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []
