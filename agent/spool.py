"""The spool: reports on disk until the gateway has them durably.

Reports are numbered within the spool (`seq`), sent in order, and deleted by a cumulative
acknowledgement. The spool holds 16 MiB at most. When that is full it gives up, in this order: log
tails (results shrink to 1 KiB), `job_started`, the older fires. Results are never dropped; when
only they are left and it is still full, no new run may start.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from agent.store import AgentStore
from libs.common.frames import encode_frame
from libs.common.protocol import SpooledFrame, SpoolState

RESULT_BYTES = 1024
KEPT_FIRES = 1  # The newest fire is the one worth running: it stays as long as results do.
STILL_SAID = 200


@dataclass(frozen=True, slots=True)
class Report:
    """A report that waits for its acknowledgement."""

    seq: int
    body: str


class Spool:
    """The reports of one agent. Callers wrap several writes in `store.transaction()`."""

    def __init__(self, store: AgentStore, *, limit_bytes: int) -> None:
        self._store = store
        self._limit = limit_bytes

    @property
    def id(self) -> str:
        return self._store.find_meta("spool_id") or ""

    def state(self) -> SpoolState:
        """Return what hello says: the id, and the last report that waits here, 0 if none does.

        Not the last number given: one that was dropped, or acknowledged by a gateway that has lost
        its state since, or by another gateway, would never come, and `synced` with it.
        """
        row = self._store.find("SELECT max(seq) AS last FROM report")
        last = row["last"] if row is not None else None
        return SpoolState(id=self.id, last_seq=last or 0)

    def append(self, frame: SpooledFrame) -> int:
        """Store `frame` under the next number and return that."""
        with self._store.transaction():
            seq = self._last_given() + 1
            body = encode_frame(frame.model_copy(update={"seq": seq}))
            self._store.put_meta("last_seq", str(seq))
            self._store.execute(
                "INSERT INTO report (seq, type, size, body) VALUES (?, ?, ?, ?)",
                seq, frame.type, len(body.encode()), body,
            )  # fmt: skip
            self._make_room()
        return seq

    def acknowledge(self, seq: int) -> None:
        """Forget everything up to `seq`; a number that was never given is believed no further."""
        reached = min(seq, self._last_given())
        if reached <= self._acknowledged():
            return
        with self._store.transaction():
            self._store.put_meta("acknowledged", str(reached))
            self._store.execute("DELETE FROM report WHERE seq <= ?", reached)

    def unsent(self, sent: int, *, in_flight: int) -> list[Report]:
        """Return the next reports after `sent`, so that at most `in_flight` are unacknowledged."""
        row = self._store.find("SELECT count(*) AS n FROM report WHERE seq <= ?", sent)
        room = in_flight - (row["n"] if row is not None else 0)
        found = self._store.rows(
            "SELECT seq, body FROM report WHERE seq > ? ORDER BY seq LIMIT ?", sent, max(room, 0)
        )
        return [Report(row["seq"], row["body"]) for row in found]

    def count(self) -> int:
        row = self._store.find("SELECT count(*) AS n FROM report")
        return int(row["n"]) if row is not None else 0

    def size(self) -> int:
        row = self._store.find("SELECT coalesce(sum(size), 0) AS n FROM report")
        return int(row["n"]) if row is not None else 0

    def is_full(self) -> bool:
        """Say whether only results are left, and another would not fit."""
        row = self._store.find(
            "SELECT coalesce(sum(min(size, ?)), 0) AS n FROM report WHERE type = 'job_finished'",
            RESULT_BYTES,
        )
        return (row["n"] if row is not None else 0) + 2 * RESULT_BYTES > self._limit

    def _last_given(self) -> int:
        return int(self._store.find_meta("last_seq") or 0)

    def _acknowledged(self) -> int:
        return int(self._store.find_meta("acknowledged") or 0)

    def _make_room(self) -> None:
        over = self.size() - self._limit
        if over > 0:
            over = self._shrink_results(over)
        if over > 0:
            over = self._drop("job_started", over, keep=0)
        if over > 0:
            self._drop("schedule_fired", over, keep=KEPT_FIRES)

    def _shrink_results(self, over: int) -> int:
        rows = self._store.rows(
            "SELECT seq, size, body FROM report WHERE type = 'job_finished' AND size > ?"
            " ORDER BY seq",
            RESULT_BYTES,
        )
        for row in rows:
            if over <= 0:
                break
            body = shrink_result(row["body"])
            size = len(body.encode())
            self._store.execute(
                "UPDATE report SET body = ?, size = ? WHERE seq = ?", body, size, row["seq"]
            )
            over -= row["size"] - size
        return over

    def _drop(self, kind: str, over: int, *, keep: int) -> int:
        rows = self._store.rows("SELECT seq, size FROM report WHERE type = ? ORDER BY seq", kind)
        for row in rows[: len(rows) - keep]:
            if over <= 0:
                break
            self._store.execute("DELETE FROM report WHERE seq = ?", row["seq"])
            over -= row["size"]
        return over


def shrink_result(body: str) -> str:
    """Return a `job_finished` of at most 1 KiB: without log tail, if need be without statistics."""
    frame: dict[str, Any] = json.loads(body)
    frame.pop("log_tail", None)
    if _size(frame) > RESULT_BYTES:
        frame.pop("stats", None)
    if _size(frame) > RESULT_BYTES and frame.get("error"):
        said = str(frame["error"])[:STILL_SAID]
        frame["error"] = "".join(char if " " <= char <= "~" else "?" for char in said)
    return json.dumps(frame, separators=(",", ":"))


def _size(frame: dict[str, Any]) -> int:
    return len(json.dumps(frame, separators=(",", ":")).encode())
