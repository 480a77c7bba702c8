"""What the policy is given: a host and the watch, from the tables and the thresholds that hold."""

from __future__ import annotations

from libs.common import thresholds
from libs.common.loop.tx import Tx
from libs.common.threshold_table import get_rules
from libs.common.thresholds import Threshold
from services.alerting import policy
from services.alerting import store_watch as watch_store
from services.alerting.policy import HostState, StaleVerdict, Watch
from services.alerting.settings import AlertingSettings
from services.alerting.store import Host


class Facts:
    """Reads what the rules need, with the thresholds in force: host > tag > mode > fleet."""

    def __init__(self, settings: AlertingSettings) -> None:
        self._settings = settings

    def floor(self, tx: Tx, host: Host) -> Threshold:
        """Return the silence after which `host` is missed, and who set it."""
        fleet = self._settings.agent_offline_floor
        return thresholds.offline_floor(host.limits, get_rules(tx.db), fleet)

    def stale_after(self, tx: Tx, host: Host) -> Threshold:
        """Return the age of a backup at which `host` is stale, and who set it."""
        fleet = self._settings.stale_after
        return thresholds.stale_after(host.limits, get_rules(tx.db), fleet)

    def missed_after(self, tx: Tx, host: Host) -> Threshold | None:
        """Return how long a fire of `host` may go without a run, and who asked; None: nobody."""
        return thresholds.missed_after(host.limits, get_rules(tx.db))

    def expected(self, tx: Tx, host: Host) -> tuple[object, ...]:
        """Return what is expected of `host`: what either condition depends on but for events."""
        floor, stale_after = self.floor(tx, host), self.stale_after(tx, host)
        missed = self.missed_after(tx, host)
        window = None if missed is None else missed.value
        return host.always_on, floor.value, stale_after.value, host.has_schedule, window

    def state(self, tx: Tx, host: Host) -> HostState:
        """Return what the rules need of `host`."""
        gate = watch_store.get_gate(tx)
        return HostState(
            always_on=host.always_on,
            status=host.status,
            floor=self.floor(tx, host).value,
            stale_after=self.stale_after(tx, host).value,
            last_seen=host.last_seen,
            gateway_lost_at=watch_store.find_lost_at(tx, host.gateway),
            has_schedule=host.has_schedule,
            last_success_at=host.last_success_at,
            reports_arrived=host.synced_gate >= gate.number,
        )

    def watch(self, tx: Tx) -> Watch:
        """Return whether anyone listens."""
        return watch_store.get_gate(tx).watch

    def assess_stale(self, tx: Tx, host: Host) -> StaleVerdict:
        """Return the verdict of R6 at `tx.now`."""
        state, watch = self.state(tx, host), self.watch(tx)
        return policy.assess_stale(state, watch, tx.now, self._settings.offline_after)

    def is_stale(self, tx: Tx, host: Host) -> bool:
        """Say whether `host` is stale, or would be but for its awaited reports."""
        return self.assess_stale(tx, host) in (StaleVerdict.DUE, StaleVerdict.REPORTS_AWAITED)
