"""What the policy is given: a host and the watch, from the tables and the thresholds that hold."""

from __future__ import annotations

from dataclasses import dataclass

from libs.common import thresholds
from libs.common.events.host import ThresholdRules
from libs.common.loop.tx import Tx
from libs.common.thresholds import Threshold
from services.alerting import policy
from services.alerting import store_watch as watch_store
from services.alerting.policy import HostState, StaleVerdict, Watch
from services.alerting.settings import AlertingSettings
from services.alerting.store import Host


@dataclass(frozen=True, slots=True)
class Sight:
    """What the rules need of a host, and whether anyone listens, read at once; with the thresholds
    that hold, and who set them."""

    state: HostState
    watch: Watch
    floor: Threshold
    stale_after: Threshold


class Facts:
    """Finds what the rules need, with the thresholds in force: host > tag > mode > fleet."""

    def __init__(self, settings: AlertingSettings) -> None:
        self._settings = settings

    def floor(self, host: Host, rules: ThresholdRules) -> Threshold:
        """Return the silence after which `host` is missed, and who set it."""
        return thresholds.offline_floor(host.limits, rules, self._settings.agent_offline_floor)

    def stale_after(self, host: Host, rules: ThresholdRules) -> Threshold:
        """Return the age of a backup at which `host` is stale, and who set it."""
        return thresholds.stale_after(host.limits, rules, self._settings.stale_after)

    def missed_after(self, host: Host, rules: ThresholdRules) -> Threshold | None:
        """Return how long a fire of `host` may go without a run, and who asked; None: nobody."""
        return thresholds.missed_after(host.limits, rules)

    def expected(self, host: Host, rules: ThresholdRules) -> tuple[object, ...]:
        """Return what is expected of `host`: what either condition depends on but for events."""
        floor, stale_after = self.floor(host, rules), self.stale_after(host, rules)
        missed = self.missed_after(host, rules)
        window = None if missed is None else missed.value
        return host.always_on, floor.value, stale_after.value, host.has_schedule, window

    def look_at(self, tx: Tx, host: Host) -> Sight:
        """Return what the rules need of `host`."""
        scene = watch_store.get_scene(tx, host.gateway)
        floor, stale_after = self.floor(host, scene.rules), self.stale_after(host, scene.rules)
        state = HostState(
            always_on=host.always_on,
            status=host.status,
            floor=floor.value,
            stale_after=stale_after.value,
            last_seen=host.last_seen,
            gateway_lost_at=scene.gateway_lost_at,
            has_schedule=host.has_schedule,
            last_success_at=host.last_success_at,
            reports_arrived=host.synced_gate >= scene.gate.number,
        )
        return Sight(state, scene.gate.watch, floor, stale_after)

    def waits_for_reports(self, tx: Tx, sight: Sight) -> bool:
        """Say whether backups may have been made that nobody could tell us of."""
        return policy.is_waiting_for_reports(
            sight.state, sight.watch, tx.now, self._settings.offline_after
        )

    def assess_stale(self, tx: Tx, sight: Sight) -> StaleVerdict:
        """Return the verdict of R6 at `tx.now`."""
        return policy.assess_stale(sight.state, sight.watch, tx.now, self._settings.offline_after)

    def is_stale(self, tx: Tx, host: Host) -> bool:
        """Say whether `host` is stale, or would be but for its awaited reports."""
        verdict = self.assess_stale(tx, self.look_at(tx, host))
        return verdict in (StaleVerdict.DUE, StaleVerdict.REPORTS_AWAITED)
