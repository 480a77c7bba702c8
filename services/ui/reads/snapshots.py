"""Reads a host's snapshots, as its last job of that kind listed them."""

from __future__ import annotations

import sqlite3
from typing import Any

from libs.common.clock import from_micros
from services.ui.reads.columns import from_json
from services.ui.reads.paging import rows
from services.ui.views import SnapshotsView, SnapshotView


def find_snapshots(db: sqlite3.Connection, host_id: str) -> SnapshotsView | None:
    """Return the latest list, newest snapshot first; None if there was none yet."""
    found = rows(
        db,
        "SELECT id, finished_at, stats FROM job WHERE host_id = ? AND kind = 'snapshots' "
        "AND status = 'succeeded' AND json_type(stats, '$.snapshots') = 'array' "
        "ORDER BY finished_at DESC LIMIT 1",
        (host_id,),
    )
    if not found:
        return None
    job = found[0]
    stats = from_json(job["stats"]) or {}
    listed = [_view(one) for one in reversed(stats.get("snapshots") or []) if isinstance(one, dict)]
    return SnapshotsView(
        as_of=from_micros(job["finished_at"]), job_id=job["id"],
        total=int(stats.get("total") or len(listed)), items=tuple(listed),
    )  # fmt: skip


def _view(one: dict[str, Any]) -> SnapshotView:
    """An agent tells it: what is not as it should be is left empty."""
    paths = [str(path) for path in one.get("paths") or []]
    return SnapshotView(
        id=str(one.get("id", "")), time=str(one.get("time") or ""),
        hostname=str(one.get("hostname") or ""), tags=tuple(map(str, one.get("tags") or [])),
        paths=tuple(paths), paths_total=_count(one.get("paths_total"), len(paths)),
    )  # fmt: skip


def _count(value: Any, otherwise: int) -> int:
    return value if isinstance(value, int) else otherwise
