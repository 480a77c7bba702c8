"""A `restic` command in a line of shell, as far as its words tell. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePath

COMMANDS = frozenset({"backup", "forget", "prune", "check", "snapshots", "unlock", "copy", "init"})
FLAGS = frozenset(
    {
        "--json", "--quiet", "-q", "--verbose", "-v", "-vv", "--no-cache", "--no-lock", "--prune",
        "--one-file-system", "-x", "--exclude-caches", "--cleanup-cache", "--force", "-f",
        "--dry-run", "-n", "--with-atime", "--ignore-inode", "--ignore-ctime", "--no-scan",
        "--insecure-tls", "--skip-if-unchanged", "--compact", "-c",
    }
)  # fmt: skip
SHORT = {"-r": "repo", "-p": "password-file", "-e": "exclude", "-H": "host", "-o": "option"}

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
_ENDS = frozenset({"&&", "||", ";", "|", "&", ">", ">>", "2>", "2>&1", "<"})


@dataclass(slots=True)
class ResticCommand:
    """`restic NAME`: its options (each with its values), paths, and variables set before it."""

    name: str
    options: dict[str, list[str]] = field(default_factory=dict)
    paths: list[str] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)


def commands_in(line: str) -> list[ResticCommand]:
    """Return every restic command of a line. A line that is no shell has none."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="();<>|&")
    lexer.whitespace_split = True
    try:
        words = list(lexer)
    except ValueError:
        return []
    found = (_command(part) for part in _parts(words))
    return [command for command in found if command is not None]


def _parts(words: list[str]) -> Iterator[list[str]]:
    part: list[str] = []
    for word in words:
        if word in _ENDS or set(word) <= set("();<>|&"):
            yield part
            part = []
        else:
            part.append(word)
    yield part


def _command(words: list[str]) -> ResticCommand | None:
    at = next((n for n, word in enumerate(words) if PurePath(word).name == "restic"), None)
    if at is None:
        return None
    set_before = (word.partition("=") for word in words[:at] if _VARIABLE.match(word))
    found = ResticCommand("", variables={name: value for name, _, value in set_before})
    rest = iter(words[at + 1 :])
    for word in rest:
        _take(found, word, rest)
    return found if found.name in COMMANDS else None


def _take(found: ResticCommand, word: str, rest: Iterator[str]) -> None:
    if word == "--":
        found.paths.extend(rest)
    elif word in FLAGS:
        found.options.setdefault(word.lstrip("-"), [])
    elif word.startswith("-"):
        name, equals, value = word.partition("=")
        key = SHORT.get(name, name.lstrip("-"))
        found.options.setdefault(key, []).append(value if equals else next(rest, ""))
    elif not found.name:
        found.name = word
    else:
        found.paths.append(word)


def retention_in(options: dict[str, list[str]]) -> dict[str, int | str]:
    """Return the rules `--keep-…` of a forget as a group's retention."""
    rules: dict[str, int | str] = {}
    for name, values in options.items():
        if name.startswith("keep-") and values and name not in ("keep-tag",):
            value = values[-1]
            rules[name.replace("-", "_")] = int(value) if value.isdecimal() else value
    return rules
