"""What a job is told beside its kind: which kinds are about a source group, and their arguments.

Shared by who asks (jobs) and by who does it (the agent), so that both mean the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from libs.common.errors import BadInput

NEEDS_GROUP = frozenset({"backup", "forget"})
MAY_HAVE_GROUP = NEEDS_GROUP | {"restore", "snapshots"}
"""A restore of `latest` and a list may be narrowed to one source group's snapshots."""

EXCLUSIVE = frozenset({"forget", "prune", "check"})
"""They lock the repository for themselves: one at a time in each repository."""

LOCKING = EXCLUSIVE | {"backup", "restore"}
"""They lock the repository, though most of them beside others."""

FOR_ALL_WHO_SHARE = frozenset({"prune", "check"})
"""Work on a repository as a whole: any host that shares it can do it."""

MAX_PATHS = 100
PATH_LENGTH = 4096

_SNAPSHOT = re.compile(r"latest|[0-9a-f]{4,64}")
_ABSOLUTE = re.compile(r"/|[A-Za-z]:[\\/]|\\\\")
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def _snapshot(text: str) -> str:
    if not _SNAPSHOT.fullmatch(text):
        raise ValueError("must be an id of 4 to 64 hexadecimal digits, or latest")
    return text


def _path(text: str) -> str:
    if not _ABSOLUTE.match(text) or len(text) > PATH_LENGTH or _UNSTORABLE.search(text):
        raise ValueError(f"must be an absolute path of at most {PATH_LENGTH} characters")
    return text


Snapshot = Annotated[str, AfterValidator(_snapshot)]
AbsolutePath = Annotated[str, AfterValidator(_path)]


class Arguments(BaseModel):
    """Base of a kind's arguments; this one for kinds that take none."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", defer_build=True)


class RestoreArguments(Arguments):
    """Take `paths` (none: all) of a snapshot back, below the folder `target`."""

    snapshot: Snapshot
    target: AbsolutePath
    paths: Annotated[list[AbsolutePath], Field(max_length=MAX_PATHS)] = []


class SnapshotsArguments(Arguments):
    """List this host's snapshots, or those of all that share the repository."""

    all_hosts: bool = False


_MODELS: dict[str, type[Arguments]] = {
    "restore": RestoreArguments,
    "snapshots": SnapshotsArguments,
}


def arguments_of(kind: str, given: Mapping[str, Any] | None) -> Arguments:
    """Return the arguments of a job as the agent reads them: what it does not know is ignored.

    Raises:
        BadInput: one is missing or makes no sense; the message names the first.
    """
    try:
        return _MODELS.get(kind, Arguments).model_validate(dict(given or {}))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        said = str(first["msg"]).removeprefix("Value error, ")
        raise BadInput(f"arguments.{where}: {said}") from None


def check_arguments(kind: str, given: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return what a person asked for in its stored form; None if the kind takes nothing.

    Raises:
        BadInput: as `arguments_of`, and for an argument that the kind does not have.
    """
    known = _MODELS.get(kind, Arguments).model_fields
    for name in given or {}:
        if name not in known:
            takes = ", ".join(known) or "none"
            raise BadInput(f"arguments: {kind} has no {name[:40]!r}; it takes {takes}")
    read = arguments_of(kind, given)
    return read.model_dump() if known else None
