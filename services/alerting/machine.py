"""Alerting: who must be told of what, and who must be left in peace.

Events change what is known; deadlines judge it, when the log has been read to its end (R10). Each
part of the work has its own file; this table shows which.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from libs.common.events.agent import (
    AgentHello,
    AgentOffline,
    AgentSynced,
    GatewayListening,
    GatewayLost,
    GatewayStopped,
    OfflineReason,
)
from libs.common.events.alert import (
    Alert,
    AlertAcknowledged,
    AlertRaised,
    AlertReminded,
    AlertResolved,
    AlertSilenced,
    AlertState,
    AlertUnsilenced,
)
from libs.common.events.host import (
    Audit,
    HostChanged,
    HostEnrolled,
    HostModeChanged,
    HostRecord,
    HostRemoved,
    HostThresholdsChanged,
    ThresholdRules,
)
from libs.common.events.job import (
    JobAbandoned,
    JobFinished,
    JobInterrupted,
    JobRequested,
    JobStarted,
)
from libs.common.loop.machine import Buckets, Machine
from libs.common.loop.tx import Tx
from libs.common.session_table import forget_oldest_sessions, remember_session
from libs.common.threshold_table import get_rules
from services.alerting import (
    alerts,
    chances,
    coverage,
    follow,
    missed,
    outage,
    silence_requests,
    silences,
    store,
)
from services.alerting import store_alerts as rows
from services.alerting import store_sessions as sessions
from services.alerting import store_watch as watch_store
from services.alerting.alerts import ResolveReason
from services.alerting.chances import NOT_SUCCEEDING, ChanceJudge
from services.alerting.conditions import OFFLINE, STALE, Conditions
from services.alerting.hosts import UNTOLD, Hosts, take_record
from services.alerting.jobs import ENDED_BY_BACKUP, Jobs
from services.alerting.missed import MISSED, MissedJudge
from services.alerting.policy import Status
from services.alerting.requests import Requests
from services.alerting.settings import AlertingSettings
from services.alerting.watch import Watchers


class AlertingMachine(Machine):
    """The only one who raises and resolves alerts."""

    name = "alerting"
    package = "services.alerting"
    buckets = ("hosts", "thresholds", "backups", "sessions", alerts.BUCKET)
    needs_beat = True

    def __init__(self, settings: AlertingSettings) -> None:
        super().__init__()
        judge = ChanceJudge(settings)
        self._conditions = conditions = Conditions(settings, judge, MissedJudge(settings))
        self._watchers = watchers = Watchers(settings, self._on_period)
        hosts = Hosts(settings, conditions, watchers)
        jobs = Jobs(conditions)
        self.handlers = {
            HostEnrolled: hosts.on_host,
            HostChanged: hosts.on_host,
            HostModeChanged: hosts.on_host,
            HostRemoved: hosts.on_removed,
            HostThresholdsChanged: hosts.on_thresholds,
            AgentHello: hosts.on_hello,
            AgentSynced: hosts.on_synced,
            AgentOffline: hosts.on_offline,
            GatewayListening: watchers.on_listening,
            GatewayStopped: watchers.on_stopped,
            GatewayLost: watchers.on_lost,
            JobRequested: missed.on_run,
            JobStarted: missed.on_run,
            JobFinished: jobs.on_finished,
            JobInterrupted: jobs.on_interrupted,
            JobAbandoned: jobs.on_abandoned,
            AlertRaised: follow.on_alert,
            AlertReminded: follow.on_reminded,
            AlertAcknowledged: follow.on_alert,
            AlertResolved: follow.on_alert,
            AlertSilenced: follow.on_silenced,
            AlertUnsilenced: follow.on_silenced,
            Audit: silences.on_audit,
        }
        judged = {
            OFFLINE: conditions.on_offline_due,
            STALE: conditions.on_stale_due,
            NOT_SUCCEEDING: judge.on_due,
            MISSED: conditions.missed.on_due,
        }
        self.deadlines = {
            **{kind: watchers.when_all_are_heard(kind, on_due) for kind, on_due in judged.items()},
            UNTOLD: jobs.on_untold_due,
            outage.DEADLINE: outage.on_due,
            coverage.DEADLINE: silences.on_due,
        }
        self.verbs = {**Requests(conditions).verbs, **silence_requests.VERBS}
        self.live = {"dormice-live.beat.*": watchers.on_beat}

    def _on_period(self, tx: Tx, since: datetime, dark_from: datetime | None) -> None:
        self._conditions.expect_silences(tx)
        chances.on_period(tx, since, dark_from)

    # -- start ------------------------------------------------------------------------------------

    def load(self, tx: Tx, buckets: Buckets) -> None:
        """Take current state; gateways are learned from their beats, the log that told is gone."""
        watch_store.forget_gateways(tx)
        for data in buckets.get("thresholds", {}).values():
            self._conditions.on_rules(tx, ThresholdRules.model_validate_json(data))
        for data in buckets.get("hosts", {}).values():
            record = HostRecord.model_validate_json(data)
            take_record(tx, record, store.find_host(tx, record.id))
        for data in buckets.get(alerts.BUCKET, {}).values():
            _take_alert(tx, Alert.model_validate_json(data))
        for data in buckets.get("sessions", {}).values():
            _take_session(tx, json.loads(data))
        for data in buckets.get("backups", {}).values():
            _take_backup(tx, json.loads(data))
        tx.schedule(coverage.DEADLINE, coverage.ALL, tx.now)
        rules = get_rules(tx.db)
        for host in store.list_hosts(tx):
            chances.on_expected(tx, host)
            has_alerts = bool(rows.list_open(tx, host.id))
            if has_alerts or self._conditions.missed_after(host, rules) is not None:
                self._conditions.missed.plan(tx, host, rules)
            if has_alerts:
                self._conditions.look(tx, host)
            elif host.is_away:
                tx.schedule(OFFLINE, host.id, tx.now)
            else:
                self._conditions.expect_staleness(tx, host)

    def on_connected(self, tx: Tx) -> None:
        self._conditions.on_thresholds(tx)
        self._watchers.on_connected(tx)

    def republish(self, tx: Tx) -> None:
        for alert in rows.list_open(tx):
            tx.put(alerts.BUCKET, alert.id, alert)


def _take_session(tx: Tx, value: Mapping[str, Any]) -> None:
    """Take a host's session from presence, unless we know of a newer one."""
    host = store.find_present(tx, value["host_id"])
    if host is None or value["status"] == Status.NEVER_SEEN:
        return
    last_seen = datetime.fromisoformat(value["last_seen"])
    if host.last_seen is not None and host.last_seen >= last_seen:
        return
    status, since = Status(value["status"]), datetime.fromisoformat(value["since"])
    is_online = status is Status.ONLINE
    reason = value.get("reason")
    store.save_host(
        tx,
        replace(
            host,
            status=status,
            session=value["session"],
            connection=value.get("connection"),
            gateway=value.get("gateway"),
            last_seen=last_seen,
            offline_at=None if is_online else since,
            offline_reason=OfflineReason(reason) if reason and not is_online else None,
        ),
    )
    if remember_session(tx.db, host.id, value["session"]):
        forget_oldest_sessions(tx.db, host.id)
    if is_online and host.status is not Status.ONLINE:
        sessions.begin_stretch(tx, host.id, since)
        chances.on_online(tx, host, tx.now)
        alerts.resolve_open(tx, host.id, OFFLINE, ResolveReason.HOST_RETURNED, rule="R5")
        outage.on_return(tx, host.id)
    elif not is_online:
        sessions.end_stretch(tx, host.id, since)
        chances.on_offline(tx, host, last_seen)


def _take_backup(tx: Tx, value: Mapping[str, Any]) -> None:
    """Take a group's last success from jobs; it ends what was told of the group before it (R9)."""
    host = store.find_present(tx, value["host_id"])
    if host is None or value.get("last_success_at") is None:
        return
    success_at = min(datetime.fromisoformat(value["last_success_at"]), tx.now)
    if host.last_success_at is None or success_at > host.last_success_at:
        store.save_host(tx, replace(host, last_success_at=success_at))
        chances.on_success(tx, host, success_at)
    for kind in ENDED_BY_BACKUP:
        alert = rows.find_open(tx, host.id, kind, value["source_group_id"])
        if alert is not None and alert.last_seen_at < success_at:
            alerts.resolve(tx, alert, ResolveReason.BACKUP_SUCCEEDED, rule="R9")


def _take_alert(tx: Tx, alert: Alert) -> None:
    """Take an open alert of our own bucket; one that we know to be over leaves the bucket."""
    known = rows.find_alert(tx, alert.id)
    if known is None and rows.find_open(tx, alert.host_id, alert.kind, alert.dedup_key) is None:
        follow.take(tx, alert)
    elif known is None or known.state is AlertState.RESOLVED:
        tx.put(alerts.BUCKET, alert.id, None)
        return
    if alert.host_id is not None and store.find_present(tx, alert.host_id) is None:
        alerts.resolve(tx, known or alert, ResolveReason.HOST_REMOVED)
