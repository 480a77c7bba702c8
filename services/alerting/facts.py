"""What the policy is given: a host and the watch, from the tables and the thresholds that hold."""

from __future__ import annotations

from datetime import timedelta

from libs.common.loop.tx import Tx
from services.alerting import policy
from services.alerting import store_watch as watch_store
from services.alerting.policy import HostState, StaleVerdict, Watch
from services.alerting.settings import AlertingSettings
from services.alerting.store import Host


class Facts:
    """Reads what the rules need. A host's own threshold comes before the fleet's."""

    def __init__(self, settings: AlertingSettings) -> None:
        self._settings = settings

    def state(self, tx: Tx, host: Host) -> HostState:
        """Return what the rules need of `host`."""
        gate = watch_store.get_gate(tx)
        return HostState(
            always_on=host.always_on,
            status=host.status,
            floor=_seconds(host.offline_seconds) or self._settings.agent_offline_floor,
            stale_after=_seconds(host.stale_seconds) or self._settings.stale_after,
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


def _seconds(value: int | None) -> timedelta | None:
    return None if value is None else timedelta(seconds=value)
