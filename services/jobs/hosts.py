"""The table of hosts with their newest session, and the sessions that said hello."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime

from libs.common.clock import from_micros, to_micros
from libs.common.errors import HostNotFound
from libs.common.events.host import HostRecord, read_record
from libs.common.loop.tx import Tx


@dataclass(frozen=True, slots=True)
class Session:
    """A session as its hello told it. `running` are the job ids that it listed."""

    id: str
    connection: int | None
    gateway: str
    hello_at: datetime
    running: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Host:
    """A host and its newest session. `online`: that session has not ended."""

    record: HostRecord
    session: Session | None
    online: bool
    synced: bool

    @property
    def live_session(self) -> str | None:
        """The session to which something can be sent."""
        return self.session.id if self.session and self.online else None

    def connection_before(self, session: str) -> int | None:
        """Return the newest connection, unless it is `session`'s own (a bucket named it first)."""
        if self.session is None or self.session.id == session:
            return None
        return self.session.connection


def find_host(tx: Tx, host_id: str) -> Host | None:
    """Return the host, unless it was removed or is unknown."""
    row = tx.db.execute(
        "SELECT record, session, connection, gateway, hello_at, running, online, synced "
        "FROM host WHERE host_id = ?",
        (host_id,),
    ).fetchone()
    if row is None:
        return None
    record = read_record(row[0])
    if record.removed:
        return None
    session = None
    if row[1] is not None:
        running = () if row[5] == "[]" else tuple(json.loads(row[5]))
        session = Session(row[1], row[2], row[3], from_micros(row[4]), running)
    return Host(record, session, bool(row[6]), bool(row[7]))


def get_host(tx: Tx, host_id: str) -> Host:
    """Raises: HostNotFound."""
    host = find_host(tx, host_id)
    if host is None:
        raise HostNotFound
    return host


def sharing(tx: Tx, repository_id: str | None) -> list[Host]:
    """Return the hosts that back up into this repository."""
    if repository_id is None:
        return []
    rows = tx.db.execute(
        "SELECT host_id FROM host WHERE repository_id = ?", (repository_id,)
    ).fetchall()
    found = (find_host(tx, host_id) for (host_id,) in rows)
    return [host for host in found if host is not None]


def save_record(tx: Tx, record: HostRecord) -> bool:
    """Keep `record` if it is newer than what we have; say whether it was."""
    saved = tx.db.execute(
        "INSERT INTO host (host_id, version, record, repository_id) VALUES (?, ?, ?, ?) "
        "ON CONFLICT (host_id) DO UPDATE SET version = excluded.version, record = excluded.record, "
        "repository_id = excluded.repository_id WHERE excluded.version > host.version",
        (record.id, record.version, record.model_dump_json(), record.repository_id),
    )
    return saved.rowcount > 0


def begin_session(tx: Tx, host_id: str, session: Session, *, synced: bool = False) -> None:
    tx.db.execute(
        "UPDATE host SET session = ?, connection = ?, gateway = ?, hello_at = ?, running = ?, "
        "online = 1, synced = ? WHERE host_id = ?",
        (session.id, session.connection, session.gateway, to_micros(session.hello_at),
         json.dumps(session.running), synced, host_id),
    )  # fmt: skip


def set_synced(tx: Tx, host_id: str, session: str) -> bool:
    """Note that the reports have arrived; say whether that is news of the host's live session."""
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
