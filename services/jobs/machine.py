"""Jobs: the ledger of all attempts, and who is sent what.

Event handlers note what happened; what is to be sent is decided by the deadline `serve`, once the
log has been read. All state is in the tables.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from libs.common.events.agent import (
    AgentConfigApplied,
    AgentHello,
    AgentJobAccepted,
    AgentJobDeclined,
    AgentJobFinished,
    AgentJobStarted,
    AgentOffline,
    AgentScheduleFired,
    AgentSynced,
)
from libs.common.events.catchup import CatchupFinished, CatchupRequested, CatchupSkipped
from libs.common.events.host import (
    HostChanged,
    HostEnrolled,
    HostFact,
    HostModeChanged,
    HostRecord,
    HostRemoved,
)
from libs.common.events.job import (
    JobAbandoned,
    JobFinished,
    JobInterrupted,
    JobRequested,
    JobStatus,
)
from libs.common.loop.machine import Buckets, Machine
from libs.common.loop.tx import Tx
from libs.common.sessions import HelloVerdict, assess_hello
from services.jobs import calls, catchup, fires, hosts, logs, redo, reports, sessions, store
from services.jobs.ends import BACKUPS, End, end_job, put_backup
from services.jobs.hosts import Session
from services.jobs.ledger import ANSWER, SEND, SERVE, serve_soon
from services.jobs.reports import STATED
from services.jobs.sending import CANCEL, Sending
from services.jobs.settings import JobsSettings
from services.jobs.store import Backup

FORGET = "forget"
FORGET_EVERY = timedelta(days=1)
ALL = "all"


class JobsMachine(Machine):
    """Owns the ledger, pending runs, logs, and bucket `backups`."""

    name = "jobs"
    package = "services.jobs"
    buckets = ("hosts", BACKUPS, "sessions")

    def __init__(self, settings: JobsSettings) -> None:
        super().__init__()
        sending = Sending(settings)
        self.handlers = {
            HostEnrolled: self.on_host,
            HostChanged: self.on_host,
            HostModeChanged: self.on_host,
            HostRemoved: self.on_host_removed,
            AgentHello: sessions.on_hello,
            AgentSynced: sessions.on_synced,
            AgentOffline: sessions.on_offline,
            AgentConfigApplied: sending.on_config_applied,
            AgentScheduleFired: fires.on_fired,
            AgentJobAccepted: reports.on_accepted,
            AgentJobDeclined: sending.on_declined,
            AgentJobStarted: reports.on_started,
            AgentJobFinished: reports.on_finished,
            CatchupRequested: catchup.on_requested,
            CatchupSkipped: catchup.on_skipped,
            CatchupFinished: catchup.on_finished,
        }
        self.deadlines = {
            SERVE: sending.on_serve,
            ANSWER: sending.on_answer_due,
            CANCEL: sending.on_cancel_due,
            STATED: reports.on_stated_due,
            FORGET: self.on_forget_due,
        }
        self.verbs = calls.VERBS
        self.outcomes = {SEND: sending.on_outcome}
        self.live = {"dormice-live.job.>": calls.on_live}
        self.redo = {
            JobRequested: redo.on_requested,
            JobFinished: redo.on_finished,
            JobInterrupted: redo.on_interrupted,
            JobAbandoned: redo.on_abandoned,
        }

    # -- start -------------------------------------------------------------------------------------

    def load(self, tx: Tx, buckets: Buckets) -> None:
        """Take hosts and sessions, and our own bucket if our file has lost it."""
        for data in buckets.get("hosts", {}).values():
            self._take_record(tx, HostRecord.model_validate_json(data))
        for data in buckets.get(BACKUPS, {}).values():
            _take_backup(tx, json.loads(data))
        for data in buckets.get("sessions", {}).values():
            _take_session(tx, json.loads(data))
        tx.schedule(FORGET, ALL, tx.now + FORGET_EVERY)

    def republish(self, tx: Tx) -> None:
        for backup in store.backups(tx):
            put_backup(tx, backup)

    # -- hosts -------------------------------------------------------------------------------------

    def on_host(self, tx: Tx, event: HostFact) -> None:
        self._take_record(tx, event.record)

    def on_host_removed(self, tx: Tx, event: HostRemoved) -> None:
        self._take_record(tx, event.record)

    def _take_record(self, tx: Tx, record: HostRecord) -> None:
        """Keep a newer record. What waits is judged by it; a removed host's jobs end cancelled."""
        host = hosts.find_host(tx, record.id) if record.removed else None
        if not hosts.save_record(tx, record):
            return
        if not record.removed:
            serve_soon(tx, record.id)
            return
        hosts.end_session(tx, record.id)
        for job in store.open_jobs(tx, record.id) if host else []:
            assert host is not None
            end = End(JobStatus.CANCELLED, tx.now, reported=False, error="the host was removed")
            end_job(tx, host, job, end)
        for backup in store.backups_of(tx, record.id):
            tx.put(BACKUPS, f"{backup.host_id}.{backup.source_group_id}", None)
        store.delete_backups(tx, record.id)

    def on_forget_due(self, tx: Tx, key: str, _due_at: datetime) -> None:
        logs.forget_old(tx)
        tx.schedule(FORGET, key, tx.now + FORGET_EVERY)


def _take_backup(tx: Tx, value: Mapping[str, Any]) -> None:
    known = store.find_backup(tx, value["host_id"], value["source_group_id"])
    if known is not None and known.version >= value["version"]:
        return
    success = value["last_success_at"]
    store.save_backup(
        tx,
        Backup(
            host_id=value["host_id"],
            source_group_id=value["source_group_id"],
            last_success_at=None if success is None else datetime.fromisoformat(success),
            last_success_job_id=value["last_success_job_id"],
            last_run_at=datetime.fromisoformat(value["last_run_at"]),
            last_run_status=value["last_run_status"],
            version=value["version"],
        ),
    )


def _take_session(tx: Tx, value: Mapping[str, Any]) -> None:
    """Take a session whose hello we have not read; if the log still brings it, it counts.

    Its reports count as arrived: `synced` may lie before our position too, and would never come.
    """
    host = hosts.find_host(tx, value["host_id"])
    session, connection = value.get("session"), value.get("connection")
    if host is None or session is None:
        return
    current, known = host.connection_before(session), hosts.knows_session(tx, session)
    if assess_hello(current, connection, known=known) is not HelloVerdict.NEWER:
        return
    taken = Session(session, connection, value.get("gateway") or "", tx.now)
    hosts.begin_session(tx, host.record.id, taken, synced=True)
    if value["status"] != "online":
        hosts.end_session(tx, host.record.id)
    serve_soon(tx, host.record.id)
