"""The part of presence's machine that watches gateways, and judges a lost one.

Beats are stored nowhere: they move the deadline `gateway_lost` and the hosts' last_seen. Everything
that is decided from them is published.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import structlog
from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from libs.common.clock import EPOCH
from libs.common.events.agent import (
    AgentOffline,
    GatewayListening,
    GatewayLost,
    GatewayStopped,
    OfflineReason,
)
from libs.common.loop.tx import Tx
from libs.common.periods import is_newer_period
from services.presence import policy, store
from services.presence import store_timeline as timeline
from services.presence.policy import Gap, Gateway, GatewayState, GatewayVerdict
from services.presence.settings import GATEWAY_GRACE, PresenceSettings

log = structlog.get_logger()
LOST = "gateway_lost"


class Beat(BaseModel):
    """A gateway's sign of life, and whom it heard since the one before."""

    model_config = ConfigDict(extra="ignore", frozen=True)
    gateway: str
    since: AwareDatetime
    at: AwareDatetime
    hosts: tuple[str, ...] = ()


class Gateways:
    """Handlers for what is heard of, and from, gateways."""

    def __init__(self, settings: PresenceSettings) -> None:
        self._settings = settings

    def on_listening(self, tx: Tx, event: GatewayListening) -> None:
        """Idempotent by `since`: only a newer one than known begins a new period."""
        known = timeline.find_gateway(tx, event.gateway)
        if not is_newer_period(event.since, known.since if known else None, tx.now):
            return
        self._end_gap(tx, known, event)
        if known is not None:
            timeline.save_period(tx, known)
        timeline.save_gateway(
            tx,
            Gateway(
                event.gateway, event.since, GatewayState.LISTENING,
                heard_at=min(event.since, tx.now),
            ),
        )  # fmt: skip
        self._look_later(tx, event.gateway)

    def _end_gap(self, tx: Tx, known: Gateway | None, event: GatewayListening) -> None:
        """Somebody listens again: date what nobody observed until then."""
        start = timeline.find_open_gap(tx)
        timeline.drop_open_gap(tx)
        if start is None and known is not None and known.state is GatewayState.LISTENING:
            start = known.last_listened  # It was interrupted without a word.
        if start is not None:
            self._keep_gaps(tx, event.gateway, Gap(start, min(event.since, tx.now)))

    def _keep_gaps(self, tx: Tx, gateway: str, silent: Gap) -> None:
        heard = timeline.list_periods(tx, silent.start, other_than=gateway)
        for gap in policy.unobserved(silent, heard, self._settings.offline_after):
            timeline.save_gap(tx, gap.start, gap.end)
        timeline.drop_old_gaps(tx, tx.now - timeline.KEEP_TIMELINE)

    def on_stopped(self, tx: Tx, event: GatewayStopped) -> None:
        """Idempotent: one that is not listening, or listens again since later, stays as it is."""
        known = timeline.find_gateway(tx, event.gateway)
        if known is None or known.state is not GatewayState.LISTENING or event.at < known.since:
            return
        stopped = replace(known, state=GatewayState.STOPPED, ended_at=min(event.at, tx.now))
        self._end_listening(tx, stopped, gap_from=event.at)
        self._look_later(tx, event.gateway)

    def on_lost(self, tx: Tx, event: GatewayLost) -> None:
        """Our own judgement read back: known already, but to a rebuild. Idempotent by `since`."""
        known = timeline.find_gateway(tx, event.gateway)
        if known is None or known.since != event.since or known.state is GatewayState.LOST:
            return
        lost = replace(known, state=GatewayState.LOST, ended_at=event.at)
        self._end_listening(tx, lost, gap_from=event.heard_at or known.heard_at)

    def _end_listening(self, tx: Tx, ended: Gateway, *, gap_from: datetime) -> None:
        timeline.save_gateway(tx, ended)
        if timeline.find_open_gap(tx) is None:
            self._keep_gaps(tx, ended.name, Gap(gap_from, None))

    def on_beat(self, tx: Tx, _: str, data: dict[str, Any]) -> None:
        """A gateway lives. One that our new file does not know is listening, as it says."""
        try:
            beat = Beat.model_validate(data)
        except ValidationError:
            log.warning("beat_not_understood", gateway=str(data.get("gateway"))[:64])
            return
        # It may come before its `listening`.
        self.on_listening(tx, GatewayListening(gateway=beat.gateway, since=beat.since))
        known = timeline.find_gateway(tx, beat.gateway)
        if known is not None and known.state is GatewayState.LISTENING:
            timeline.save_gateway(tx, replace(known, heard_at=tx.now))
            self._look_later(tx, beat.gateway)
        heard_at = min(beat.at, tx.now)
        store.move_heard(tx, beat.hosts, heard_at, self._settings.last_seen_step)

    def on_heard(self, tx: Tx, gateway: str) -> None:
        """A hello came through a gateway: it listens, whatever was thought of it."""
        known = timeline.find_gateway(tx, gateway)
        if known is None or known.state is not GatewayState.LISTENING:
            self.on_listening(tx, GatewayListening(gateway=gateway, since=tx.time))

    def expect(self, tx: Tx, gateway: str) -> None:
        """A host of our bucket is at a gateway that our new file does not know: await its beat."""
        if timeline.find_gateway(tx, gateway) is None:
            timeline.save_gateway(tx, Gateway(gateway, EPOCH, GatewayState.LISTENING, tx.now))
            self._look_later(tx, gateway)

    def _look_later(self, tx: Tx, gateway: str) -> None:
        tx.schedule(LOST, gateway, tx.now + self._settings.lost_after)

    def give_grace(self, tx: Tx) -> None:
        """We were away ourselves: judge no gateway before it had the time to beat."""
        for gateway in timeline.list_gateways(tx):
            if gateway.state is not GatewayState.LOST:
                self._look_later(tx, gateway.name)

    def on_lost_due(self, tx: Tx, name: str, due_at: datetime) -> None:
        """Judge a gateway that nothing was heard of; its hosts go offline with it."""
        gateway = timeline.find_gateway(tx, name)
        if gateway is None:
            return
        verdict = policy.assess_gateway(
            gateway,
            due_at=due_at,
            lost_after=self._settings.lost_after,
            tolerance=GATEWAY_GRACE,
            now=tx.now,
        )
        if verdict is GatewayVerdict.HEARD:
            tx.schedule(LOST, name, (gateway.ended_at or gateway.heard_at) + self._lost_after)
        elif verdict is GatewayVerdict.WE_WERE_AWAY:
            self._look_later(tx, name)
        elif verdict is GatewayVerdict.LOST:
            self._lose(tx, gateway, due_at)

    @property
    def _lost_after(self) -> timedelta:
        return self._settings.lost_after

    def _lose(self, tx: Tx, gateway: Gateway, at: datetime) -> None:
        """Publish the loss. Hosts change when their `agent.offline` is read back from the log."""
        event = GatewayLost(
            gateway=gateway.name, at=at, since=gateway.since, heard_at=gateway.heard_at
        )
        self.on_lost(tx, event)
        tx.emit(event)
        hosts = store.list_online_at(tx, gateway.name)
        for host in hosts:
            assert host.session is not None
            tx.emit(
                AgentOffline(
                    host_id=host.id,
                    session=host.session,
                    last_seen=host.last_seen or at,
                    reason=OfflineReason.GATEWAY_LOST,
                )
            )
        tx.decide(
            gateway.name, "gateway_lost",
            f"gateway {gateway.name} is lost: nothing heard for {self._lost_after}",
            rule="R3", hosts=len(hosts), state=gateway.state, heard_at=gateway.heard_at,
            since=gateway.since,
        )  # fmt: skip
