"""Accepted jobs and reported fires on disk: why nothing runs twice (R15)."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from datetime import datetime

from agent.schedule import Fire
from agent.store import AgentStore
from libs.common.clock import from_micros, to_micros
from libs.common.runs import job_id

ACCEPTED = "accepted"
RUNNING = "running"
SUCCESSES = ("succeeded", "succeeded_with_warnings")
ATTEMPTS_LOOKED_AT = 32


@dataclass(frozen=True, slots=True)
class Job:
    """An accepted job. `state` is accepted, running, or how it ended."""

    job_id: str
    run_id: str | None
    attempt: int
    schedule_id: str | None
    source_group_id: str | None
    fire_time: datetime | None
    alone: bool
    state: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """A reported fire that nobody has answered yet; at `due_at` the agent runs it alone."""

    run_id: str
    fire: Fire
    attempt: int
    due_at: datetime

    @property
    def job_id(self) -> str:
        return job_id(self.run_id, self.attempt)


class Ledger:
    """Callers wrap several writes in `store.transaction()`."""

    def __init__(self, store: AgentStore) -> None:
        self._store = store

    # --- jobs ---

    def add_job(self, job: Job, now: datetime) -> None:
        fire_time = None if job.fire_time is None else to_micros(job.fire_time)
        self._store.execute(
            "INSERT INTO job (job_id, run_id, attempt, schedule_id, source_group_id, fire_time,"
            " alone, state, accepted_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            job.job_id, job.run_id, job.attempt, job.schedule_id, job.source_group_id, fire_time,
            int(job.alone), job.state, to_micros(now),
        )  # fmt: skip

    def set_state(self, job_id: str, state: str, now: datetime) -> None:
        ended_at = None if state in (ACCEPTED, RUNNING) else to_micros(now)
        self._store.execute(
            "UPDATE job SET state = ?, ended_at = ? WHERE job_id = ?", state, ended_at, job_id
        )

    def find_job(self, job_id: str) -> Job | None:
        row = self._store.find("SELECT * FROM job WHERE job_id = ?", job_id)
        return None if row is None else _job(row)

    def unfinished(self) -> list[Job]:
        """Return the jobs whose end is not in the spool yet: hello's `running`."""
        rows = self._store.rows(
            "SELECT * FROM job WHERE state IN (?, ?) ORDER BY accepted_at", ACCEPTED, RUNNING
        )
        return [_job(row) for row in rows]

    def has_succeeded(self, run_id: str) -> bool:
        row = self._store.find(
            "SELECT 1 FROM job WHERE run_id = ? AND state IN (?, ?)", run_id, *SUCCESSES
        )
        return row is not None

    # --- fires ---

    def knows_fire(self, run_id: str) -> bool:
        return self._store.find("SELECT 1 FROM fire WHERE run_id = ?", run_id) is not None

    def add_fire(self, run_id: str, fire: Fire, due_at: datetime) -> None:
        self._store.execute(
            "INSERT INTO fire (run_id, schedule_id, source_group_id, fire_time, attempt, due_at)"
            " VALUES (?, ?, ?, ?, 1, ?)",
            run_id, fire.schedule_id, fire.source_group_id, to_micros(fire.fire_time),
            to_micros(due_at),
        )  # fmt: skip

    def waiting(self) -> list[Waiting]:
        """Return the unanswered fires, oldest first."""
        rows = self._store.rows("SELECT * FROM fire WHERE due_at IS NOT NULL ORDER BY fire_time")
        return [_waiting(row) for row in rows]

    def find_waiting_job(self, job_id_: str) -> Waiting | None:
        """Return the waiting fire of which `job_id_` is an attempt, with that attempt's number."""
        for waiting in self.waiting():
            for attempt in range(1, ATTEMPTS_LOOKED_AT + 1):
                if job_id(waiting.run_id, attempt) == job_id_:
                    return Waiting(waiting.run_id, waiting.fire, attempt, waiting.due_at)
        return None

    def postpone(self, waiting: Waiting, due_at: datetime) -> None:
        """Run this one alone not before `due_at`, and then under `waiting.attempt`."""
        self._store.execute(
            "UPDATE fire SET due_at = ?, attempt = ? WHERE run_id = ?",
            to_micros(due_at), waiting.attempt, waiting.run_id,
        )  # fmt: skip

    def settle(self, run_id: str) -> None:
        """This fire has been answered, or is not worth running any more."""
        self._store.execute("UPDATE fire SET due_at = NULL WHERE run_id = ?", run_id)

    def forget_before(self, moment: datetime) -> None:
        """Drop what ended, or fired, before `moment`."""
        before = to_micros(moment)
        self._store.execute("DELETE FROM job WHERE ended_at < ?", before)
        self._store.execute("DELETE FROM fire WHERE fire_time < ? AND due_at IS NULL", before)


def _job(row: sqlite3.Row) -> Job:
    fire_time = None if row["fire_time"] is None else from_micros(row["fire_time"])
    return Job(
        row["job_id"], row["run_id"], row["attempt"], row["schedule_id"], row["source_group_id"],
        fire_time, bool(row["alone"]), row["state"],
    )  # fmt: skip


def _waiting(row: sqlite3.Row) -> Waiting:
    fire = Fire(row["schedule_id"], row["source_group_id"], from_micros(row["fire_time"]))
    return Waiting(row["run_id"], fire, row["attempt"], from_micros(row["due_at"]))
