"""The read model: everything that the other services tell, kept as pages and API show it.

The ui decides nothing about the fleet; whoever wants a change is passed on to the owner (`calls`).
What it owns are operators, API tokens and web sessions (`access`).

After a commit the machine signals what changed, for the pages' streams: `host` (id), `alert` (id),
`job` (id), `audit` (None), `gateway` (id), `job_live` (the message: progress or log of a job).
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import ClassVar

from libs.common.events import agent, catchup, host, job, presence
from libs.common.events import alert as alerts
from libs.common.events.alert import Alert
from libs.common.events.host import HostRecord
from libs.common.loop.machine import Buckets, Machine
from libs.common.loop.tx import Tx
from services.ui import (
    on_jobs,
    on_presence,
    store,
    store_alerts,
    store_audit,
    store_jobs,
    store_thresholds,
)

PRUNE_EVERY = timedelta(days=1)
FIRST_PRUNE = timedelta(hours=1)


class UiMachine(Machine):
    name: ClassVar[str] = "ui"
    package: ClassVar[str] = "services.ui"
    buckets: ClassVar[tuple[str, ...]] = ("hosts", "thresholds", "backups", "sessions", "alerts")
    unhurried: ClassVar[bool] = True

    def __init__(self) -> None:
        super().__init__()
        self.handlers = {
            host.HostEnrolled: on_host_fact,
            host.HostChanged: on_host_fact,
            host.HostModeChanged: on_host_fact,
            host.HostRemoved: on_host_fact,
            host.HostThresholdsChanged: on_thresholds,
            host.Audit: on_audit,
            presence.PresenceOnline: on_presence.on_presence_online,
            presence.PresenceOffline: on_presence.on_presence_offline,
            agent.AgentHello: on_presence.on_agent_hello,
            agent.AgentPower: on_presence.on_agent_power,
            agent.AgentConfigApplied: on_presence.on_agent_config_applied,
            agent.GatewayListening: on_presence.on_gateway_listening,
            agent.GatewayStopped: on_presence.on_gateway_ended,
            agent.GatewayLost: on_presence.on_gateway_ended,
            job.JobRequested: on_jobs.on_job_requested,
            job.JobDispatched: on_jobs.on_job_dispatched,
            job.JobUndeliverable: on_jobs.on_job_undeliverable,
            job.JobStarted: on_jobs.on_job_started,
            job.JobFinished: on_jobs.on_job_finished,
            job.JobInterrupted: on_jobs.on_job_interrupted,
            job.JobAbandoned: on_jobs.on_job_abandoned,
            catchup.CatchupArmed: on_catchup_armed,
            catchup.CatchupRequested: on_catchup_requested,
            catchup.CatchupSkipped: on_catchup_skipped,
            catchup.CatchupFinished: on_catchup_finished,
            alerts.AlertRaised: on_alert,
            alerts.AlertReminded: on_alert,
            alerts.AlertAcknowledged: on_alert,
            alerts.AlertResolved: on_alert_resolved,
            alerts.AlertSilenced: on_alert,
            alerts.AlertUnsilenced: on_alert,
            alerts.NotificationDelivered: on_notification_delivered,
            alerts.NotificationFailed: on_notification_failed,
        }
        self.deadlines = {"prune": on_prune}
        self.live = {
            "dormice-live.beat.*": on_presence.on_beat,
            "dormice-live.job.>": on_jobs.on_job_live,
        }

    def load(self, tx: Tx, buckets: Buckets) -> None:
        for value in buckets.get("hosts", {}).values():
            store.save_record(tx, HostRecord.model_validate_json(value))
        for value in buckets.get("thresholds", {}).values():
            store_thresholds.save_rules(tx, host.ThresholdRules.model_validate_json(value))
        for value in buckets.get("backups", {}).values():
            store_jobs.load_backup(tx, json.loads(value))
        for value in buckets.get("sessions", {}).values():
            on_presence.load_session(tx, json.loads(value))
        for value in buckets.get("alerts", {}).values():
            store_alerts.save_alert(tx, Alert.model_validate_json(value))
        store.refresh_all(tx)

    def on_connected(self, tx: Tx) -> None:
        tx.schedule("prune", "", tx.now + FIRST_PRUNE)


# --- Hosts ----------------------------------------------------------------------------------------


def on_host_fact(tx: Tx, event: host.HostFact) -> None:
    if store.save_record(tx, event.record):
        store.refresh(tx, event.host_id)


def on_thresholds(tx: Tx, event: host.HostThresholdsChanged) -> None:
    store_thresholds.save_rules(tx, event.rules)


def on_audit(tx: Tx, event: host.Audit) -> None:
    store_audit.add_audit(tx, event)
    tx.signal("audit")


# --- Catch-up -------------------------------------------------------------------------------------


def on_catchup_armed(tx: Tx, event: catchup.CatchupArmed) -> None:
    if store.arm(tx, event.host_id, event.arm_id, event.due_at):
        tx.signal("host", event.host_id)


def on_catchup_requested(tx: Tx, event: catchup.CatchupRequested) -> None:
    _set_arm(tx, event, "running")


def on_catchup_skipped(tx: Tx, event: catchup.CatchupSkipped) -> None:
    if event.schedule_id is None and event.source_group_id is None:
        _set_arm(tx, event, None)


def on_catchup_finished(tx: Tx, event: catchup.CatchupFinished) -> None:
    _set_arm(tx, event, None)


def _set_arm(tx: Tx, event: catchup.CatchupEvent, state: str | None) -> None:
    """Move the arm that is shown; one that has ended stays so."""
    tx.db.execute(
        "UPDATE host SET arm_state = ? WHERE id = ? AND arm_id = ? AND arm_state IS NOT NULL",
        (state, event.host_id, event.arm_id),
    )
    tx.signal("host", event.host_id)


# --- Alerts ---------------------------------------------------------------------------------------


def on_alert(tx: Tx, event: alerts.AlertEvent) -> None:
    _save_alert(tx, event.alert, None)


def on_alert_resolved(tx: Tx, event: alerts.AlertResolved) -> None:
    _save_alert(tx, event.alert, event.reason)


def _save_alert(tx: Tx, alert: Alert, reason: str | None) -> None:
    if store_alerts.save_alert(tx, alert, reason) and alert.host_id is not None:
        store.refresh(tx, alert.host_id)


def on_notification_delivered(tx: Tx, event: alerts.NotificationDelivered) -> None:
    store_alerts.save_delivery(tx, event, delivered=True, error=None)
    _told(tx, event)


def on_notification_failed(tx: Tx, event: alerts.NotificationFailed) -> None:
    store_alerts.save_delivery(tx, event, delivered=False, error=event.error)
    _told(tx, event)


def _told(tx: Tx, event: alerts.NotificationEvent) -> None:
    for alert_id in event.alert_ids:
        tx.signal("alert", alert_id)


def on_prune(tx: Tx, _key: str, _due_at: datetime) -> None:
    store_audit.prune(tx, tx.now)
    tx.schedule("prune", "", tx.now + PRUNE_EVERY)
