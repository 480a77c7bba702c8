"""The registry's decisions: pure functions of what is known, what came, and `now`.

A host's record moves only forward: each change makes `version` one larger, and `config_version`
too if the agent must apply it. The mode is an operator's alone (R1); nothing that an agent says
touches it.

    enrollment token:  made ─ used up ─┐
                            └ expired ─┴▶ gone
    agent token:       present ─ rotated ▶ replaced, still valid ─ first hello with the new one, or
                                                                   24 h ▶ gone
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from libs.common.events.host import HostRecord, Schedule

NAME_LENGTH = 64
ENROLLMENT_TTL = timedelta(hours=1)
ROTATION_GRACE = timedelta(hours=24)
FALLBACK_NAME = "host"
CONFIG_FIELDS = frozenset(
    {"schedules", "source_groups", "repository", "repository_id", "timezone", "agent_token"}
)
"""Changes that the agent must apply. `repository` and `agent_token` are no fields of the record."""

_NOT_IN_NAMES = re.compile(r"[^a-z0-9._-]")
_HAS_LETTER = re.compile(r"[a-z0-9]")


class EnrollmentVerdict(Enum):
    """Whether an enrollment token admits a host."""

    VALID = "known, within its time"
    UNKNOWN = "never made, used up, or forgotten since"
    EXPIRED = "past its time"


class ModeVerdict(Enum):
    """What saving a mode does (R8)."""

    CHANGED = "the mode is another one now"
    SAME = "saved without a change"


# -- names -----------------------------------------------------------------------------------------


def name_from(hostname: str) -> str:
    """Return the host name as a name: lower case, other characters `-`, at most 64."""
    name = _NOT_IN_NAMES.sub("-", hostname.strip().lower())[:NAME_LENGTH]
    return name if _HAS_LETTER.search(name) else FALLBACK_NAME


def is_name(text: str) -> bool:
    """Say whether `text` may be a name: 1-64 of a-z 0-9 . _ - with a letter or digit among them."""
    fits = 0 < len(text) <= NAME_LENGTH and not _NOT_IN_NAMES.search(text)
    return fits and _HAS_LETTER.search(text) is not None


def free_name(wanted: str, taken: Collection[str]) -> str:
    """Return `wanted`, or with the first number from 2 on that makes it free."""
    name, number = wanted, 1
    while name in taken:
        number += 1
        suffix = f"-{number}"
        name = wanted[: NAME_LENGTH - len(suffix)] + suffix
    return name


# -- tokens ----------------------------------------------------------------------------------------


def assess_enrollment(expires_at: datetime | None, now: datetime) -> EnrollmentVerdict:
    """Say whether a token admits a host at `now`; `expires_at` None: there is no such token."""
    if expires_at is None:
        return EnrollmentVerdict.UNKNOWN
    return EnrollmentVerdict.VALID if now < expires_at else EnrollmentVerdict.EXPIRED


def replaced_versions(versions: Iterable[int], used: int) -> list[int]:
    """Return the token versions that end when a host says hello with version `used`.

    A version that the host does not have, such as 0 from an old gateway, ends none.
    """
    known = sorted(versions)
    return [version for version in known if version < used] if used in known else []


def is_token_valid(valid_until: datetime | None, now: datetime) -> bool:
    """Say whether an agent token still speaks for its host; None: nothing has replaced it."""
    return valid_until is None or now < valid_until


# -- records ---------------------------------------------------------------------------------------


def assess_mode(record: HostRecord, *, always_on: bool) -> ModeVerdict:
    """Say whether saving `always_on` is a real change (R8)."""
    return ModeVerdict.SAME if record.always_on == always_on else ModeVerdict.CHANGED


def changed_fields(record: HostRecord, wanted: Mapping[str, Any]) -> tuple[str, ...]:
    """Return which of `wanted` differ from the record, sorted."""
    return tuple(sorted(name for name, value in wanted.items() if getattr(record, name) != value))


def next_record(
    record: HostRecord, wanted: Mapping[str, Any], also: Iterable[str] = ()
) -> HostRecord:
    """Return the record after a change. `also` names what changed beside the record."""
    reaches_agent = bool(CONFIG_FIELDS & {*changed_fields(record, wanted), *also})
    versions = {
        "version": record.version + 1,
        "config_version": record.config_version + reaches_agent,
    }
    return record.model_copy(update={**wanted, **versions})


def tombstone(record: HostRecord) -> HostRecord:
    """Return what stays of a removed host: its name and history, nothing to do any more."""
    gone = {"removed": True, "schedules": (), "source_groups": (), "repository_id": None}
    return next_record(record, gone)


def without_group(record: HostRecord, group_id: str) -> dict[str, Any]:
    """Return the changes that delete a source group: itself, and its mention in each schedule."""
    groups = tuple(group for group in record.source_groups if group.id != group_id)
    schedules = tuple(_without(schedule, group_id) for schedule in record.schedules)
    return {"source_groups": groups, "schedules": schedules}


def _without(schedule: Schedule, group_id: str) -> Schedule:
    rest = tuple(named for named in schedule.source_group_ids if named != group_id)
    return schedule.model_copy(update={"source_group_ids": rest})


def repository_id(url: str, salt: bytes) -> str:
    """Return the public id of a repository: equal URLs share it, and nobody can undo it."""
    return hmac.digest(salt, url.strip().rstrip("/").encode(), "sha256").hex()[:32]


# -- hellos ----------------------------------------------------------------------------------------


def reported_facts(record: HostRecord, reported: Mapping[str, str]) -> dict[str, str]:
    """Return what the agent says of itself; what it leaves empty stays as it was."""
    return {name: value or getattr(record, name) for name, value in reported.items()}


def one_line(text: str, length: int) -> str:
    """Return free text from an agent as it may be stored and shown: printable, bounded."""
    printable = "".join(char if char.isprintable() else " " for char in text[: 4 * length])
    return " ".join(printable.split())[:length]
