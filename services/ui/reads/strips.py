"""Reads strips: the presence of hosts over some days, with backups and alerts marked on it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from libs.common.clock import from_micros, to_micros
from services.ui import timeline
from services.ui.reads.columns import moment
from services.ui.views import Mark, Strip


def strips(
    db: sqlite3.Connection, host_ids: Sequence[str], *, since: datetime, now: datetime
) -> dict[str, Strip]:
    """Return a strip from `since` to `now` for each host, from what this service saw itself.

    For the whole truth of one host ask presence (`Calls.timeline`).
    """
    ids = json.dumps(list(host_ids))
    gaps = [
        (from_micros(start), moment(end) or now)
        for start, end in db.execute(
            "SELECT started_at, ended_at FROM unobserved WHERE ifnull(ended_at, ?) > ? "
            "ORDER BY started_at",
            (to_micros(now), to_micros(since)),
        )
    ]
    stretches = _stretches(db, ids)
    marks = _marks(db, ids, to_micros(since))
    return {
        host_id: Strip(
            tuple(timeline.intervals(stretches.get(host_id, []), gaps, since, now)),
            tuple(sorted(marks.get(host_id, []), key=lambda mark: mark.at)),
        )
        for host_id in host_ids
    }


def _stretches(db: sqlite3.Connection, ids: str) -> dict[str, list[timeline.Stretch]]:
    found: dict[str, list[timeline.Stretch]] = {}
    for host_id, start, state, reason in db.execute(
        "SELECT host_id, started_at, state, reason FROM stretch "
        "WHERE host_id IN (SELECT value FROM json_each(?)) "
        "ORDER BY host_id, started_at, session, state DESC",
        (ids,),
    ):
        found.setdefault(host_id, []).append(timeline.Stretch(from_micros(start), state, reason))
    return found


def _marks(db: sqlite3.Connection, ids: str, since: int) -> dict[str, list[Mark]]:
    found: dict[str, list[Mark]] = {}
    jobs = (
        "SELECT host_id, finished_at, iif(status = 'failed', 'failed', 'backup'), status "
        "FROM job WHERE kind = 'backup' AND finished_at >= ? "
        "AND status IN ('succeeded', 'succeeded_with_warnings', 'failed') "
        "AND host_id IN (SELECT value FROM json_each(?))"
    )
    alerts = (
        "SELECT host_id, raised_at, 'alert', kind FROM alert WHERE raised_at >= ? AND hidden = 0 "
        "AND host_id IN (SELECT value FROM json_each(?))"
    )
    for sql in (jobs, alerts):
        for host_id, at, kind, text in db.execute(sql, (since, ids)):
            found.setdefault(host_id, []).append(_mark(at, kind, text))
    return found


def _mark(at: int, kind: Any, text: str) -> Mark:
    return Mark(from_micros(at), kind, text.replace("_", " "))
