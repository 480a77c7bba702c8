"""Log text of jobs: lines as they come, the report's tail, at most 2 MiB a job.

Live lines carry their offset in the whole log (bytes of UTF-8); they may be lost, doubled or early.
The text is put together when read; what is missing shows as a mark.
"""

from __future__ import annotations

from libs.common.clock import to_micros
from libs.common.loop.tx import Tx
from services.jobs.settings import (
    KEEP_JOBS,
    KEEP_LOGS,
    KEEP_MEMORY,
    LOG_BYTES,
    LOGS_PER_HOST,
    TAIL_BYTES,
)

TAIL = -1
GAP = "\n[…]\n".encode()
_SURELY_WHOLE = 8 * 1024  # bytes; agents cut longer tails
_PROBE = 200  # bytes that are enough to find the tail in what we have


def add_lines(tx: Tx, job_id: str, offset: int, text: str) -> bool:
    """Keep a piece of log; say whether there was room for it beside a tail to come."""
    data = text.encode()
    (used,) = tx.db.execute(
        "SELECT coalesce(sum(length(text)), 0) FROM job_log WHERE job_id = ? AND place >= 0",
        (job_id,),
    ).fetchone()
    if used + len(data) > LOG_BYTES - TAIL_BYTES:
        return False
    tx.db.execute("INSERT OR IGNORE INTO job_log VALUES (?, ?, ?)", (job_id, offset, data))
    return True


def add_tail(tx: Tx, job_id: str, text: str) -> None:
    """Keep the tail that came with the report."""
    data = text.encode()[-TAIL_BYTES:]
    tx.db.execute("INSERT OR IGNORE INTO job_log VALUES (?, ?, ?)", (job_id, TAIL, data))


def read(tx: Tx, job_id: str) -> tuple[str, bool]:
    """Return the log as far as it is known, and whether nothing is known to be missing."""
    pieces = tx.db.execute(
        "SELECT place, text FROM job_log WHERE job_id = ? ORDER BY place", (job_id,)
    ).fetchall()
    tail = pieces.pop(0)[1] if pieces and pieces[0][0] == TAIL else b""
    data, whole = _joined(pieces)
    if tail:
        data, whole = _with_tail(data, tail, whole=whole)
    return data.decode(errors="replace"), whole


def _joined(pieces: list[tuple[int, bytes]]) -> tuple[bytes, bool]:
    parts: list[bytes] = []
    end, whole = 0, True
    for place, text in pieces:
        if place > end:
            parts.append(GAP)
            whole = False
        parts.append(text[max(0, end - place) :])
        end = max(end, place + len(text))
    return b"".join(parts), whole


def _with_tail(data: bytes, tail: bytes, *, whole: bool) -> tuple[bytes, bool]:
    """Lay the tail over the end of what came live: where it begins in it, or where lines meet."""
    if not data:
        return tail, len(tail) < _SURELY_WHOLE
    if tail.startswith(data):
        return tail, whole
    found = data.rfind(tail[:_PROBE])
    if found >= 0:
        return data[:found] + tail, whole
    end = tail.rfind(b"\n") + 1
    while end > 0:
        if data.endswith(tail[:end]):
            return data + tail[end:], whole
        end = tail.rfind(b"\n", 0, end - 1) + 1
    return data + GAP + tail, False


def forget_old(tx: Tx) -> None:
    """Delete what has been kept long enough: logs, then jobs, fires, requests, sessions."""
    logs, memory, jobs = (to_micros(tx.now - keep) for keep in (KEEP_LOGS, KEEP_MEMORY, KEEP_JOBS))
    ended = "status NOT IN ('requested', 'dispatched', 'running') AND NOT at_agent"
    tx.db.execute(
        "DELETE FROM job_log WHERE job_id IN (SELECT job_id FROM (SELECT job_id, created_at, "  # noqa: S608
        "row_number() OVER (PARTITION BY host_id ORDER BY created_at DESC) AS newest "
        f"FROM job WHERE {ended}) WHERE created_at < ? OR newest > ?)",
        (logs, LOGS_PER_HOST),
    )
    tx.db.execute(f"DELETE FROM job WHERE created_at < ? AND {ended}", (jobs,))  # noqa: S608
    tx.db.execute("DELETE FROM fire WHERE fire_time < ? AND judged", (memory,))
    tx.db.execute("DELETE FROM catchup_request WHERE at < ?", (memory,))
    tx.db.execute(
        "DELETE FROM known_session WHERE at < ? AND session NOT IN "
        "(SELECT session FROM host WHERE session IS NOT NULL)",
        (memory,),
    )
