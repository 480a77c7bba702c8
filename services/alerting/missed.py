"""The part of alerting's machine that sees when a schedule of a host that was there fired in vain.

Of each enabled schedule of an always-on host for which somebody asked, the next fire is kept, with
a deadline at the end of its window.
"""

from __future__ import annotations

from datetime import datetime

from libs.common import cron
from libs.common.clock import to_rfc3339
from libs.common.events.alert import AlertKind
from libs.common.events.host import Schedule, ThresholdRules
from libs.common.events.job import JobEvent
from libs.common.loop.tx import Tx
from libs.common.threshold_table import get_rules
from libs.common.thresholds import Threshold
from services.alerting import alerts, policy, policy_missed, store
from services.alerting import store_alerts as rows
from services.alerting import store_missed as kept
from services.alerting.alerts import Finding, ResolveReason
from services.alerting.facts import Facts
from services.alerting.policy_missed import MissedVerdict, Window
from services.alerting.store import Host
from services.alerting.store_missed import Expected
from services.alerting.store_watch import get_gate

MISSED = AlertKind.SCHEDULE_MISSED


def on_run(tx: Tx, event: JobEvent) -> None:
    """A schedule produced a run. Idempotent: only the latest fire of a pair is kept."""
    host = store.find_present(tx, event.host_id)
    if host is not None:
        see_run(tx, host, event)


def see_run(tx: Tx, host: Host, event: JobEvent) -> None:
    """`on_run`, of a host that is there."""
    schedule, group, fire = event.schedule_id, event.source_group_id, event.fire_time
    if schedule is None or group is None or fire is None:
        return
    kept.see_run(tx, event.host_id, schedule, group, fire)
    if not host.may_have.alerts:
        return
    alert = rows.find_open(tx, event.host_id, MISSED, _key(schedule, group))
    if alert is not None and fire >= datetime.fromisoformat(alert.facts["fire_time"]):
        alerts.resolve(tx, alert, ResolveReason.RUN_PRODUCED, rule="R14")


def on_removed(tx: Tx, host_id: str) -> None:
    for schedule_id in kept.list_expected(tx, host_id):
        tx.unschedule(MISSED, f"{host_id}/{schedule_id}")
    kept.forget_host(tx, host_id)


def _key(schedule_id: str, group_id: str) -> str:
    return f"{schedule_id}:{group_id}"


class MissedJudge(Facts):
    """Plans the next look at each schedule, and judges it when its window is over."""

    def plan(self, tx: Tx, host: Host, rules: ThresholdRules) -> None:
        """What is expected of `host` may be another thing: keep what is still to be looked at."""
        window = self.missed_after(host, rules)
        judged = {} if window is None else {one.id: one for one in _judged(tx, host)}
        known = kept.list_expected(tx, host.id) if host.may_have.expected else {}
        for schedule_id in known.keys() - judged.keys():
            kept.drop_expected(tx, host.id, schedule_id)
            tx.unschedule(MISSED, f"{host.id}/{schedule_id}")
        for schedule in judged.values():
            expected = known.get(schedule.id)
            if expected is None or expected.rule != _rule(schedule):
                self._expect(tx, host, schedule, tx.now, window)
            elif window is not None:
                tx.schedule(MISSED, f"{host.id}/{schedule.id}", expected.fire_at + window.value)
        if host.may_have.alerts:
            _end_what_nobody_asks(tx, host, judged, window)

    def _expect(
        self, tx: Tx, host: Host, schedule: Schedule, after: datetime, window: Threshold | None
    ) -> None:
        """Keep the first fire after `after`, and look when its window is over."""
        fire_at = _next_fire(schedule, after)
        if window is None or fire_at is None:
            kept.drop_expected(tx, host.id, schedule.id)
            return
        kept.save_expected(tx, host.id, Expected(schedule.id, _rule(schedule), fire_at))
        tx.schedule(MISSED, f"{host.id}/{schedule.id}", fire_at + window.value)

    def on_due(self, tx: Tx, key: str, _: datetime) -> None:
        host_id, schedule_id = key.split("/", 1)
        host = store.find_present(tx, host_id)
        expected = kept.list_expected(tx, host_id).get(schedule_id)
        window = self.missed_after(host, get_rules(tx.db)) if host is not None else None
        if host is None or expected is None or window is None:
            return
        schedule = next((one for one in _judged(tx, host) if one.id == schedule_id), None)
        if schedule is None:
            return
        names = host.group_names
        verdicts = {
            group: self._judge(tx, host, schedule, group, expected.fire_at, window)
            for group in schedule.source_group_ids
            if group in names
        }
        if MissedVerdict.REPORTS_AWAITED in verdicts.values():
            tx.schedule(MISSED, key, policy.reports_awaited_until(get_gate(tx).watch, tx.now))
        else:
            after = max(expected.fire_at, tx.now - window.value)
            self._expect(tx, host, schedule, after, window)

    def _judge(
        self, tx: Tx, host: Host, schedule: Schedule, group: str, fire_at: datetime,
        window: Threshold,
    ) -> MissedVerdict:  # fmt: skip
        """Judge one fire of one pair, once its window is over."""
        sight = self.look_at(tx, host)
        waits = self.waits_for_reports(tx, sight)
        found = Window(
            fire_at, window.value,
            kept.was_online(tx, host.id, fire_at, fire_at + window.value),
            sight.watch.period_start, waits, kept.find_seen(tx, host.id, schedule.id, group),
        )  # fmt: skip
        verdict = policy_missed.assess(found)
        if verdict is MissedVerdict.DUE:
            _raise(tx, host, schedule, group, found)
        elif verdict is not MissedVerdict.RAN:
            tx.decide(host.id, "no_alert", verdict.value, rule="R14", kind=MISSED,
                      schedule_id=schedule.id, fire_time=fire_at)  # fmt: skip
        return verdict


def _end_what_nobody_asks(
    tx: Tx, host: Host, judged: dict[str, Schedule], window: Threshold | None
) -> None:
    names = host.group_names
    pairs = {
        _key(one.id, group) for one in judged.values() for group in one.source_group_ids
        if group in names
    }  # fmt: skip
    for alert in rows.list_open(tx, host.id):
        if alert.kind is MISSED and alert.dedup_key not in pairs:
            alerts.resolve(tx, alert, _why_nobody_asks(host, window))


def _why_nobody_asks(host: Host, window: Threshold | None) -> ResolveReason:
    if not host.always_on:
        return ResolveReason.MODE_CHANGED
    return ResolveReason.THRESHOLD_CHANGED if window is None else ResolveReason.SCHEDULE_DISABLED


def _raise(tx: Tx, host: Host, schedule: Schedule, group: str, window: Window) -> None:
    name = f"{schedule.name} ({host.group_names[group]})"
    alerts.raise_alert(
        tx,
        Finding(
            kind=MISSED,
            message=policy_missed.message(name, window.fire_at, window.lasts),
            rule="R14",
            host_id=host.id,
            host_name=host.name,
            dedup_key=_key(schedule.id, group),
            facts={
                "schedule_id": schedule.id,
                "source_group_id": group,
                "fire_time": to_rfc3339(window.fire_at),
            },
        ),
    )


def _judged(tx: Tx, host: Host) -> list[Schedule]:
    """Return the schedules that must lead to runs: of an always-on host, enabled, with groups."""
    if not host.always_on:
        return []
    names = host.group_names
    return [
        one for one in kept.find_schedules(tx, host.id)
        if one.enabled and any(group in names for group in one.source_group_ids)
    ]  # fmt: skip


def _rule(schedule: Schedule) -> str:
    return f"{schedule.cron} {schedule.timezone}"


def _next_fire(schedule: Schedule, after: datetime) -> datetime | None:
    """Return the first fire after a moment; None: it never fires, or cannot be read."""
    try:
        return cron.next_fire(schedule.cron, after, cron.zone(schedule.timezone or "UTC"))
    except (cron.BadCron, cron.UnknownZone):
        return None
