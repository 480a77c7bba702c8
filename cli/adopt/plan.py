"""What existing configuration comes to here: source groups, schedules, a repository. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

Retention = dict[str, int | str]


@dataclass(frozen=True, slots=True)
class Group:
    """A source group to be. `hooks`: as the registry takes them."""

    name: str
    includes: tuple[str, ...]
    excludes: tuple[str, ...] = ()
    retention: Retention = field(default_factory=dict)
    hooks: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Schedule:
    """A schedule to be. `timezone` None: the host's."""

    group: str
    cron: str
    timezone: str | None = None


@dataclass(frozen=True, slots=True)
class Repository:
    """Where was backed up to. The password itself is not read before it is applied."""

    url: str
    password_file: Path | None = None


@dataclass(slots=True)
class Plan:
    """All that was understood; `notes`: what was not, and what to do about it."""

    groups: list[Group] = field(default_factory=list)
    schedules: list[Schedule] = field(default_factory=list)
    repositories: list[Repository] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add_group(self, group: Group) -> str:
        """Add a group, or find the one that backs up the same; return its name."""
        for known in self.groups:
            if (known.includes, known.excludes) == (group.includes, group.excludes):
                return known.name
        taken = {known.name for known in self.groups}
        name, number = group.name, 1
        while name in taken:
            number += 1
            name = f"{group.name}-{number}"
        self.groups.append(
            Group(name, group.includes, group.excludes, group.retention, group.hooks)
        )
        return name

    def add_repository(self, repository: Repository) -> None:
        if repository.url not in {known.url for known in self.repositories}:
            self.repositories.append(repository)

    def keep(self, retention: Retention) -> None:
        """Give every group without a retention of its own this one."""
        for number, group in enumerate(self.groups):
            if retention and not group.retention:
                self.groups[number] = Group(
                    group.name, group.includes, group.excludes, dict(retention), group.hooks
                )


def name_from(text: str) -> str:
    """Return what a group may be called after a profile or a folder."""
    kept = re.sub(r"[^A-Za-z0-9._-]+", "-", text.strip("/ ")).strip("-.")
    return kept[:64] or "root"


def without_password(url: str) -> str:
    """Return a repository's address as it may be shown."""
    return re.sub(r"(://[^/@:]*):[^/@]*@", r"\1:***@", url)
