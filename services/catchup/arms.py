"""The tables of arms, their lists, the queue and the runs that hold a slot."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from libs.common.clock import from_micros, to_micros
from libs.common.loop.tx import Tx
from services.catchup.policy import ArmVerdict, Pair, Queued, Slots
from services.catchup.policy_queue import Place
from services.catchup.policy_usual import OF_FLEET, learn

MICROSECOND = timedelta(microseconds=1)


class ArmState(StrEnum):
    """What an arm is doing; the values are those of the API."""

    SETTLING = "settling"
    WAITING = "waiting"
    QUEUED = "queued"
    RUNNING = "running"


class PairState(StrEnum):
    LISTED = "listed"
    REQUESTED = "requested"
    SUCCEEDED = "succeeded"
    ENDED = "ended"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Arm:
    """A catch-up under way; fields as in the table. `put_off`: how often its repository could not
    be reached; it, `retry_repository`, is tried again at `retry_at`."""

    host_id: str
    arm_id: str
    armed_at: datetime
    due_at: datetime
    state: ArmState
    wait: str | None
    listed: bool
    put_off: int
    retry_at: datetime | None
    retry_repository: str | None

    @property
    def is_put_off(self) -> bool:
        return self.wait == ArmVerdict.REPOSITORY_UNREACHABLE.name


@dataclass(frozen=True, slots=True)
class Run:
    """A request that has not ended."""

    host_id: str
    arm_id: str
    run_id: str
    schedule_id: str
    source_group_id: str
    repository_id: str | None
    accepted: bool


_ARM = "host_id, arm_id, armed_at, due_at, state, wait, listed, put_off, retry_at, retry_repository"
_RUN = "host_id, arm_id, run_id, schedule_id, source_group_id, repository_id, accepted"


def find_arm(tx: Tx, host_id: str) -> Arm | None:
    row = tx.db.execute(f"SELECT {_ARM} FROM arm WHERE host_id = ?", (host_id,)).fetchone()  # noqa: S608
    if row is None:
        return None
    host, arm_id, armed_at, due_at, state, wait, listed, put_off, retry_at, repository = row
    moments = from_micros(armed_at), from_micros(due_at)
    again = None if retry_at is None else from_micros(retry_at)
    return Arm(host, arm_id, *moments, ArmState(state), wait, bool(listed), put_off, again,
               repository)  # fmt: skip


def find_due(tx: Tx, host_id: str) -> datetime | None:
    """Return when the host's arm is to be looked at first; None: it has none."""
    row = tx.db.execute("SELECT due_at FROM arm WHERE host_id = ?", (host_id,)).fetchone()
    return None if row is None else from_micros(row[0])


def begin_arm(tx: Tx, host_id: str, arm_id: str, *, armed_at: datetime, due_at: datetime) -> None:
    """Arm the host, which has no arm."""
    tx.db.execute(
        "INSERT INTO arm (host_id, arm_id, armed_at, due_at, state, listed) "
        "VALUES (?, ?, ?, ?, ?, 0)",
        (host_id, arm_id, to_micros(armed_at), to_micros(due_at), ArmState.SETTLING),
    )


def delete_arm(tx: Tx, host_id: str, *, has_list: bool = True) -> None:
    """End the host's arm, and its list if it has one."""
    tx.db.execute("DELETE FROM arm WHERE host_id = ?", (host_id,))
    if has_list:
        tx.db.execute("DELETE FROM pair WHERE host_id = ?", (host_id,))


def set_state(tx: Tx, host_id: str, state: ArmState, wait: str | None = None) -> None:
    tx.db.execute(
        "UPDATE arm SET state = ?, wait = ?, last_success = NULL WHERE host_id = ?",
        (state, wait, host_id),
    )


def put_off(tx: Tx, arm: Arm, retry_at: datetime, repository_id: str | None) -> None:
    """The arm's repository could not be reached once more."""
    tx.db.execute(
        "UPDATE arm SET put_off = put_off + 1, retry_at = ?, retry_repository = ? "
        "WHERE host_id = ?",
        (to_micros(retry_at), repository_id, arm.host_id),
    )


def may_reach(tx: Tx, host_id: str) -> None:
    """Something changed: the host's repository may be tried again at once."""
    tx.db.execute("UPDATE arm SET retry_at = NULL WHERE host_id = ?", (host_id,))


def enqueue(tx: Tx, host_id: str, last_success: datetime | None) -> None:
    """Put the host into the queue by the last success of its next pair; it keeps a place it has."""
    tx.db.execute(
        "UPDATE arm SET state = ?, wait = NULL, last_success = ? WHERE host_id = ?",
        (ArmState.QUEUED, None if last_success is None else to_micros(last_success), host_id),
    )


# -- the list --------------------------------------------------------------------------------------


def save_list(tx: Tx, host_id: str, pairs: list[Pair]) -> None:
    tx.db.execute("UPDATE arm SET listed = 1 WHERE host_id = ?", (host_id,))
    tx.db.executemany(
        "INSERT INTO pair VALUES (?, ?, ?, ?, ?)",
        [
            (host_id, position, pair.schedule_id, pair.source_group_id, PairState.LISTED)
            for position, pair in enumerate(pairs)
        ],
    )


def next_pair(tx: Tx, host_id: str) -> tuple[str, str] | None:
    """Return (schedule id, source group id) of the next pair, or None at the end of the list."""
    row = tx.db.execute(
        "SELECT schedule_id, source_group_id FROM pair WHERE host_id = ? AND state = 'listed' "
        "ORDER BY position LIMIT 1",
        (host_id,),
    ).fetchone()
    return (row[0], row[1]) if row else None


def find_pair(tx: Tx, host_id: str, schedule_id: str, group_id: str) -> PairState | None:
    """Return what became of a pair of the host's list; None if it is not in it."""
    row = tx.db.execute(
        "SELECT state FROM pair WHERE host_id = ? AND schedule_id = ? AND source_group_id = ?",
        (host_id, schedule_id, group_id),
    ).fetchone()
    return PairState(row[0]) if row else None


def set_pair(tx: Tx, host_id: str, schedule_id: str, group_id: str, state: PairState) -> None:
    tx.db.execute(
        "UPDATE pair SET state = ? WHERE host_id = ? AND schedule_id = ? AND source_group_id = ?",
        (state, host_id, schedule_id, group_id),
    )


def count_pairs(tx: Tx, host_id: str, *states: PairState) -> int:
    marks = ", ".join("?" * len(states))
    row = tx.db.execute(
        f"SELECT count(*) FROM pair WHERE host_id = ? AND state IN ({marks})",  # noqa: S608
        (host_id, *states),
    ).fetchone()
    return int(row[0])


# -- runs and the queue ----------------------------------------------------------------------------


def find_run(tx: Tx, host_id: str) -> Run | None:
    row = tx.db.execute(f"SELECT {_RUN} FROM run WHERE host_id = ?", (host_id,)).fetchone()  # noqa: S608
    return Run(*(*row[:6], bool(row[6]))) if row else None


def save_run(tx: Tx, run: Run) -> None:
    tx.db.execute(
        "INSERT INTO run VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (host_id) DO NOTHING",
        (run.host_id, run.arm_id, run.run_id, run.schedule_id, run.source_group_id,
         run.repository_id, run.accepted),
    )  # fmt: skip


def set_accepted(tx: Tx, host_id: str, *, accepted: bool) -> None:
    tx.db.execute("UPDATE run SET accepted = ? WHERE host_id = ?", (accepted, host_id))


def delete_run(tx: Tx, host_id: str) -> None:
    tx.db.execute("DELETE FROM run WHERE host_id = ?", (host_id,))


def slots_in_use(tx: Tx, *, fleet_cap: int, repository_cap: int) -> Slots:
    """Count the runs of hosts that are online: a slot is held only by those."""
    rows = tx.db.execute(
        "SELECT run.repository_id, count(*) FROM run JOIN host USING (host_id) "
        "WHERE host.online GROUP BY run.repository_id"
    ).fetchall()
    by_repository: dict[str | None, int] = dict(rows)
    return Slots(sum(by_repository.values()), by_repository, fleet_cap, repository_cap)


_ORDERED = (
    "SELECT host_id, host.repository_id, row_number() OVER queued AS place "
    "FROM arm JOIN host USING (host_id) WHERE arm.state = 'queued' "
    "WINDOW queued AS (ORDER BY arm.last_success, arm.due_at, host_id) ORDER BY place"
)
"""Who was never backed up, NULL, sorts first."""

_PLACES = (
    "SELECT place, row_number() OVER (PARTITION BY repository_id ORDER BY place) AS there, "  # noqa: S608
    f"host_id FROM ({_ORDERED})"
)


def is_anyone_queued(tx: Tx) -> bool:
    """Say whether anyone waits for a slot: mostly nobody does, and this costs next to nothing."""
    return tx.db.execute("SELECT 1 FROM arm WHERE state = 'queued' LIMIT 1").fetchone() is not None


def queue(tx: Tx) -> Iterator[Queued]:
    """Yield who waits for a slot: longest without a success first, then by due time and host id."""
    for host_id, repository_id, _ in tx.db.execute(_ORDERED):
        yield Queued(host_id, repository_id)


def place(tx: Tx, host_id: str) -> Place | None:
    """Return the host's place in the queue, or None if it is not in it."""
    row = tx.db.execute(
        f"SELECT place, there FROM ({_PLACES}) WHERE host_id = ?",  # noqa: S608
        (host_id,),
    ).fetchone()
    return Place(*row) if row else None


def usual_run(tx: Tx) -> timedelta | None:
    """Return what a catch-up's run usually takes; None before the first."""
    row = tx.db.execute("SELECT microseconds FROM usual_run").fetchone()
    return None if row is None else timedelta(microseconds=row[0])


def note_run(tx: Tx, took: timedelta) -> None:
    """Learn from a run that ended well."""
    usual = learn(usual_run(tx), took, OF_FLEET)
    tx.db.execute("INSERT OR REPLACE INTO usual_run VALUES (1, ?)", (usual // MICROSECOND,))
