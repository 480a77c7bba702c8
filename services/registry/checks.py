"""What may be stored: each check returns the value in its stored form, or says what to change.

Everything is bounded, so that a host's record always fits into one event and one frame.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from libs.common import cron
from libs.common.durations import render_duration
from libs.common.errors import BadInput, Conflict, Forbidden
from libs.common.events.host import Actor, HostRecord, Schedule, SourceGroup
from libs.common.labels import LABEL_LENGTH, check_label, check_tag
from libs.common.protocol import HOOKS
from libs.common.thresholds import LONGEST
from services.registry import policy

MAX_TAGS = 50
SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)
SHORTEST_WINDOW = timedelta(minutes=5)
MAX_ITEMS = 100
"""Schedules a host, and source groups a host."""
MAX_PATTERNS = 200
PATTERN_LENGTH = 4096
MAX_RETRIES = 100
MAX_RECORD_BYTES = 256 * 1024
HOSTNAME_LENGTH = 255
PLATFORM_LENGTH = 32

_ABSOLUTE = re.compile(r"/|~(/|$)|[A-Za-z]:[\\/]|\\\\")
_COUNTS = frozenset({"last", "hourly", "daily", "weekly", "monthly", "yearly"})
_SPANS = frozenset({"within", *(f"within_{count}" for count in _COUNTS - {"last"})})
_SPAN = re.compile(r"([0-9]{1,5}[ymdh])+")
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_LOCAL_ZONES = frozenset({"localtime", "Factory", "posixrules"})


def check_system(actor: Actor) -> None:
    """Some verbs are for services alone: they hand out what no person may see. Raises Forbidden."""
    if actor.kind != "system":
        raise Forbidden("only a service may ask this")


def check_name(text: str) -> str:
    """Return a host's name as given by a person, in lower case."""
    name = text.lower()
    if not policy.is_name(name):
        hint = policy.name_from(text[: 4 * policy.NAME_LENGTH])
        raise BadInput(f"a name has 1 to 64 characters of a-z 0-9 . _ - (for example {hint!r})")
    return name


def check_hostname(text: str) -> str:
    """Return the name that a host name stands for."""
    if not 0 < len(text.strip()) <= HOSTNAME_LENGTH:
        raise BadInput(f"hostname must have 1 to {HOSTNAME_LENGTH} characters")
    return policy.name_from(text)


def check_platform(text: str, what: str) -> str:
    """Return `os` or `arch`: free text of at most 32 printable characters, which may be empty."""
    if len(text) > PLATFORM_LENGTH or not text.isprintable():
        raise BadInput(f"{what} must be printable text of at most {PLATFORM_LENGTH} characters")
    return text.strip()


def check_zone(name: str) -> str:
    """Return the IANA time zone; those that mean "this machine's" name no zone."""
    if len(name) > LABEL_LENGTH or name in _LOCAL_ZONES or name.startswith(("posix/", "right/")):
        raise cron.UnknownZone(f"{name[:64]!r} is not a time zone; use one like Europe/Berlin")
    cron.zone(name)
    return name


def check_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """Return tags in lower case, blanks as `-`, sorted, each once; a comma would split one."""
    found = {check_tag(tag) for tag in tags}
    if len(found) > MAX_TAGS:
        raise BadInput(f"a host has at most {MAX_TAGS} tags")
    return tuple(sorted(found))


def check_threshold(seconds: int | None, field: str, offline_after: timedelta) -> int | None:
    """Return a threshold in seconds; None: whatever holds otherwise.

    `field` is one of `Thresholds`. Nobody can be missed before he is offline.
    """
    least = offline_after if field == "offline_seconds" else SECOND
    if field == "missed_seconds":
        return _check_window(seconds)
    if seconds is None or least.total_seconds() <= seconds < LONGEST.total_seconds():
        return seconds
    because = " (DORMICE_OFFLINE_AFTER)" if least is not SECOND else ""
    what = field.removesuffix("_seconds")
    raise BadInput(
        f"the threshold {what} must be at least {render_duration(least)}{because} "
        "and less than 10 years"
    )


def _check_window(seconds: int | None) -> int | None:
    if seconds is None or SHORTEST_WINDOW.total_seconds() <= seconds <= DAY.total_seconds():
        return seconds
    raise BadInput("the threshold missed must be at least 5m and at most 1d")


def check_record(record: HostRecord) -> None:
    """Refuse a record that would not fit into one event and one frame beside its repository."""
    if len(record.model_dump_json().encode()) > MAX_RECORD_BYTES:
        raise BadInput("a host's configuration may have 256 KiB; use fewer or shorter paths")


def check_count(present: Sequence[Any], what: str) -> None:
    """Refuse one more of what a host has 100 of."""
    if len(present) >= MAX_ITEMS:
        raise Conflict(f"a host has at most {MAX_ITEMS} {what}")


def check_group(group: SourceGroup, others: Iterable[SourceGroup]) -> SourceGroup:
    """Return the group in its stored form. Its name is a restic tag: unique on its host."""
    name = check_label(group.name, "name")
    if "," in name:
        raise BadInput("name must not contain a comma: it is a restic tag")
    if any(other.name == name for other in others if other.id != group.id):
        raise Conflict(f"this host has a source group named {name!r} already")
    if not 0 <= group.retry_max <= MAX_RETRIES:
        raise BadInput(f"retry_max must be 0 to {MAX_RETRIES}")
    if not group.includes:
        raise BadInput("includes must name at least one path")
    _check_patterns(group.includes, "includes")
    _check_patterns(group.excludes, "excludes")
    for path in group.includes:
        if not _ABSOLUTE.match(path):
            raise BadInput(f"includes must be absolute paths: {path[:80]!r} is not")
    _check_retention(group.retention or {})
    _check_hooks(group.hooks or {})
    return group.model_copy(update={"name": name})


def check_schedule(schedule: Schedule, groups: Iterable[SourceGroup]) -> Schedule:
    """Return the schedule in its stored form. A schedule without source groups never runs.

    Raises: BadCron; BadInput (an unknown group or zone).
    """
    expression = " ".join(schedule.cron.split())
    cron.validate(schedule.cron)
    if schedule.timezone is not None:
        check_zone(schedule.timezone)
    wanted = tuple(dict.fromkeys(schedule.source_group_ids))
    unknown = set(wanted) - {group.id for group in groups}
    if unknown:
        listed = policy.one_line(", ".join(sorted(unknown)), 200)
        raise BadInput(f"source_group_ids: this host has no source group {listed}")
    name = check_label(schedule.name or expression[:LABEL_LENGTH], "name")
    return schedule.model_copy(
        update={"name": name, "cron": expression, "source_group_ids": wanted}
    )


def _check_patterns(patterns: Sequence[str], what: str) -> None:
    if len(patterns) > MAX_PATTERNS:
        raise BadInput(f"{what} may have at most {MAX_PATTERNS} entries")
    for pattern in patterns:
        if not pattern.strip() or len(pattern) > PATTERN_LENGTH or _UNSTORABLE.search(pattern):
            raise BadInput(f"{what}: each must have 1 to {PATTERN_LENGTH} characters and no NUL")


def _check_retention(retention: Mapping[str, Any]) -> None:
    """Accept restic's rules of `forget`: `keep_daily: 7`, `keep_within: "30d"`."""
    for key, value in retention.items():
        rule = key.removeprefix("keep_")
        if rule in _COUNTS:
            if type(value) is not int or not -1 <= value <= 1_000_000:
                raise BadInput(f"retention.{key} must be a whole number")
        elif rule in _SPANS:
            if not isinstance(value, str) or not _SPAN.fullmatch(value):
                raise BadInput(f"retention.{key} must be a span such as 1y6m or 30d")
        else:
            raise BadInput(f"retention: {key[:40]!r} is not a rule; use keep_daily and its like")


def _check_hooks(hooks: Mapping[str, Any]) -> None:
    """Accept a command: a text for the shell, or a list of its words. One that no agent runs would
    leave a database open that was to be closed."""
    for key, value in hooks.items():
        if key not in HOOKS:
            raise BadInput(f"hooks: {key[:40]!r} is not a hook; there is {' and '.join(HOOKS)}")
        words = value if isinstance(value, list) else [value]
        if not 0 < len(words) <= MAX_PATTERNS or not all(map(_is_word, words)):
            raise BadInput(f"hooks.{key} must be a command of at most {PATTERN_LENGTH} characters")


def _is_word(value: Any) -> bool:
    is_text = isinstance(value, str)
    return is_text and len(value) <= PATTERN_LENGTH and not _UNSTORABLE.search(value)
