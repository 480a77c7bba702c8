"""The part of alerting's machine that follows hosts: their records, modes and sessions."""

from __future__ import annotations

import json
from dataclasses import replace

from libs.common.events.agent import AgentHello, AgentOffline, AgentSynced, OfflineReason
from libs.common.events.host import (
    HostFact,
    HostRecord,
    HostRemoved,
    HostThresholdsChanged,
)
from libs.common.loop.tx import Tx
from libs.common.session_table import forget_oldest_sessions, remember_session
from libs.common.sessions import HelloVerdict, assess_hello
from libs.common.threshold_table import get_rules
from services.alerting import alerts, chances, coverage, missed, outage, store, store_missed
from services.alerting import store_alerts as rows
from services.alerting import store_sessions as sessions
from services.alerting.alerts import ResolveReason
from services.alerting.conditions import OFFLINE, STALE, Conditions
from services.alerting.policy import Status
from services.alerting.settings import AlertingSettings
from services.alerting.store import Host
from services.alerting.watch import Watchers

UNTOLD = "untold"
_GOODBYES = frozenset({OfflineReason.SLEEP, OfflineReason.SHUTDOWN, OfflineReason.RESTART})


class Hosts:
    """Handlers for what the registry and the agents say of hosts."""

    def __init__(
        self, settings: AlertingSettings, conditions: Conditions, watchers: Watchers
    ) -> None:
        self._settings = settings
        self._conditions = conditions
        self._watchers = watchers

    # -- records ----------------------------------------------------------------------------------

    def on_host(self, tx: Tx, event: HostFact) -> None:
        """Idempotent by the record's version. A real change of mode begins anew (R8)."""
        before = store.find_host(tx, event.host_id)
        after = take_record(tx, event.record, before)
        if after is None:
            return
        rules = get_rules(tx.db)
        self._conditions.missed.plan(tx, after, rules)
        if before is None:
            chances.on_expected(tx, after)
            self._conditions.look(tx, after)
            return
        _end_failures_of_gone_groups(tx, before, after)
        if before.tags != after.tags:
            tx.schedule(coverage.DEADLINE, after.id, tx.now)
        if self._conditions.expected(before, rules) == self._conditions.expected(after, rules):
            return
        if before.always_on != after.always_on:
            self._change_mode(tx, after)
        self._conditions.on_expected(tx, after)

    def on_thresholds(self, tx: Tx, event: HostThresholdsChanged) -> None:
        """Idempotent by `rules.version`. Holds for open and coming alerts at once (R5, R6)."""
        self._conditions.on_rules(tx, event.rules)

    def _change_mode(self, tx: Tx, host: Host) -> None:
        for kind in (OFFLINE, STALE):
            alerts.end(tx, host, kind, ResolveReason.MODE_CHANGED, rule="R8")
        if not host.always_on:
            outage.on_left(tx, host.id)

    def on_removed(self, tx: Tx, event: HostRemoved) -> None:
        host = store.find_host(tx, event.host_id)
        if host is not None and host.removed:
            return
        outage.on_left(tx, event.host_id)
        for alert in rows.list_open(tx, event.host_id):
            alerts.resolve(tx, alert, ResolveReason.HOST_REMOVED)
        for kind in (OFFLINE, STALE, UNTOLD, coverage.DEADLINE):
            tx.unschedule(kind, event.host_id)
        chances.on_removed(tx, event.host_id)
        missed.on_removed(tx, event.host_id)
        store.forget_host(tx, event.record)

    # -- sessions ---------------------------------------------------------------------------------

    def on_hello(self, tx: Tx, event: AgentHello) -> None:
        """Idempotent by `session`. Whoever is back is not missed (R5)."""
        caller = sessions.find_caller(tx, event, self._watchers.news_from(tx))
        host = caller.host
        if host.removed:
            return
        known = not remember_session(tx.db, host.id, event.session)
        verdict = assess_hello(host.connection, event.connection, known=known)
        if verdict is HelloVerdict.KNOWN:
            return
        if caller.has_many_sessions:
            forget_oldest_sessions(tx.db, host.id)
        if verdict is HelloVerdict.NEWER:
            if not caller.is_gateway_heard:
                self._watchers.on_heard(tx, event.gateway)
            self._go_online(tx, host, event)

    def _go_online(self, tx: Tx, host: Host, event: AgentHello) -> None:
        at = tx.time
        if host.status is not Status.ONLINE:
            sessions.begin_stretch(tx, host.id, at)
            chances.on_online(tx, host, at)
        sessions.set_online(tx, event, max(at, host.last_seen or at))
        tx.unschedule(OFFLINE, host.id)
        alerts.end(tx, host, OFFLINE, ResolveReason.HOST_RETURNED, rule="R5")
        if host.may_have.outage:
            outage.on_return(tx, host.id)

    def on_offline(self, tx: Tx, event: AgentOffline) -> None:
        """Idempotent by `session`: only the end of the live one counts (R3)."""
        host = store.find_present(tx, event.host_id)
        if host is None or host.session != event.session:
            return
        noticed = tx.time
        last_seen = min(event.last_seen, noticed)
        if host.status is Status.OFFLINE:
            # A gateway that is back may know better than presence did when it took it for lost.
            last_seen = max(last_seen, host.last_seen or last_seen)
            sessions.set_offline(tx, replace(host, last_seen=last_seen))
            return
        goodbye = event.reason in _GOODBYES
        should = last_seen if goodbye else last_seen + self._settings.offline_after
        host = replace(
            host,
            status=Status.OFFLINE,
            last_seen=last_seen,
            offline_at=min(should, noticed),
            offline_reason=event.reason,
        )
        sessions.set_offline(tx, host)
        sessions.end_stretch(tx, host.id, host.offline_at or noticed)
        chances.on_offline(tx, host, last_seen)
        self._conditions.expect_silence(tx, host)

    def on_synced(self, tx: Tx, event: AgentSynced) -> None:
        """The host's reports have arrived, it can be judged (R6). Idempotent by `session` and, of
        one that outlived a blackout, by `since`."""
        awaited = sessions.set_synced(tx, event)
        if awaited is not None and awaited.is_behind and not awaited.always_on:
            tx.schedule(STALE, event.host_id, tx.now)
            chances.on_synced(tx, event.host_id)


def _end_failures_of_gone_groups(tx: Tx, before: Host, after: Host) -> None:
    """No backup will ever succeed for a source group that was removed."""
    if not after.may_have.alerts:
        return
    gone = before.group_names.keys() - after.group_names.keys()
    for alert in rows.list_open(tx, after.id) if gone else ():
        if alert.dedup_key in gone:
            alerts.resolve(tx, alert, ResolveReason.GROUP_REMOVED)


def take_record(tx: Tx, record: HostRecord, before: Host | None) -> Host | None:
    """Keep what alerting needs of a record of the host that `before` is; None if it is no news."""
    if before is not None and (before.removed or record.version <= before.record_version):
        return None
    if record.removed:
        store.forget_host(tx, record)
        return None
    after = replace(
        before or Host(record.id, record.name),
        name=record.name,
        tags=record.tags,
        always_on=record.always_on,
        record_version=record.version,
        offline_seconds=record.thresholds.offline_seconds,
        stale_seconds=record.thresholds.stale_seconds,
        missed_seconds=record.thresholds.missed_seconds,
        has_schedule=any(schedule.enabled for schedule in record.schedules),
        groups=json.dumps({group.id: group.name for group in record.source_groups}),
    )
    if before is None:
        store.save_host(tx, after)
    else:
        store.save_record(tx, after)
    store_missed.save_schedules(tx, record)
    return after
