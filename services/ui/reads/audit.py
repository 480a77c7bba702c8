"""Reads the audit log."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from libs.common.clock import from_micros
from services.ui.reads.columns import from_json
from services.ui.reads.paging import Slice, Source, Where, fetch_page, rows
from services.ui.views import AuditView, Page

_AUDIT = Source(
    columns="audit.*, host.name AS host_name, ifnull(host.removed, 0) AS host_gone",
    tables="audit LEFT JOIN host ON host.id = audit.host_id",
    identity="audit.id",
    sorts={"at": "audit.at", "id": "audit.id"},
    default_sort="-at",
)


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which entries; None: any."""

    host_id: str | None = None
    action: str | None = None
    service: str | None = None
    target: str | None = None
    actor_id: str | None = None
    actor_name: str | None = None


def list_audit(
    db: sqlite3.Connection,
    wanted: AuditFilter,
    *,
    part: Slice = Slice(),  # noqa: B008  # frozen
) -> Page[AuditView]:
    """Return a page of entries, the latest first. Raises: BadInput."""
    where = Where().equal(
        audit__host_id=wanted.host_id, audit__action=wanted.action, audit__service=wanted.service,
        audit__target=wanted.target, audit__actor_id=wanted.actor_id,
        audit__actor_name=wanted.actor_name,
    )  # fmt: skip
    return fetch_page(db, _AUDIT, where, part, lambda found: [_view(entry) for entry in found])


def find_audit(db: sqlite3.Connection, entry_id: int) -> AuditView | None:
    found = rows(
        db,
        f"SELECT {_AUDIT.columns} FROM {_AUDIT.tables} WHERE audit.id = ?",  # noqa: S608
        (entry_id,),
    )
    return _view(found[0]) if found else None


def _view(entry: sqlite3.Row) -> AuditView:
    return AuditView(
        id=entry["id"], at=from_micros(entry["at"]), service=entry["service"],
        target=entry["target"], action=entry["action"], actor_kind=entry["actor_kind"],
        actor_id=entry["actor_id"], actor_name=entry["actor_name"],
        actor_role=entry["actor_role"], host_id=entry["host_id"], host_name=entry["host_name"],
        host_gone=bool(entry["host_gone"]),
        before=from_json(entry["before"]), after=from_json(entry["after"]),
    )  # fmt: skip
