"""What the read model makes of jobs. Handlers of `machine`."""

from __future__ import annotations

from typing import Any

from libs.common.clock import to_micros
from libs.common.events import job
from libs.common.events.alert import AlertKind
from libs.common.loop.tx import Tx
from services.ui import store, store_alerts, store_jobs
from services.ui.reads.columns import to_json


def on_job_requested(tx: Tx, event: job.JobRequested) -> None:
    known = store_jobs.find(tx, event.job_id)
    if known.status == "requested":
        store_jobs.write(
            tx, event, known, event.at, pending=int(event.pending), requested_by=event.requested_by,
            arguments=to_json(event.arguments),
        )  # fmt: skip
    _job_changed(tx, event)


def on_job_dispatched(tx: Tx, event: job.JobDispatched) -> None:
    known = store_jobs.find(tx, event.job_id)
    if known.status == "requested" and known.lost_session != event.session:
        store_jobs.write(
            tx, event, known, event.at, status="dispatched", session=event.session, pending=0
        )
    _job_changed(tx, event)


def on_job_undeliverable(tx: Tx, event: job.JobUndeliverable) -> None:
    known = store_jobs.find(tx, event.job_id)
    if known.status == "requested" or (
        known.status == "dispatched" and known.session == event.session
    ):
        store_jobs.write(tx, event, known, event.at, status="requested", lost_session=event.session)
    _job_changed(tx, event)


def on_job_started(tx: Tx, event: job.JobStarted) -> None:
    known = store_jobs.find(tx, event.job_id)
    if known.status in store_jobs.WAITING:
        store_jobs.write(
            tx, event, known, event.at, status="running", started_at=to_micros(event.at), pending=0
        )
    _job_changed(tx, event)


def on_job_finished(tx: Tx, event: job.JobFinished) -> None:
    is_news = store_jobs.finish(tx, event)
    if is_news and event.status is job.JobStatus.FAILED and event.last_attempt:
        store_alerts.see_again(tx, event, f"{event.kind}_failed")
    _job_changed(tx, event)


def on_job_interrupted(tx: Tx, event: job.JobInterrupted) -> None:
    known = store_jobs.find(tx, event.job_id)
    if known.status in (*store_jobs.WAITING, "running"):
        store_jobs.write(
            tx, event, known, event.at, status="interrupted", finished_at=to_micros(event.at),
            percent=None,
        )  # fmt: skip
        if event.last_attempt:
            store_alerts.see_again(tx, event, f"{event.kind}_failed")
    _job_changed(tx, event)


def on_job_abandoned(tx: Tx, event: job.JobAbandoned) -> None:
    known = store_jobs.find(tx, event.job_id)
    if known.status in (*store_jobs.WAITING, "interrupted"):
        store_jobs.write(
            tx, event, known, event.at, status="abandoned", finished_at=to_micros(event.at),
            pending=0, error=event.reason,
        )  # fmt: skip
        if event.loud:
            store_alerts.see_again(tx, event, AlertKind.PENDING_RUN_ABANDONED)
    _job_changed(tx, event)


def _job_changed(tx: Tx, event: job.JobEvent) -> None:
    store.refresh(tx, event.host_id)
    tx.signal("job", event.job_id)


def on_job_live(tx: Tx, _subject: str, message: dict[str, Any]) -> None:
    if message.get("kind") == "progress":
        store_jobs.save_progress(tx, message["job_id"], message)
    tx.signal("job_live", message)
