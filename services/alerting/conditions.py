"""The part of alerting's machine that judges the two conditions of a host, when they are due.

Nothing is raised while events are applied: that may be old news (R10). What an event changes is
looked at by a deadline, at once if need be, and deadlines run only when the log has been read to
its end. A look that comes too early leaves the next one behind.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from libs.common.clock import to_rfc3339
from libs.common.durations import format_duration
from libs.common.events.alert import Alert, AlertKind
from libs.common.events.host import ThresholdRules
from libs.common.loop.tx import Tx
from libs.common.threshold_table import get_rules, keep_newer
from services.alerting import alerts, chances, mutes, outage, policy, store
from services.alerting import store_alerts as rows
from services.alerting.alerts import Finding, ResolveReason
from services.alerting.chances import NOT_SUCCEEDING, ChanceJudge
from services.alerting.facts import Facts, Sight
from services.alerting.missed import MissedJudge
from services.alerting.policy import HostState, OfflineVerdict, StaleVerdict, Status
from services.alerting.settings import AlertingSettings
from services.alerting.store import Host

OFFLINE, STALE = AlertKind.AGENT_OFFLINE, AlertKind.STALE_SCHEDULE

_OFFLINE_ENDS = {
    OfflineVerdict.ONLINE: ResolveReason.HOST_RETURNED,
    OfflineVerdict.INTERMITTENT: ResolveReason.MODE_CHANGED,
}
_OFFLINE_RULES = {
    OfflineVerdict.INTERMITTENT: "R4",
    OfflineVerdict.NOT_OBSERVED: "R10",
}
_STALE_ENDS = {
    StaleVerdict.FRESH: ResolveReason.THRESHOLD_CHANGED,
    StaleVerdict.NO_SCHEDULE: ResolveReason.SCHEDULE_DISABLED,
    StaleVerdict.ALWAYS_ON: ResolveReason.MODE_CHANGED,
}


class Conditions(Facts):
    """Judges `agent_offline` and `stale_schedule`; knows of all conditions whether they hold."""

    def __init__(self, settings: AlertingSettings, judge: ChanceJudge, missed: MissedJudge) -> None:
        super().__init__(settings)
        self._judge, self.missed = judge, missed

    # -- looking later ----------------------------------------------------------------------------

    def look(self, tx: Tx, host: Host) -> None:
        """Look at both conditions as soon as the log has been read to its end."""
        for kind in (OFFLINE, STALE):
            tx.schedule(kind, host.id, tx.now)

    def expect_silence(self, tx: Tx, host: Host) -> None:
        """The host went offline: say what that means, and look again when it can matter."""
        if not host.always_on:
            _explain_no_alert(tx, host, OFFLINE, OfflineVerdict.INTERMITTENT, "R4")
            return
        sight = self.look_at(tx, host)
        at = policy.next_offline_look(sight.state, sight.watch, tx.now)
        tx.schedule(OFFLINE, host.id, at)
        text = f"offline; an alert is raised if it stays away for {format_duration(at - tx.now)}"
        tx.decide(host.id, "no_alert_yet", text, rule="R5", kind=OFFLINE, at=at,
                  last_seen=host.last_seen, floor=format_duration(sight.floor.value),
                  threshold_from=sight.floor.source)  # fmt: skip

    def expect_silences(self, tx: Tx) -> None:
        """A new period began: look at all who are away when they may have been silent in it."""
        for host in store.list_away(tx):
            sight = self.look_at(tx, host)
            at = policy.next_offline_look(sight.state, sight.watch, tx.now)
            tx.schedule(OFFLINE, host.id, max(at, tx.now))

    def on_thresholds(self, tx: Tx) -> None:
        """The service has started: if the fleet's thresholds are others now, look at everybody."""
        floor, stale_after = self._settings.agent_offline_floor, self._settings.stale_after
        if store.swap_fleet_thresholds(tx, floor, stale_after):
            for host in store.list_hosts(tx):
                self.on_expected(tx, host)

    def on_rules(self, tx: Tx, rules: ThresholdRules) -> None:
        """Thresholds of tags or modes may have changed. Idempotent by `version`."""
        before = get_rules(tx.db)
        if not keep_newer(tx.db, rules):
            return
        for host in store.list_hosts(tx):
            if self.expected(host, rules) != self.expected(host, before):
                self.on_expected(tx, host)

    def on_expected(self, tx: Tx, host: Host) -> None:
        """Another thing is expected of a host: what is open may end, and what follows is due."""
        chances.on_expected(tx, host)
        self.missed.plan(tx, host, get_rules(tx.db))
        self.end_if_too_early(tx, host)
        self.look(tx, host)

    def expect_staleness(self, tx: Tx, host: Host) -> None:
        """The host was backed up: look again when that has become old."""
        self.look_when_stale(tx, host, self.look_at(tx, host))

    def look_when_stale(self, tx: Tx, host: Host, sight: Sight) -> None:
        """`expect_staleness`, for whom `sight` is of `host` as it is now."""
        at = policy.next_stale_look(sight.state, sight.watch, tx.now, self._settings.offline_after)
        if at is None:
            tx.unschedule(STALE, host.id)
        else:
            tx.schedule(STALE, host.id, at)

    # -- agent_offline ----------------------------------------------------------------------------

    def on_offline_due(self, tx: Tx, host_id: str, _: datetime) -> None:
        host = store.find_present(tx, host_id)
        if host is None:
            return
        sight = self.look_at(tx, host)
        state, watch = sight.state, sight.watch
        verdict = policy.assess_offline(state, watch, tx.now)
        rule = _OFFLINE_RULES.get(verdict, "R5")
        known = rows.find_open(tx, host_id, OFFLINE) if host.may_have.alerts else None
        if known is not None:
            _end_or_keep(tx, known, _OFFLINE_ENDS.get(verdict), verdict, rule)
        elif verdict is OfflineVerdict.DUE:
            mutes.unless_muted(tx, host, OFFLINE, lambda: self._raise_offline(tx, host, sight))
        elif verdict in (OfflineVerdict.TOO_EARLY, OfflineVerdict.NOT_OBSERVED):
            at = policy.next_offline_look(state, watch, tx.now)
            tx.schedule(OFFLINE, host_id, at)
            tx.decide(host_id, "no_alert_yet", verdict.value, rule=rule, kind=OFFLINE, at=at,
                      last_seen=host.last_seen, listening_since=watch.period_start,
                      gateway_lost_at=state.gateway_lost_at)  # fmt: skip
        else:
            _explain_no_alert(tx, host, OFFLINE, verdict, rule)

    def _raise_offline(self, tx: Tx, host: Host, sight: Sight) -> None:
        start, floor = policy.silence_start(sight.state, sight.watch), sight.floor
        assert start is not None
        alerts.raise_alert(
            tx,
            Finding(
                kind=OFFLINE,
                message=policy.offline_message(tx.now - start, floor.value),
                rule="R5",
                host_id=host.id,
                host_name=host.name,
                held_by=outage.find_holder(tx, host),
                facts={
                    "last_seen": _text(host.last_seen),
                    "silent_since": to_rfc3339(start),
                    "threshold": format_duration(floor.value),
                    "threshold_from": floor.source,
                    "reason": host.offline_reason,
                    "session": host.session,
                },
            ),
        )

    def end_if_too_early(self, tx: Tx, host: Host) -> None:
        """The floor has changed: an alert that is too early by the new one ends."""
        alert = rows.find_open(tx, host.id, OFFLINE) if host.may_have.alerts else None
        if alert is None:
            return
        silent = tx.now - datetime.fromisoformat(alert.facts["silent_since"])
        if silent < self.floor(host, get_rules(tx.db)).value:
            alerts.resolve(tx, alert, ResolveReason.THRESHOLD_CHANGED, rule="R5")

    # -- stale_schedule ---------------------------------------------------------------------------

    def on_stale_due(self, tx: Tx, host_id: str, _: datetime) -> None:
        host = store.find_present(tx, host_id)
        if host is None:
            return
        sight = self.look_at(tx, host)
        verdict = self.assess_stale(tx, sight)
        known = rows.find_open(tx, host_id, STALE) if host.may_have.alerts else None
        if known is not None and verdict is StaleVerdict.DUE:
            self._climb(tx, host, known, sight.state)
        elif known is not None:
            _end_or_keep(tx, known, _STALE_ENDS.get(verdict), verdict, "R6")
        elif verdict is StaleVerdict.DUE:
            mutes.unless_muted(tx, host, STALE, lambda: self._raise_stale(tx, host, sight))
        else:
            threshold = sight.stale_after
            _explain_no_alert(tx, host, STALE, verdict, "R6",
                              threshold=format_duration(threshold.value),
                              threshold_from=threshold.source)  # fmt: skip
        if known is not None and verdict is StaleVerdict.REPORTS_AWAITED:
            tx.schedule(STALE, host_id, policy.reports_awaited_until(sight.watch, tx.now))
        elif verdict in (StaleVerdict.FRESH, StaleVerdict.REPORTS_AWAITED):
            self.look_when_stale(tx, host, sight)

    def _climb(self, tx: Tx, host: Host, alert: Alert, state: HostState) -> None:
        """Still stale: it is told again if it has reached a rung since the last one (R7)."""
        assert host.last_success_at is not None
        age = tx.now - host.last_success_at
        rung = policy.rung_reached(age, state.stale_after)
        if rung > alert.rung:
            alerts.remind(tx, alert, rung, policy.stale_message(age, state.stale_after))
        else:
            _end_or_keep(tx, alert, None, StaleVerdict.DUE, "R6")
        self._expect_rung(tx, host, max(rung, alert.rung), state)

    def _expect_rung(self, tx: Tx, host: Host, rung: int, state: HostState) -> None:
        assert host.last_success_at is not None
        at = policy.next_rung_at(host.last_success_at, state.stale_after, rung)
        if at is not None:
            tx.schedule(STALE, host.id, at)

    def _raise_stale(self, tx: Tx, host: Host, sight: Sight) -> None:
        """Raise it; the rungs that it has passed by now are told with it."""
        assert host.last_success_at is not None
        age, threshold = tx.now - host.last_success_at, sight.stale_after
        rung = policy.rung_reached(age, threshold.value)
        self._expect_rung(tx, host, rung, sight.state)
        alerts.raise_alert(
            tx,
            Finding(
                kind=STALE,
                message=policy.stale_message(age, threshold.value),
                rule="R6",
                host_id=host.id,
                host_name=host.name,
                rung=rung,
                facts={
                    "last_success_at": to_rfc3339(host.last_success_at),
                    "threshold": format_duration(threshold.value),
                    "threshold_from": threshold.source,
                },
            ),
        )

    # -- mutes ------------------------------------------------------------------------------------

    def mute_if_it_holds(self, tx: Tx, alert: Alert) -> datetime | None:
        """After a manual resolve: mute a condition that may still hold, and look again after it."""
        host = store.find_present(tx, alert.host_id or "")
        if host is None or not self._holds(tx, host, alert.kind):
            return None
        return mutes.mute(tx, host.id, alert.kind)

    def _holds(self, tx: Tx, host: Host, kind: AlertKind) -> bool:
        if kind is OFFLINE:
            return host.is_away
        if kind is STALE:
            return self.is_stale(tx, host)
        return kind is NOT_SUCCEEDING and self._judge.holds(tx, host)

    # -- what comes next --------------------------------------------------------------------------

    def forecast(self, tx: Tx, host: Host) -> tuple[AlertKind, datetime] | None:
        """Return which alert comes next if nothing happens, and when; None: none will."""
        sight = self.look_at(tx, host)
        state, watch = sight.state, sight.watch
        kind = OFFLINE if host.always_on else STALE
        if host.removed or rows.find_open(tx, host.id, kind) is not None:
            return None
        if kind is OFFLINE:
            observed = state.status is Status.OFFLINE and watch.period_start is not None
            at = policy.next_offline_look(state, watch, tx.now) if observed else None
        else:
            at = policy.next_stale_look(state, watch, tx.now, self._settings.offline_after)
        if at is None:
            return None
        return kind, max(at, rows.find_mute(tx, host.id, kind) or at, tx.now)


def _end_or_keep(
    tx: Tx, known: Alert, reason: ResolveReason | None, verdict: OfflineVerdict | StaleVerdict,
    rule: str,
) -> None:  # fmt: skip
    """An alert is open already: it ends for `reason`, or (None) stays as it is."""
    if reason is not None:
        alerts.resolve(tx, known, reason, rule=rule)
        return
    assert known.host_id is not None
    tx.decide(known.host_id, "alert_stands", f"{known.kind.words} stays open: {verdict.value}",
              rule=rule, kind=known.kind, alert_id=known.id)  # fmt: skip


def _explain_no_alert(
    tx: Tx, host: Host, kind: AlertKind, verdict: OfflineVerdict | StaleVerdict, rule: str,
    **facts: Any,
) -> None:  # fmt: skip
    tx.decide(
        host.id, "no_alert", verdict.value, rule=rule, kind=kind, always_on=host.always_on,
        last_seen=host.last_seen, last_success_at=host.last_success_at, **facts,
    )  # fmt: skip


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else to_rfc3339(moment)
