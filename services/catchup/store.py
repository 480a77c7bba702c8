"""Catch-up's tables: hosts with their session, successes, jobs that keep a host busy, known hellos.

Arms and the queue are in `arms.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from libs.common.clock import from_micros, moment_or_none, to_micros
from libs.common.events.agent import AgentHello
from libs.common.events.host import HostRecord, read_record
from libs.common.loop.tx import Tx
from services.catchup.policy_conditions import Power

KEEP = timedelta(days=45)
"""How long ended jobs and sessions are remembered: longer than the log keeps an event."""


@dataclass(frozen=True, slots=True)
class Host:
    """A host with its newest session. `body`: its record, as JSON; `arm_due_at`: when its arm is to
    be looked at first, None: it has none; `has_run`: a request has not ended."""

    id: str
    body: str
    removed: bool
    always_on: bool
    session: str | None
    connection: int | None
    online: bool
    synced: bool
    power: Power
    deferred_since: datetime | None
    arm_due_at: datetime | None
    has_run: bool

    @property
    def record(self) -> HostRecord:
        """The whole record: most events of a host do not need it read."""
        return read_record(self.body)

    def connection_before(self, session: str) -> int | None:
        """Return the newest connection, unless it is `session`'s own (a bucket named it first)."""
        return None if session == self.session else self.connection


_HOST = (
    "host_id, record, record ->> '$.removed', record ->> '$.always_on', session, connection, "
    "online, synced, on_battery, battery_percent, metered, deferred_since, "
    "(SELECT due_at FROM arm WHERE arm.host_id = host.host_id), "
    "EXISTS (SELECT 1 FROM run WHERE run.host_id = host.host_id)"
)


def find_host(tx: Tx, host_id: str) -> Host | None:
    """Return the host, also a removed one."""
    row = tx.db.execute(f"SELECT {_HOST} FROM host WHERE host_id = ?", (host_id,)).fetchone()  # noqa: S608
    if row is None:
        return None
    power = Power(_flag(row[8]), row[9], _flag(row[10]))
    return Host(
        row[0], row[1], bool(row[2]), bool(row[3]), row[4], row[5], bool(row[6]), bool(row[7]),
        power, moment_or_none(row[11]), moment_or_none(row[12]), bool(row[13]),
    )  # fmt: skip


def find_present(tx: Tx, host_id: str) -> Host | None:
    """Return the host unless it is unknown or removed."""
    host = find_host(tx, host_id)
    return None if host is None or host.removed else host


def _flag(value: int | None) -> bool | None:
    return None if value is None else bool(value)


def save_record(tx: Tx, record: HostRecord) -> bool:
    """Keep `record` if it is newer than what we have; say whether it was."""
    saved = tx.db.execute(
        "INSERT INTO host (host_id, version, record, repository_id) VALUES (?, ?, ?, ?) "
        "ON CONFLICT (host_id) DO UPDATE SET version = excluded.version, record = excluded.record, "
        "repository_id = excluded.repository_id WHERE excluded.version > host.version",
        (record.id, record.version, record.model_dump_json(), record.repository_id),
    )
    return saved.rowcount > 0


def begin_session(tx: Tx, host_id: str, session: str, connection: int | None) -> None:
    tx.db.execute(
        "UPDATE host SET session = ?, connection = ?, online = 1, synced = 0 WHERE host_id = ?",
        (session, connection, host_id),
    )


def take_hello(tx: Tx, event: AgentHello, power: Power) -> None:
    """A host said hello. While it was online, its stay goes on: a bounce is no lid."""
    tx.db.execute(
        "UPDATE host SET session = ?, connection = ?, online = 1, synced = 0, online_since = "
        "CASE WHEN (online_since IS NULL OR NOT online) THEN ? ELSE online_since END, "
        "on_battery = ?, battery_percent = ?, metered = ? WHERE host_id = ?",
        (
            event.session, event.connection, to_micros(tx.time), power.on_battery,
            power.battery_percent, power.metered, event.host_id,
        ),
    )  # fmt: skip


def set_synced(tx: Tx, host_id: str) -> None:
    tx.db.execute("UPDATE host SET synced = 1 WHERE host_id = ?", (host_id,))


def note_synced(tx: Tx, host_id: str, session: str) -> bool:
    """The reports of the host's live session are here; say whether that is news."""
    noted = tx.db.execute(
        "UPDATE host SET synced = 1 WHERE host_id = ? AND session = ? AND online AND NOT synced",
        (host_id, session),
    )
    return noted.rowcount > 0


def end_session(tx: Tx, host_id: str) -> None:
    tx.db.execute("UPDATE host SET online = 0, synced = 0 WHERE host_id = ?", (host_id,))


def knows_session(tx: Tx, session: str) -> bool:
    """Say whether `session` has said hello here."""
    row = tx.db.execute("SELECT 1 FROM known_session WHERE session = ?", (session,)).fetchone()
    return row is not None


def note_session(tx: Tx, host_id: str, session: str) -> bool:
    """Remember that `session` said hello; say whether it had not before."""
    noted = tx.db.execute(
        "INSERT OR IGNORE INTO known_session VALUES (?, ?, ?)",
        (session, host_id, to_micros(tx.now)),
    )
    return noted.rowcount > 0


def save_power(tx: Tx, host_id: str, power: Power) -> None:
    tx.db.execute(
        "UPDATE host SET on_battery = ?, battery_percent = ?, metered = ? WHERE host_id = ?",
        (power.on_battery, power.battery_percent, power.metered, host_id),
    )


def set_deferred(tx: Tx, host_id: str, since: datetime | None) -> None:
    """Note since when the host's catch-up has been put off; None: it is not any more."""
    tx.db.execute(
        "UPDATE host SET deferred_since = ? WHERE host_id = ?",
        (None if since is None else to_micros(since), host_id),
    )


# -- successes and jobs ----------------------------------------------------------------------------


def note_success(tx: Tx, host_id: str, group_id: str, at: datetime, job_id: str) -> None:
    """Keep the latest success of a source group."""
    tx.db.execute(
        "INSERT INTO success VALUES (?, ?, ?, ?) ON CONFLICT (host_id, source_group_id) "
        "DO UPDATE SET at = excluded.at, job_id = excluded.job_id WHERE excluded.at > success.at",
        (host_id, group_id, to_micros(at), job_id),
    )


def successes(tx: Tx, host_id: str) -> dict[str, datetime]:
    rows = tx.db.execute("SELECT source_group_id, at FROM success WHERE host_id = ?", (host_id,))
    return {group_id: from_micros(at) for group_id, at in rows}


def success_job(tx: Tx, host_id: str, group_id: str) -> str:
    """Return the id of the job that was the latest success, empty if there was none."""
    row = tx.db.execute(
        "SELECT job_id FROM success WHERE host_id = ? AND source_group_id = ?", (host_id, group_id)
    ).fetchone()
    return row[0] if row else ""


def note_busy(tx: Tx, host_id: str, job_id: str) -> bool:
    """Note that a job runs; say whether we believe it. One whose end is known does not run."""
    noted = tx.db.execute(
        "INSERT OR IGNORE INTO job VALUES (?, ?, 'busy', ?)", (job_id, host_id, to_micros(tx.now))
    )
    if noted.rowcount > 0:
        return True
    row = tx.db.execute("SELECT state FROM job WHERE job_id = ?", (job_id,)).fetchone()
    return bool(row[0] == "busy")


def revive(tx: Tx, host_id: str, job_id: str) -> None:
    """A hello lists the job as running: that outdoes `interrupted` and `abandoned`, no real end."""
    tx.db.execute(
        "INSERT INTO job VALUES (?, ?, 'busy', ?) ON CONFLICT (job_id) "
        "DO UPDATE SET state = 'busy' WHERE job.state = 'given_up'",
        (job_id, host_id, to_micros(tx.now)),
    )


def note_end(tx: Tx, host_id: str, job_id: str, state: str) -> bool:
    """Note a job's end: `given_up` may give way to `ended`, which is final. Say whether it did not
    stand already."""
    noted = tx.db.execute(
        "INSERT INTO job VALUES (?, ?, ?, ?) ON CONFLICT (job_id) "
        "DO UPDATE SET state = excluded.state, at = excluded.at WHERE job.state != 'ended'",
        (job_id, host_id, state, to_micros(tx.now)),
    )
    return noted.rowcount > 0


def is_busy(tx: Tx, host_id: str) -> bool:
    row = tx.db.execute(
        "SELECT 1 FROM job WHERE host_id = ? AND state = 'busy' LIMIT 1", (host_id,)
    ).fetchone()
    return row is not None


def forget_old(tx: Tx) -> None:
    """Forget ended jobs and sessions that no redelivery can name any more."""
    limit = to_micros(tx.now - KEEP)
    tx.db.execute("DELETE FROM job WHERE state != 'busy' AND at < ?", (limit,))
    tx.db.execute(
        "DELETE FROM known_session WHERE at < ? AND session NOT IN "
        "(SELECT session FROM host WHERE session IS NOT NULL)",
        (limit,),
    )


def forget_host(tx: Tx, host_id: str) -> None:
    """Keep only the tombstone of a removed host, and its sessions."""
    tx.db.execute("DELETE FROM success WHERE host_id = ?", (host_id,))
    tx.db.execute("DELETE FROM job WHERE host_id = ?", (host_id,))
