"""What differs between kinds of jobs: what may be asked for, and where it is done. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from libs.common.errors import BadInput
from libs.common.events.host import HostRecord, SourceGroup
from libs.common.events.job import JobKind
from libs.common.job_arguments import (
    EXCLUSIVE,
    FOR_ALL_WHO_SHARE,
    MAY_HAVE_GROUP,
    NEEDS_GROUP,
    check_arguments,
)
from services.jobs.errors import GroupNotFound, NoRepository, NoRetention
from services.jobs.hosts import Host


def check_request(
    record: HostRecord, kind: JobKind, group_id: str | None, arguments: Mapping[str, Any] | None
) -> dict[str, Any] | None:
    """Return a job's arguments in their stored form.

    Raises: BadInput, GroupNotFound, NoRepository, NoRetention: the first that is wrong.
    """
    group = _check_group(record, kind, group_id)
    checked = check_arguments(kind, arguments)
    if record.repository_id is None:
        raise NoRepository
    if kind is JobKind.FORGET and group is not None and not any((group.retention or {}).values()):
        raise NoRetention
    return checked


def _check_group(record: HostRecord, kind: JobKind, group_id: str | None) -> SourceGroup | None:
    if group_id is None:
        if kind in NEEDS_GROUP:
            raise BadInput(f"source_group_id: say which source group the {kind} is about")
        return None
    if kind not in MAY_HAVE_GROUP:
        raise BadInput(f"source_group_id: {kind} is about the whole repository")
    for group in record.source_groups:
        if group.id == group_id:
            return group
    raise GroupNotFound


def choose_host(kind: JobKind, asked: Host, sharing: Sequence[Host]) -> Host:
    """Return the host that does the job: the one that was asked, unless it may sleep.

    What is done for all who share a repository is done by one that is always on and connected,
    where there is one.
    """
    if kind not in FOR_ALL_WHO_SHARE or asked.record.always_on:
        return asked
    fit = [host for host in sharing if host.record.always_on and host.live_session]
    return min(fit, key=lambda host: host.record.id, default=asked)


def locked_by(kind: JobKind, record: HostRecord) -> str | None:
    """Return the repository that a job of this kind locks for itself, if it does."""
    return record.repository_id if kind in EXCLUSIVE else None
